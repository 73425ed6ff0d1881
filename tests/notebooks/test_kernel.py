"""Results within a real Jupyter kernel, run by nbconvert; see `make notebooks`."""

import re

import pytest

pytestmark = pytest.mark.notebook

SETUP = """
import json
import numpy as np
import toolchain
from toolchain import DeployError, compare_chips, deploy, load_chip
from toolchain.ir import Graph, Input, Linear, Neuron, Output

def network(neurons=12, **neuron):
    rng = np.random.default_rng(0)
    lif = {"alpha_mem": 0.75, "alpha_syn": [0.5], **neuron}
    return Graph.chain({
        "input": Input(shape=(8,)),
        "fc1": Linear(weight=rng.normal(size=(neurons, 8))),
        "lif1": Neuron(shape=(neurons,), v_threshold=1.0, **lif),
        "fc2": Linear(weight=rng.normal(size=(4, neurons))),
        "lif2": Neuron(shape=(4,), v_threshold=1.0, **lif),
        "output": Output(),
    }, dt=1e-3)

spikes = np.random.default_rng(1).poisson(0.3, (16, 100, 8))
d = deploy(network(), "xylo_a2", calibration=spikes)
try:
    deploy(network(), "speck2f")
except DeployError as error:
    refusal = error
results = {
    "deployment": d, "graph": d.graph, "estimate": d.estimate(), "ledger": d.ledger,
    "comparison": d.compare(spikes), "diagnostic": d.diagnostics[0], "refusal": refusal,
    "chip": load_chip("xylo_a2"), "recording": d.simulate(spikes, record=True),
    "chips": compare_chips(network(), spikes=spikes, chips=["xylo_a2", "xylo_a3", "speck2f"]),
}
"""
NAMES = (
    *("deployment", "graph", "estimate", "ledger", "comparison"),
    *("diagnostic", "refusal", "chip", "recording", "chips"),
)
TEXTS = """
from pathlib import Path
for name, result in results.items():
    with open("printed.txt", "w", encoding="utf-8") as file:
        print(result, file=file)
    printed = Path("printed.txt").read_text(encoding="utf-8")
    print(name, len(str(result)), len(f"{result}"), len(printed), len(repr(result).splitlines()))
"""
PROGRESS = """
import time
from toolchain.chips.progress import steps
with steps("calibrating", 8) as step:
    for _ in range(8):
        with steps("one <layer>", 1) as inner:
            inner()
        time.sleep(0.1)
        step()
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Outputs of every cell, by its source."""
    import nbformat
    from nbconvert.preprocessors import ExecutePreprocessor

    sources = [SETUP, TEXTS, *(f"results[{name!r}]" for name in NAMES), PROGRESS]
    sources += [f"print(results[{name!r}])" for name in NAMES]
    sources += ["deploy(network(200), 'xylo_a2', calibration=spikes, quantizer='auto');"]
    sources += ["deploy(network(), 'speck2f')"]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[-1].metadata["tags"] = ["raises-exception"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    folder = tmp_path_factory.mktemp("notebook")
    runner = ExecutePreprocessor(timeout=300, kernel_name="python3")
    runner.preprocess(notebook, {"metadata": {"path": str(folder)}})
    return {cell.source: cell.outputs for cell in notebook.cells}


def texts(output):
    """Every text that a reader of the notebook sees of one output, by type."""
    if output.output_type == "stream":
        return {"text/plain": output.text}
    if output.output_type == "error":
        return {"text/plain": "\n".join(output.traceback)}
    return dict(output.data)


def test_text_of_results_is_never_empty(outputs):
    printed = "".join(each.text for each in outputs[TEXTS])
    rows = [line.split() for line in printed.splitlines()]
    assert {row[0] for row in rows} == set(NAMES)
    for name, text, formatted, file, lines in rows:
        assert int(text) > 60, name
        assert int(formatted) == int(text)
        assert int(file) == int(text) + 1
        assert lines == "1"


@pytest.mark.parametrize("name", NAMES)
def test_the_last_line_of_a_cell_shows_a_table(outputs, name):
    (shown,) = outputs[f"results[{name!r}]"]
    data = texts(shown)
    assert "<table" in data["text/html"]
    assert "object at 0x" not in data["text/plain"]
    assert len(data["text/plain"]) > 60


@pytest.mark.parametrize("name", NAMES)
def test_print_shows_the_same_text_as_elsewhere(outputs, name):
    streams = outputs[f"print(results[{name!r}])"]
    assert {each.name for each in streams} == {"stdout"}
    text = "".join(each.text for each in streams)
    assert len(text) > 60
    assert max(map(len, text.splitlines())) <= 100


def test_no_output_is_longer_than_two_hundred_lines(outputs):
    lengths = {
        source: len(text.splitlines())
        for source, shown in outputs.items()
        for each in shown
        for text in texts(each).values()
    }
    assert max(lengths.values()) <= 200, lengths


def test_progress_is_one_output_that_ends_with_the_time(outputs):
    (shown,) = outputs[PROGRESS]
    assert re.fullmatch(r"calibrating: 8 of 8, \d\.\d s", shown.data["text/plain"])
    assert shown.data["text/html"].startswith('<div><progress value="8" max="8"></progress>')


def test_a_long_search_shows_its_progress(outputs):
    (source,) = (source for source in outputs if "quantizer='auto'" in source)
    (shown,) = outputs[source]
    assert re.match(r"finding integers: (\d+) of \1, ", shown.data["text/plain"])


def test_a_refusal_is_readable_below_the_cell(outputs):
    (shown,) = outputs["deploy(network(), 'speck2f')"]
    assert shown.ename == "DeployError"
    assert "lif1: decays exponentially" in shown.evalue
    assert len(shown.evalue.splitlines()) < 60
