"""NIR files by the nir package itself, against our reader, writer and taker of objects.

Runs in an environment for each version of nir:
``.venv-oracles/nir104/bin/python -m tests.oracles.frameworks.nir_files``. With ``--record`` it
writes ``data/nir/<version>/*.nir.gz``, which ``make test`` reads; in any case it checks that

- what nir wrote is read as the case says, and is the recorded file's content;
- what we write nir reads, with the same numbers;
- the object itself is taken as the case says.

The cases between them have every primitive of both versions.
"""

import argparse
import gzip
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np

from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode
from toolchain.frontends.nir.objects import from_object
from toolchain.frontends.nir.read import read
from toolchain.frontends.nir.write import write

DATA = Path(__file__).parents[1] / "data" / "nir"
VERSIONS = ("1.0.4", "1.0.8")
SPIKING = ("CubaLIF", "IF", "LIF")
# a port's shape is a dict by port in an object, and goes by another name for Input and Output
PORTS = {("Input", "shape"): "input_type", ("Output", "shape"): "output_type"}


def each(*shape):
    return np.linspace(0.5, 1.5, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def whole(*values):
    return np.array(values)


def _neuron(count, *names):
    return {name: each(count) for name in names}


def _chain(before, after, nodes, metadata=None):
    """A graph of (type, fields) one after the other, named by number."""
    named = {str(number): node for number, node in enumerate(nodes)}
    ends = {"input": ("Input", {"shape": whole(*before)})}, {"output": ("Output", {"shape": after})}
    names = ["input", *named, "output"]
    return {**ends[0], **named, **ends[1]}, list(pairwise(names)), metadata or {}


def _dense(version):
    membrane = ("tau", "r", "v_leak")
    cuba = ("tau_syn", "tau_mem", "r", "v_leak")
    nodes = [
        ("Linear", {"weight": each(4, 3)}),
        ("LIF", _neuron(4, *membrane, "v_threshold")),
        ("Affine", {"weight": each(4, 4), "bias": each(4)}),
        ("CubaLIF", {**_neuron(4, *cuba, "v_threshold"), "w_in": 2 * each(4)}),
        ("Scale", {"scale": each(4)}),
        ("Threshold", {"threshold": each(4)}),
        ("Delay", {"delay": each(4)}),
        ("I", {"r": each(4)}),
        ("LI", _neuron(4, *membrane)),
        ("IF", _neuron(4, "r", "v_threshold")),
    ]
    if version == "1.0.8":
        nodes.append(("CubaLI", {**_neuron(4, *cuba), "w_in": each(4)}))
        nodes.append(("LIF", {**_neuron(4, *membrane, "v_threshold"), "v_reset": -each(4)}))
    return _chain((3,), whole(4), nodes)


def _conv(version):
    conv = {
        "input_shape": whole(6, 6),
        "weight": each(3, 2, 3, 3),
        "stride": whole(1, 1),
        "padding": whole(1, 1),
        "dilation": whole(1, 1),
        "groups": np.array(1),
        "bias": each(3),
    }
    pool = {"kernel_size": whole(2, 2), "stride": whole(2, 2), "padding": whole(0, 0)}
    flatten = {"input_type": whole(3, 3, 3), "start_dim": np.array(0), "end_dim": np.array(-1)}
    fire = ("IF", {"r": each(3, 6, 6), "v_threshold": each(3, 6, 6)})
    pooled = ("AvgPool2d" if version == "1.0.8" else "SumPool2d", pool)
    return _chain((2, 6, 6), whole(27), [("Conv2d", conv), fire, pooled, ("Flatten", flatten)])


def _sums(version):
    pool = {"kernel_size": whole(2, 2), "stride": whole(2, 2), "padding": whole(0, 0)}
    kind = "SumPool2d" if version == "1.0.8" else "AvgPool2d"
    return _chain((2, 6, 6), whole(2, 3, 3), [(kind, pool)])


def _conv1d(version):
    one = np.array(1)
    conv = {
        "input_shape": np.array(8),
        "weight": each(3, 2, 3),
        "stride": one,
        "padding": np.array(0),
        "dilation": one,
        "groups": one,
        "bias": each(3),
    }
    if version == "1.0.8":
        conv["padding"] = "same"
    return _chain((2, 8), whole(3, 8 if version == "1.0.8" else 6), [("Conv1d", conv)])


def _nested(version):
    inner = {
        "input": ("Input", {"shape": whole(4)}),
        "lif": ("LIF", _neuron(4, "tau", "r", "v_leak", "v_threshold")),
        "w_rec": ("Linear", {"weight": each(4, 4)}),
        "output": ("Output", {"shape": whole(4)}),
    }
    loop = [*pairwise(["input", "lif", "output"]), ("lif", "w_rec"), ("w_rec", "lif")]
    metadata = {"toolchain:dt": 1e-3, "toolchain:reset": "subtract", "deep": {"steps": 200}}
    nodes = [("Linear", {"weight": each(4, 3)}), (inner, loop, {"note": "inner"})]
    return _chain((3,), whole(4), nodes, metadata)


def _on_nodes(version):
    """Metadata at a node: 1.0.4 has it for some primitives only."""
    neuron = _neuron(3, "tau", "r", "v_leak", "v_threshold")
    about = {"toolchain:reset": "subtract", "times": [1.0, 2.5], "layers": ["a", "b"], "on": True}
    return _chain((3,), whole(3), [("LIF", neuron, about)])


def _outputs(version):
    """Two heads: the spikes of the first layer, and a weight behind it."""
    nodes = {
        "input": ("Input", {"shape": whole(3)}),
        "lif": ("LIF", _neuron(3, "tau", "r", "v_leak", "v_threshold")),
        "head": ("Linear", {"weight": each(2, 3)}),
        "spikes": ("Output", {"shape": whole(3)}),
        "values": ("Output", {"shape": whole(2)}),
    }
    edges = [("input", "lif"), ("lif", "spikes"), ("lif", "head"), ("head", "values")]
    return nodes, edges, {}


CASES = {
    "dense": _dense,
    "conv": _conv,
    "pool": _sums,
    "conv1d": _conv1d,
    "nested": _nested,
    "outputs": _outputs,
    "metadata": _on_nodes,
}


# ---- a case in three forms ----


def as_graph(case, version):
    """The NirGraph of a case; 1.0.8 adds a ``v_reset`` of 0 to every spiking neuron."""
    nodes, edges, metadata = case
    return NirGraph(
        nodes={name: _as_node(node, version) for name, node in nodes.items()},
        edges=tuple(edges),
        metadata=metadata,
    )


def _as_node(node, version):
    if isinstance(node[0], dict):
        return as_graph(node, version)
    kind, fields, *metadata = node
    filled = dict(fields)
    if version == "1.0.8" and kind in SPIKING:
        filled.setdefault("v_reset", np.zeros_like(fields["v_threshold"]))
    return NirNode(type=kind, fields=filled, metadata=metadata[0] if metadata else {})


def as_object(case, nir):
    """The ``nir.NIRGraph`` of a case."""
    nodes, edges, metadata = case
    made = {name: _as_nir_node(node, nir) for name, node in nodes.items()}
    return nir.NIRGraph(nodes=made, edges=list(edges), metadata=metadata)


def _as_nir_node(node, nir):
    if isinstance(node[0], dict):
        return as_object(node, nir)
    kind, fields, *metadata = node
    given = {}
    for name, value in fields.items():
        port = PORTS.get((kind, name), name)
        value = value.item() if isinstance(value, np.ndarray) and not value.ndim else value
        given[port] = {port.split("_")[0]: value} if port.endswith("_type") else value
    if metadata:
        given["metadata"] = metadata[0]
    return getattr(nir, kind)(**given)


def differences(want, got, place="graph"):
    """Where two graphs differ, in words; edges in any order."""
    if type(want) is not type(got):
        return [f"{place}: {type(got).__name__}, wanted {type(want).__name__}"]
    found = [] if want.metadata == got.metadata else [f"{place}: metadata {got.metadata}"]
    if isinstance(want, NirNode):
        same = want.type == got.type and want.fields.keys() == got.fields.keys()
        if not same:
            return [*found, f"{place}: {got.type} {sorted(got.fields)}, wanted {want.type}"]
        pairs = [(name, want.fields[name], got.fields[name]) for name in want.fields]
        return found + [f"{place}.{name}: {b}" for name, a, b in pairs if not same_value(a, b)]
    if sorted(want.edges) != sorted(got.edges) or want.nodes.keys() != got.nodes.keys():
        found.append(f"{place}: nodes {sorted(got.nodes)}, edges {sorted(got.edges)}")
    for name in want.nodes.keys() & got.nodes.keys():
        found += differences(want.nodes[name], got.nodes[name], f"{place}.{name}")
    return found


def same_value(a, b):
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b)


