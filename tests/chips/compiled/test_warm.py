import re
from pathlib import Path

import numpy as np
import pytest

import toolchain
from toolchain import deploy, warm
from toolchain.chips.compiled.code_files import FUNCTIONS
from toolchain.chips.compiled.warm import CompiledCode, CompiledFunction
from toolchain.ir import Conv2d, Flatten, Graph, Input, Linear, Neuron, Output

PACKAGE = Path(toolchain.__file__).parent


def versions():
    """The compiled functions of the package, each with the types it is compiled for."""
    return {
        (files.function.__module__, files.title): set(files.uses)
        for files in FUNCTIONS
        if files.function.__module__.startswith("toolchain.")
    }


def networks():
    leak = {"alpha_mem": 0.9375, "alpha_syn": np.array([0.875]), "v_threshold": 1.0}
    dense = {
        "microphone": Input(shape=(3,)),
        "w1": Linear(weight=np.full((4, 3), 0.3)),
        "lif": Neuron(shape=(4,), **leak),
        "w2": Linear(weight=np.full((2, 4), 0.3)),
        "out": Neuron(shape=(2,), max_spikes=1, **leak),
        "answer": Output(),
    }
    maps = {
        "camera": Input(shape=(2, 6, 6)),
        "conv": Conv2d(weight=np.full((3, 2, 3, 3), 0.1)),
        "iaf": Neuron(shape=(3, 4, 4), v_threshold=1.0),
        "flat": Flatten(),
        "fc": Linear(weight=np.full((2, 48), 0.1)),
        "out": Neuron(shape=(2,), v_threshold=1.0),
        "answer": Output(),
    }
    yield "xylo_1", Graph.chain(dense, dt=1e-3), {}
    yield "speck2e", Graph.chain(maps, dt=1e-3), {"timing": "event"}


def test_real_calls_find_everything_compiled():
    code = warm()
    assert code.seconds > 0
    assert {f.title for f in code.functions} <= {title for _, title in versions()}
    files = (
        path for path in PACKAGE.rglob("*.py") if re.search("^@compiled", path.read_text(), re.M)
    )
    modules = {
        ".".join(("toolchain", *f.relative_to(PACKAGE).with_suffix("").parts)) for f in files
    }
    assert {module for (module, _), types in versions().items() if types} == modules

    before = versions()
    for chip, graph, timing in networks():
        shape = graph.shape(graph.input)
        spikes = (np.random.default_rng(0).random((3, 20, *shape)) < 0.3).astype(np.float32)
        deployed = deploy(graph, chip=chip, calibration=spikes)
        for record in (True, False):
            deployed.simulate(spikes, record=record)
            deployed.simulate(spikes.astype(np.int64), record=record, **timing)
    assert versions() == before


@pytest.mark.parametrize(
    ("folder", "line"),
    [(Path("/cache"), "kept in /cache"), (None, "not kept: no folder for the machine code can be")],
)
def test_what_was_compiled_is_shown(folder, line):
    one = CompiledFunction(title="f", signatures=2, compiled=1, seconds=0.5, folder=folder)
    code = CompiledCode(functions=(one,), seconds=1.25)
    assert str(code).splitlines()[:3] == [
        "machine code of the simulators and quantizers, 1.2 s",
        " function  versions  compiled     s",
        " f                2         1  0.50",
    ]
    assert line in str(code)
    assert repr(code) == f"CompiledCode(1 functions, 1 compiled, kept={folder is not None})"
