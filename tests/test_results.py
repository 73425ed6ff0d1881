"""Every result shows itself: as text, in notebooks, as Markdown and plain data, and travels."""

import copy
import json
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from multiprocessing import get_context

import numpy as np
import pytest

from tests.builders import chain
from tests.oracles.artifacts import DATA, spikes
from toolchain import DeployError, Deployment, compare_chips, deploy, list_chips, load_chip
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.ir import Conv2d, Linear, Neuron

NAMES = (
    *("deployment", "graph", "ledger", "comparison", "estimate", "recording"),
    *("chips", "refusal", "finding", "chip"),
)
PARTS = ("activity", "trace", "program", "family", "resources", "node", "row", "entry", "quantity")


@pytest.fixture(scope="module", params=["speck2f-common", "xylo_a2-auto"])
def results(request):
    """One of each result, of one family; read only."""
    deployment = Deployment.load(DATA / request.param)
    graph, chip = deployment.graph, deployment.chip
    counts = spikes(graph.shape(graph.input))
    refused = chain(
        (2000,), fc=Linear(weight=np.ones((3, 2000))), lif=Neuron(shape=(3,), v_threshold=1.0)
    )
    with pytest.raises(DeployError) as caught:
        deploy(refused, chip.name, dt=1e-3)
    estimate = deployment.estimate(counts)
    comparison = compare_chips(graph, chips=["speck2f", "xylo_a2"], spikes=counts)
    odd = Diagnostic(
        rule="r", severity=Severity.INFO, where="fc", message="µ", need=np.float32(3), limit=np.nan
    )
    recording = deployment.simulate(counts, record=True)
    return {
        "deployment": deployment,
        "graph": graph,
        "ledger": deployment.ledger,
        "comparison": deployment.compare(counts),
        "estimate": estimate,
        "recording": recording,
        "chips": comparison,
        "refusal": caught.value,
        "finding": odd,
        "chip": chip,
        "activity": estimate.activity,
        "trace": deployment.trace(counts),
        "program": deployment.program,
        "family": deployment.family,
        "resources": deployment.resources(),
        "node": next(iter(graph.of(Neuron).values())),
        "row": comparison.rows[0],
        "entry": deployment.ledger.entries[0],
        "quantity": next(iter(chip.power.rails.values())),
    }


@pytest.mark.parametrize("name", NAMES)
def test_all_forms_of_a_result_say_the_same(results, name):
    result = results[name]
    text = str(result)
    title = result.sheet().title
    assert title
    if name not in ("graph", "finding", "refusal"):
        assert text.splitlines()[0] == title
        assert f"{result}" == text
        assert f"{result:>9000}" == text.rjust(9000)
    bundle = result._repr_mimebundle_()
    assert bundle["text/plain"].splitlines()[0].strip() in (title, title[:100])
    assert "<table" in bundle["text/html"]
    assert "| :--" in result.to_markdown()
    for shown in (*bundle.values(), result.to_markdown()):
        assert shown.encode("cp1252")
        assert len(shown.splitlines()) <= 200
        assert " object at 0x" not in shown


@pytest.mark.parametrize("name", NAMES)
def test_plain_data_of_a_result_is_json(results, name):
    data = results[name].as_dict()
    assert data
    assert json.loads(json.dumps(data, allow_nan=False)) == data


@pytest.mark.parametrize("name", [*NAMES, *PARTS])
def test_a_repr_is_one_short_line(results, name):
    result = results[name]
    for each in result if isinstance(result, tuple) else (result,):
        text = repr(each)
        assert len(text.splitlines()) == 1
        assert len(text) < 500
        assert " object at 0x" not in text


@pytest.mark.parametrize("name", [*NAMES, *PARTS])
def test_a_result_can_be_copied_and_pickled(results, name):
    result = results[name]
    for other in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert type(other) is type(result)
        assert str(other) == str(result)


@pytest.mark.parametrize("travel", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_arrays_of_a_copy_are_read_only_as_in_the_original(results, travel):
    deployment = travel(results["deployment"])
    nodes = [*deployment.graph.nodes.values(), *deployment.quantized.nodes.values()]
    parts = [*nodes, deployment.program, *getattr(deployment.program, "cores", ())]
    arrays = [
        value
        for part in parts
        for value in (getattr(part, each.name) for each in fields(part))
        if isinstance(value, np.ndarray)
    ]
    assert len(arrays) > 10
    assert not any(array.flags.writeable for array in arrays)


def test_notes_of_a_refusal_travel_with_it(results):
    refusal = copy.copy(results["refusal"])
    refusal.add_note("layer 3 of the sweep")
    assert pickle.loads(pickle.dumps(refusal)).__notes__ == ["layer 3 of the sweep"]
    assert str(copy.copy(refusal)) == str(results["refusal"])


ELSEWHERE = """
import pickle, sys
import numpy as np
parts = pickle.load(sys.stdin.buffer)
for part in parts:
    assert str(part) and repr(part)
print(int(parts[0].simulate(np.ones((1, 20, *SHAPE), int)).spikes.sum()), "torch" in sys.modules)
"""


def test_results_are_unpickled_in_a_process_without_torch(results):
    deployment = results["deployment"]
    shape = deployment.graph.shape(deployment.graph.input)
    wanted = int(deployment.simulate(np.ones((1, 20, *shape), int)).spikes.sum())
    run = subprocess.run(
        [sys.executable, "-c", ELSEWHERE.replace("SHAPE", repr(shape))],
        input=pickle.dumps([results[name] for name in NAMES]),
        capture_output=True,
        check=True,
    )
    assert run.stdout.decode().split() == [str(wanted), "False"]


def test_a_pool_of_processes_takes_and_returns_deployments():
    deployment = Deployment.load(DATA / "xylo_a2-auto")
    counts = spikes(deployment.graph.shape(deployment.graph.input))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(Deployment.simulate, deployment, counts).result()
        np.testing.assert_array_equal(there.spikes, deployment.simulate(counts).spikes)
        assert str(pool.submit(copy.copy, deployment).result()) == str(deployment)


@pytest.mark.parametrize("name", list_chips())
def test_a_chip_shows_every_number_with_its_source(name):
    chip = load_chip(name)
    table, sources, _ = chip.sheet().blocks
    assert len(table.rows) > 25
    keys = {line.split(":")[0] for line in sources.lines}
    assert all(row[1] and row[2] and row[4] in keys for row in table.rows)
    assert pickle.loads(pickle.dumps(chip)) == chip


def test_long_tables_are_shortened_in_notebooks_alone():
    layers = {f"conv{n}": Conv2d(weight=np.ones((1, 1, 1, 1))) for n in range(300)}
    graph = chain((1, 2, 2), **layers, iaf=Neuron(shape=(1, 2, 2), v_threshold=1.0))
    shown = graph._repr_mimebundle_()
    assert "... 244 more" in shown["text/plain"]
    assert max(len(text.splitlines()) for text in shown.values()) < 100
    assert len(str(graph).splitlines()) == 304