# ---- run with a version of nir ----


def main():
    parser = argparse.ArgumentParser(description="NIR files against the nir package")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--record", action="store_true", help="write what make test reads")
    mode.add_argument("--check", action="store_true", help="compare with the record (default)")
    options = parser.parse_args()
    import nir

    faults = []
    with tempfile.TemporaryDirectory() as folder:
        for name, make in CASES.items():
            if options.record:
                _record(as_object(make(nir.__version__), nir), name, Path(folder), nir)
            recorded = unpacked(nir.__version__, name, Path(folder))
            faults += [f"{name}: {text}" for text in _checked(make, recorded, Path(folder), nir)]
    for fault in faults:
        sys.stdout.write(f"DIFFERS {fault}\n")
    sys.stdout.write(f"nir {nir.__version__}: {len(CASES)} files, {len(faults)} faults\n")
    sys.exit(1 if faults else 0)


def _record(graph, name, folder, nir):
    """Write what nir writes of ``graph``; packed, as most of such a file is zeros."""
    nir.write(folder / "new.nir", graph)
    to = DATA / nir.__version__ / f"{name}.nir.gz"
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(gzip.compress((folder / "new.nir").read_bytes(), 9, mtime=0))


def unpacked(version, name, folder):
    """The path of a recorded file, unpacked into ``folder``."""
    path = folder / f"{version}-{name}.nir"
    path.write_bytes(gzip.decompress((DATA / version / f"{name}.nir.gz").read_bytes()))
    return path


def _checked(make, recorded, folder, nir):
    """What differs, for one case."""
    want = as_graph(make(nir.__version__), nir.__version__)
    theirs, ours = folder / "theirs.nir", folder / "ours.nir"
    nir.write(theirs, as_object(make(nir.__version__), nir))
    yield from differences(want, read(recorded).graph, "recorded")
    yield from differences(want, read(theirs).graph, "written by nir")
    yield from differences(want, from_object(as_object(make(nir.__version__), nir)).graph, "object")
    write(ours, NirFile(graph=want, version=None, where="case"))
    yield from differences(want, from_object(nir.read(ours)).graph, "read by nir")
    # a file of the older version, written again, is for both
    older = as_graph(make("1.0.4"), "1.0.4")
    write(ours, NirFile(graph=older, version=None, where="case"))
    filled = as_graph(make("1.0.4"), nir.__version__)
    yield from differences(filled, from_object(nir.read(ours)).graph, "of 1.0.4, read by nir")


if __name__ == "__main__":
    main()
