"""Conversion of torch modules to NIR, and of NIR to torch modules, in the form that sinabs uses.

Time constants count timesteps, gains are 1, and layers take ``(batch * time, *features)``. What NIR
has no field for goes into the metadata, as in every file of this toolchain.
"""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from toolchain.arrays import Array
from toolchain.diagnostics import ExtractError
from toolchain.frontends.nir.from_graph import warn_of_extras
from toolchain.frontends.nir.nodes import NirFile, NirGraph, NirNode
from toolchain.frontends.nir.objects import from_object
from toolchain.frontends.nir.own import metadata
from toolchain.frontends.nir.plain import plain_graph
from toolchain.frontends.nir.read import read
from toolchain.frontends.nir.to_graph import to_graph
from toolchain.frontends.nir.to_layers import network
from toolchain.frontends.nir.write import write
from toolchain.frontends.tracing.trace import extract
from toolchain.ir import Edge, Graph, Membrane
from toolchain.nn import FlattenTime

__all__ = ["from_nir", "nir_file", "to_nir"]


def to_nir(module: nn.Module, sample_data: Tensor, model_name: str) -> Any:
    """Convert a module to a ``nir.NIRGraph``; see ``toolchain.frontends.nir.to_nir``."""
    try:
        nir = import_module("nir")
    except ModuleNotFoundError as fault:
        raise ModuleNotFoundError(
            "to_nir returns an object of the package nir: pip install nir; "
            "toolchain.frontends.nir.save writes a file without it",
            name=fault.name,
        ) from fault
    with tempfile.TemporaryDirectory() as folder:
        return nir.read(
            write(Path(folder) / "module.nir", nir_file(module, sample_data, model_name))
        )


def nir_file(module: nn.Module, sample_data: Tensor, model_name: str = "model") -> NirFile:
    """Convert a module to the contents of a NIR file.

    Raises:
        ExtractError: the module contains something that the Graph cannot represent.
        ModelFileError: NIR cannot represent a layer (the message lists all).
    """
    graph = _graph(module, sample_data, model_name)
    in_steps = graph.dt is None
    plain = plain_graph(graph, in_steps=in_steps)
    warn_of_extras(graph, in_steps=in_steps)
    nodes = (
        {**plain.nodes, **_own_taus(module, graph, plain, model_name)} if in_steps else plain.nodes
    )
    return NirFile(
        graph=NirGraph(
            nodes={name: _single(node) for name, node in nodes.items()},
            edges=plain.edges,
            metadata=metadata(graph, in_steps=in_steps),
        ),
        version=None,
        where=type(module).__name__,
    )


def _graph(module: nn.Module, sample: Tensor, model_name: str) -> Graph:
    """Return the Graph; a sample that is not (batch, time, ...) counts as rows (batch * time)."""
    try:
        graph = extract(module, sample)
    except ExtractError:
        rows = nn.Sequential(OrderedDict([("rows", FlattenTime()), (model_name, module)]))
        found = _extracted(rows, sample[None])
        if found is None:
            raise
        return _renamed(found, lambda name: name.removeprefix(f"{model_name}."))
    if any(True for _ in module.children()):
        return graph
    bare = type(module).__name__
    return _renamed(graph, lambda name: model_name if name == bare else name)


def _extracted(module: nn.Module, sample: Tensor) -> Graph | None:
    try:
        return extract(module, sample)
    except ExtractError:
        return None


def _renamed(graph: Graph, rename: Callable[[str], str]) -> Graph:
    nodes = {rename(name): node for name, node in graph.nodes.items()}
    edges = [Edge(rename(edge.pre), rename(edge.post), edge.delay) for edge in graph.edges]
    return Graph(nodes, edges, dt=graph.dt, provenance=graph.provenance)


def _own_taus(
    module: nn.Module, graph: Graph, plain: NirGraph, model_name: str
) -> dict[str, NirNode]:
    """Return the nodes of layers that have time constants, with these to the last bit."""
    layers = {**dict(module.named_modules()), model_name: module}
    found: dict[str, NirNode] = {}
    for name in graph.of(Membrane):
        node, layer = plain.nodes[name], layers.get(name)
        assert isinstance(node, NirNode)
        taus = {}
        for field, key in (("tau", "tau_mem"), ("tau_mem", "tau_mem"), ("tau_syn", "tau_syn")):
            value = getattr(layer, key, None)
            if field in node.fields and isinstance(value, Tensor):
                tau = value.detach().cpu().numpy()
                taus[field] = np.broadcast_to(tau, np.shape(node.fields[field]))
        found[name] = replace(node, fields={**node.fields, **taus})
    return found


def _single(node: NirNode | NirGraph) -> NirNode:
    """Return the node in single precision, as torch has it, where that loses nothing."""
    assert isinstance(node, NirNode)
    fields = {name: _as_single(value) for name, value in node.fields.items()}
    return replace(node, fields=fields)


def _as_single(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype != np.float64:
        return value
    single: Array = value.astype(np.float32)
    return single if np.array_equal(single, value) else value


def from_nir(
    source: Any,
    batch_size: int | None = None,
    num_timesteps: int | None = None,
    **reading: Any,
) -> nn.Module:
    """Convert NIR to a module; see ``toolchain.frontends.nir.from_nir``."""
    file = _as_file(source)
    return network(file, to_graph(file, **reading), batch_size, num_timesteps)


def _as_file(source: Any) -> NirFile:
    if isinstance(source, NirFile):
        return source
    if isinstance(source, str | Path):
        return read(source)
    return from_object(source)
