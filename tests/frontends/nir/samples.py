"""NIR files made with h5py alone, in the layout of nir 1.0.4 and 1.0.8, and ways to bend them."""

import io
from itertools import pairwise

import h5py
import numpy as np

TEXT = h5py.string_dtype()


def put(group, name, value, **packing):
    """A data set as nir writes it: texts of any length, everything else as numpy has it."""
    if isinstance(value, str):
        group.create_dataset(name, data=value, dtype=TEXT)
    elif isinstance(value, dict):
        inner = group.create_group(name)
        for key, item in value.items():
            put(inner, key, item)
    else:
        array = np.asarray(value)
        packing = packing if array.ndim and array.size else {}
        group.create_dataset(name, data=array, **packing)


def put_graph(group, nodes, edges, metadata=None, **packing):
    """A graph: each node is (type, fields), or (nodes, edges) for an inner graph."""
    put(group, "type", "NIRGraph")
    table = np.array(edges, dtype=object).reshape(-1, 2)
    group.create_dataset("edges", data=table, dtype=TEXT)
    inside = group.create_group("nodes")
    for name, (kind, content) in nodes.items():
        member = inside.create_group(name)
        if isinstance(kind, dict):
            put_graph(member, kind, content, **packing)
            continue
        put(member, "type", kind)
        for field, value in content.items():
            put(member, field, value, **packing)
    if metadata:
        put(group, "metadata", metadata)


def make(nodes, edges, *, version="1.0.4", metadata=None, bend=None, libver=None, **packing):
    """The bytes of a NIR file; ``bend`` may change the open file before it is closed."""
    out = io.BytesIO()
    with h5py.File(out, "w", libver=libver) as file:
        put(file, "version", version)
        put_graph(file.create_group("node"), nodes, edges, metadata, **packing)
        if bend:
            bend(file)
    return out.getvalue()


def each(*shape):
    return np.linspace(0.5, 1.5, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def lif(count, **more):
    fields = {"tau": each(count), "r": each(count), "v_leak": each(count)}
    return "LIF", {**fields, "v_threshold": each(count), **more}


def ends(before, after):
    shapes = np.array([before]).reshape(-1), np.array([after]).reshape(-1)
    return {"input": ("Input", {"shape": shapes[0]}), "output": ("Output", {"shape": shapes[1]})}


def chain(*names):
    return list(pairwise(names))


def feed_forward():
    """Nodes and edges: 3 inputs, a weight, 4 neurons."""
    nodes = {**ends(3, 4), "fc": ("Linear", {"weight": each(4, 3)}), "lif": lif(4)}
    return nodes, chain("input", "fc", "lif", "output")


def recurrent():
    """Nodes and edges: an inner graph with 4 neurons that feed themselves."""
    inner = {
        **ends(4, 4),
        "lif": lif(4, v_reset=each(4)),
        "w_rec": ("Linear", {"weight": each(4, 4)}),
    }
    loop = [*chain("input", "lif", "output"), ("lif", "w_rec"), ("w_rec", "lif")]
    nodes = {
        **ends(3, 4),
        "fc": ("Affine", {"weight": each(4, 3), "bias": each(4)}),
        "layer": (inner, loop),
    }
    return nodes, chain("input", "fc", "layer", "output")


def convolutional():
    """Nodes and edges: 2 x 6 x 6 inputs, a kernel, a pool and 5 neurons."""
    conv = {
        "input_shape": np.array([6, 6]),
        "weight": each(3, 2, 3, 3),
        "stride": np.array([1, 1]),
        "padding": np.array([1, 1]),
        "dilation": np.array([1, 1]),
        "groups": 1,
        "bias": each(3),
    }
    pool = {
        "kernel_size": np.array([2, 2]),
        "stride": np.array([2, 2]),
        "padding": np.array([0, 0]),
    }
    nodes = {
        **ends([2, 6, 6], 5),
        "0": ("Conv2d", conv),
        "1": ("IF", {"r": each(3, 6, 6), "v_threshold": each(3, 6, 6)}),
        "2": ("SumPool2d", pool),
        "3": ("Flatten", {"input_type": np.array([3, 3, 3]), "start_dim": 0, "end_dim": -1}),
        "4": ("Linear", {"weight": each(5, 27)}),
        "5": (
            "CubaLIF",
            {k: each(5) for k in ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold")},
        ),
    }
    return nodes, chain("input", *"012345", "output")


GZIP = {"compression": "gzip", "chunks": True}
METADATA = {"toolchain:dt": 1e-3, "toolchain:reset": "subtract", "deep": {"deeper": {"n": 3}}}


def whole():
    """Files that nothing is wrong with, in several layouts of HDF5."""
    return (
        make(*feed_forward()),
        make(*feed_forward(), metadata=METADATA, libver="latest"),
        make(*recurrent(), version="1.0.8", **GZIP),
        make(*recurrent(), libver="latest", **GZIP),
        make(*convolutional(), version="0.2.0"),
        make(*convolutional(), version="1.0.8", metadata=METADATA, shuffle=True, **GZIP),
    )
