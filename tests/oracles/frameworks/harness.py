"""The conformance matrix of one framework: cases as data, run natively and as Graphs.

A case is built by a function of the framework's script beside this file. It is run natively in
double precision on one of ``INPUTS`` and extracted; the Graph has to give the same spikes, every
one of them. A refused case has to be refused with the message it names. ``--record`` writes what
``make test`` replays without the framework; ``--check`` compares with it.

Scripts run as ``python -m tests.oracles.frameworks.<framework>`` in the framework's environment.
"""

import argparse
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from tests.oracles.frameworks import archive
from tests.oracles.frameworks.snapshot import rebuilt, refused_leaves, watched
from toolchain import extract
from toolchain.diagnostics import ExtractError
from toolchain.frontends.frameworks.adapter import Layer
from toolchain.frontends.frameworks.kinds import kind
from toolchain.frontends.tracing.outputs import without_spikes
from toolchain.ir import MembraneReadout, Neuron
from toolchain.ir.store import pack_graph
from toolchain.runs.interpret import interpret

__all__ = ["INPUTS", "Case", "leaf_faults", "main", "output_faults", "reason"]

ROOT = Path(__file__).parents[3]
BATCH, TIME, NEURONS = 2, 200, 16
FORMAT = "framework-cases/1"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One entry of the matrix.

    Attributes:
        name: layer and option.
        build: gives the module; torch's random numbers are seeded by the name.
        input: which of ``INPUTS`` it is run on.
        layout: how its forward takes batch and time: ``batch_time``, ``time_batch`` or ``rows``,
            which is (batch * time, ...).
        dt: length of a timestep for ``extract``, s.
        reset: makes the module forget what it did before the native run.
        refused: the whole message of the ExtractError; None where the case has to pass.
    """

    name: str
    build: Callable[[], nn.Module]
    input: str = "spikes"
    layout: str = "batch_time"
    dt: float | None = None
    reset: Callable[[nn.Module], object] | None = None
    refused: str | None = None


def _inputs():
    """Spike counts and real numbers, (batch, time, *features), float64."""
    rng = np.random.default_rng(2026)
    lead = (BATCH, TIME)
    rates = rng.uniform(0.05, 0.6, NEURONS)
    made = {
        "spikes": rng.poisson(rates, (*lead, NEURONS)),
        "real": rng.normal(0.25, 0.8, (*lead, NEURONS)).astype(np.float32),
        "wide": rng.poisson(0.3, (*lead, 2 * NEURONS)),
        "image": rng.random((*lead, 2, 8, 8)) < 0.15,
    }
    return {name: value.astype(np.float64) for name, value in made.items()}


INPUTS = _inputs()


def main(framework, cases, package=None):
    """Run all ``cases`` and record or check them; exits with 1 where anything differs."""
    parser = argparse.ArgumentParser(description=f"the conformance matrix of {framework}")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--record", action="store_true", help="write what the replay stands on")
    mode.add_argument("--check", action="store_true", help="compare with the record (default)")
    parser.add_argument("--only", metavar="NAME", help="run a single case, and print its Graph")
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [case for case in cases if options.only in (None, case.name)]
    made, faults = _run_all(framework, chosen)
    if options.only:
        _say("\n".join(made.get(options.only, {}).get("text", [])))
    elif options.record and not faults:
        archive.write(framework, _file(package or framework, made))
    elif not options.record:
        faults += archive.differences(archive.read(framework), _file(package or framework, made))
    for fault in faults:
        _say(f"DIFFERS {fault}")
    passed = sum("refused" not in entry for entry in made.values())
    _say(f"{framework}: {passed} pass, {len(made) - passed} refused, {len(faults)} faults")
    sys.exit(1 if faults else 0)


def _say(text):
    sys.stdout.write(f"{text}\n")


def _file(package, made):
    """Everything recorded of a framework."""
    used = {entry["input"] for entry in made.values() if "input" in entry}
    return {
        "format": FORMAT,
        "made_with": {name: version(name) for name in (package, "torch", "numpy")},
        "inputs": {name: archive.pack(INPUTS[name]) for name in sorted(used)},
        "cases": made,
    }


def _run_all(framework, cases):
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases of one name"
    made, faults = {}, []
    for case in cases:
        try:
            entry, told = _run(framework, case)
        except (ExtractError, AssertionError) as fault:
            faults.append(f"{case.name}: {fault}")
            continue
        made[case.name] = entry
        _say(f"{case.name}: {told}")
    return made, faults


def _run(framework, case):
    """What is recorded of a case, and a line about it."""
    model = _built(case)
    if case.refused is not None:
        return _refused(framework, case, model)
    given = INPUTS[case.input]
    out = _native(case)
    with watched(framework) as leaves:
        graph = extract(model, _fed(given, case.layout), case.dt)
    spikes = all(isinstance(graph[name], Neuron) for name in graph.outputs)
    entry = {
        "input": case.input,
        "text": str(graph).splitlines(),
        "graph": _graph_data(graph),
        "spiking": spikes,
        "output": archive.pack(out),
        "leaves": leaves,
    }
    for fault in [*output_faults(graph, given, out, spikes), *leaf_faults(graph, leaves)]:
        raise AssertionError(fault)
    return entry, _told(out, spikes)


def _graph_data(graph):
    arrays, data = pack_graph(graph)
    return {"arrays": arrays, "data": data}


def _told(out, spikes):
    if not spikes:
        return f"{out.size} values agree"
    assert 0 < np.count_nonzero(out) < out.size, "all or none of the steps have a spike"
    return f"{int(out.sum())} spikes, at most {int(out.max())} at once, 0 of {out.size} differ"


def _refused(framework, case, model):
    with watched(framework) as leaves:
        try:
            extract(model, _fed(INPUTS[case.input], case.layout), case.dt)
        except ExtractError as fault:
            message = str(fault).replace(f"{ROOT}/", "")
        else:
            raise AssertionError("is not refused")
    assert message == case.refused, f"is refused with: {message}"
    leaves += refused_leaves(model)
    for entry in leaves:
        entry.setdefault("reason", reason(entry))
    refused = [entry for entry in leaves if entry["reason"] is not None]
    for entry in refused:
        assert reason(entry) == entry["reason"], f"the stand-in gives {reason(entry)}"
    return {"refused": message, "leaves": refused}, f"refused: {message}"


def reason(entry):
    """Why the stand-in of a layer is refused, or None."""
    module = rebuilt(entry)
    layer = kind(module)
    if not isinstance(layer, Layer):
        return layer
    try:
        layer.adapter(entry["name"], module, tuple(entry["features"]))
    except ValueError as fault:
        return str(fault)
    return None


def _built(case):
    torch.manual_seed(zlib.crc32(case.name.encode()))
    return case.build()


def _native(case):
    """What the framework itself gives, (batch, time, *features), float64."""
    model = _built(case).double().eval()
    with torch.no_grad(), _Double():
        if case.reset is not None:
            case.reset(model)
        out = model(_fed(INPUTS[case.input], case.layout))
    out = (out[0] if isinstance(out, tuple | list) else out).numpy()
    if case.layout == "rows":
        return out.reshape(BATCH, TIME, *out.shape[1:])
    return out.swapaxes(0, 1) if case.layout == "time_batch" else out


class _Double(TorchFunctionMode):
    """What a framework makes or casts in single precision while it runs is in double."""

    def __enter__(self):
        torch.set_default_dtype(torch.float64)
        return super().__enter__()

    def __exit__(self, *fault):
        torch.set_default_dtype(torch.float32)
        return super().__exit__(*fault)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        return func(*args, **(kwargs or {}))


def _fed(given, layout):
    x = torch.from_numpy(given)
    if layout == "rows":
        return x.flatten(0, 1)
    return x.transpose(0, 1).contiguous() if layout == "time_batch" else x


# ---- what is compared, here and in the replay ----


def output_faults(graph, given, out, spikes):
    """Where ``graph`` gives something else than ``out``: spikes exactly, other numbers nearly."""
    gave = interpret(graph, given).spikes
    if gave.shape != out.shape:
        yield f"the Graph gives shape {gave.shape}, the framework {out.shape}"
        return
    allowed = 0.0 if spikes else 1e-6 * np.abs(out).max()
    wrong = int((~(np.abs(gave - out) <= allowed)).sum())
    if wrong:
        yield f"{wrong} of {out.size} outputs differ"


def leaf_faults(graph, leaves):
    """Where the stand-in of a layer becomes other nodes than the layer itself did."""
    for entry in leaves:
        module = rebuilt(entry)
        layer = kind(module)
        if not isinstance(layer, Layer):
            yield f"{entry['name']}: the stand-in is no layer: {layer}"
            continue
        fragment = layer.adapter(entry["name"], module, tuple(entry["features"]))
        if isinstance(graph[fragment.exit], MembraneReadout):
            fragment = without_spikes(fragment)  # as a network was that returns its membrane
        for name, node in fragment.nodes.items():
            now = {"kind": type(node).__name__, **node.parameters()}
            was = {"kind": type(graph[name]).__name__, **graph[name].parameters()}
            yield from archive.differences(was, now, name)
        lost = set(fragment.edges) - set(graph.edges)
        yield from (f"{name}: edge {edge} is not in the Graph" for name, edge in _named(lost))


def _named(edges):
    return ((edge.post, edge) for edge in sorted(edges))
