"""Agreement of the parts of an artifact: what one part follows from, compared with the other.

Every check raises ValueError with the difference. Nothing is simulated. The sizes of layers are
compared with those of the chip's program, which is as large as its file, before anything of that
size is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from toolchain.archive import as_json
from toolchain.arrays import Array
from toolchain.chips.contract import OnChip
from toolchain.chips.load import family_of
from toolchain.chips.rules.findings import is_error
from toolchain.chips.rules.numbers import numbers
from toolchain.diagnostics import Diagnostic
from toolchain.fidelity.builder import provenance_of
from toolchain.fidelity.latents import check_latents
from toolchain.fidelity.ledger import Ledger
from toolchain.hardware import SpecBase
from toolchain.ir import Graph, Output
from toolchain.ir.store import pack_graph
from toolchain.report import brief
from toolchain.runs import Activity

__all__ = [
    "check_activity",
    "check_findings",
    "check_latent",
    "check_ledger",
    "check_length",
    "check_numbers",
    "check_program",
    "check_quantized",
    "check_same_arrays",
    "check_same_data",
    "check_sizes",
]

MOST_VALUES = 2**22
"""Largest number of values of one layer in one timestep."""
MOST_NODES = 1000
MOST_EDGES = 4000


def check_same_data(found: Any, again: Any, *, former: bool = False) -> None:
    """Check that plain data equals what is written of the object that was read from it.

    Args:
        found: the data that was read.
        again: the data that is written.
        former: ``found`` may lack entries, and have them in another order.
    """
    if as_json(found) != as_json(again):
        text = _difference(found, again, "", former)
        if text or not former:
            raise ValueError(text or "its entries are in another order")


def _difference(found: Any, again: Any, path: str, former: bool) -> str:
    """Return the first difference of two trees as text; empty if only the order differs."""
    if isinstance(found, dict) and isinstance(again, dict):
        for key in {**again, **found}:
            where = f"{path}.{key}" if path else f"{key}"
            if key not in again:
                return f"{where} is unknown"
            if key not in found and not former:
                return f"{where} is missing"
            if key in found and (text := _difference(found[key], again[key], where, former)):
                return text
        return ""
    if isinstance(found, list) and isinstance(again, list) and len(found) == len(again):
        pairs = enumerate(zip(found, again, strict=True))
        return next(filter(None, (_difference(*p, f"{path}[{n}]", former) for n, p in pairs)), "")
    same = type(found) is type(again) and found == again
    return "" if same else f"{path} is {brief(found)}, must be {brief(again)}"


def check_same_arrays(found: Mapping[str, Array], again: Mapping[str, Array]) -> None:
    """Check that arrays have the same names, types, shapes and values."""
    if found.keys() != again.keys():
        names = ", ".join(sorted(found.keys() ^ again.keys()))
        raise ValueError(f"has other arrays: {names:.200}")
    for name, array in found.items():
        other = again[name]
        if array.dtype != other.dtype or array.shape != other.shape:
            raise ValueError(f"{name} is {brief(array)}, must be {brief(other)}")
        if not np.array_equal(array, other):
            raise ValueError(f"{name} has other values")


def check_program(on_chip: OnChip, chip: SpecBase) -> None:
    """Check the program by the rules of its family."""
    name = getattr(on_chip.program, "chip", chip.name)
    if name != chip.name:
        raise ValueError(f"is for chip {name!r}, the artifact's is {chip.name!r}")
    errors = [finding for finding in on_chip.check() if is_error(finding)]
    if errors:
        first = errors[0]
        raise ValueError(f"breaks a rule of {chip.name}: {first.where}: {first.message}")
    on_chip.resources()


def check_length(data: Any) -> None:
    """Check the number of nodes and edges of a stored network."""
    for what, most in (("nodes", MOST_NODES), ("edges", MOST_EDGES)):
        if len(data[what]) > most:
            raise ValueError(f"has {len(data[what])} {what}, at most {most} are read")


def check_sizes(graph: Graph) -> None:
    """Check that layers are of a size that can be simulated."""
    for name in graph.nodes:
        shape = graph.shape(name)
        if not all(type(size) is int and size > 0 for size in shape):
            raise ValueError(f"{name} has shape {brief(shape)}")
        if prod(shape) > MOST_VALUES:
            raise ValueError(f"{name} has {prod(shape)} values, at most {MOST_VALUES} are read")


def check_numbers(graph: Graph) -> None:
    """Check the numbers of a network by the rule of ``deploy``."""
    for finding in numbers(graph):
        raise ValueError(f"{finding.where}: {finding.message}")


def check_quantized(graph: Graph, quantized: Graph, on_chip: OnChip) -> None:
    """Check that the integer network is one of ``graph``, and gives the program."""
    for what, own, other in (
        ("dt", graph.dt, quantized.dt),
        ("input", prod(graph.shape(graph.input)), prod(quantized.shape(quantized.input))),
        ("provenance", graph.provenance, quantized.provenance),
        ("labels of outputs", _labels(graph), _labels(quantized)),
    ):
        if own != other:
            raise ValueError(f"{what} is {other!r:.80}, of the trained network {own!r:.80}")
    check_numbers(quantized)
    layers = set(on_chip.placement())
    if missing := sorted(layers - set(quantized.nodes)):
        raise ValueError(f"lacks the layer {missing[0]!r} of the program")
    if _is_network_of(on_chip, quantized):
        return  # the rules of networks ask for more than those of programs
    family, options = family_of(on_chip.chip), on_chip.options()
    for finding in filter(is_error, family.check_graph(quantized)):
        raise ValueError(f"{finding.where}: {finding.message}")
    if not family.can_lower(quantized):
        raise ValueError("is not joined as the layers of a program are")
    if options is None:
        return
    again, _ = family.lower(quantized, options).place(options)
    (arrays, data), (others, rest) = on_chip.pack(), again.pack()
    try:
        check_same_arrays(arrays, others)
        check_same_data(_plain(data), _plain(rest))
    except ValueError as fault:
        raise ValueError(f"gives another program than the one beside it: {fault}") from None


def _is_network_of(on_chip: OnChip, quantized: Graph) -> bool:
    """Return whether ``quantized`` is what the program computes, as of a finished program.

    Lowering that network may give other registers that compute the same.
    """
    try:
        network = on_chip.network()
    except ValueError:
        return False
    if network.nodes.keys() != quantized.nodes.keys():
        return False
    (arrays, data), (others, rest) = (
        pack_graph(Graph(graph.nodes, graph.edges, dt=graph.dt)) for graph in (network, quantized)
    )
    try:
        check_same_arrays(arrays, others)
        check_same_data(_plain(data), _plain(rest))
    except ValueError:
        return False
    return True


def _labels(graph: Graph) -> list[str]:
    nodes = graph.of(Output)
    return [nodes[name].label for name in graph.output_nodes]


def _plain(data: Any) -> Any:
    """Return data as JSON returns it: with lists instead of tuples."""
    if isinstance(data, Mapping):
        return {key: _plain(value) for key, value in data.items()}
    return [_plain(each) for each in data] if isinstance(data, list | tuple) else data


def check_ledger(ledger: Ledger, graph: Graph, chip: SpecBase) -> None:
    """Check that the ledger is one of this network on this chip."""
    if ledger.chip != chip.name:
        raise ValueError(f"is of chip {ledger.chip!r}, the artifact's is {chip.name!r}")
    layers = [name for name, node in graph.nodes.items() if type(node) is not Output]
    found = [entry.layer for entry in ledger.entries][: len(layers)]
    if found != layers:
        raise ValueError(f"has layers {brief(found)}, the network {brief(layers)}")
    if text := _difference({**ledger.provenance}, provenance_of(graph, chip), "", former=False):
        raise ValueError(f"provenance: {text}")


def check_findings(findings: tuple[Diagnostic, ...]) -> None:
    """Check that no finding is an error, which a deployment does not have."""
    for finding in findings:
        if is_error(finding):
            raise ValueError(f"contains an error: {finding.where}: {finding.message}")


def check_latent(latent: Mapping[str, Array] | None, quantized: Graph) -> None:
    """Check that unrounded parameters are those of the integer network."""
    if latent is not None:
        check_latents(latent, quantized)


def check_activity(
    activity: Activity | None, on_chip: OnChip, quantized: Graph, *, former: bool = False
) -> None:
    """Check that the counts are of the program's layers and timestep.

    The input may have another name in ``former`` formats.
    """
    if activity is None:
        return
    first, *layers = (layer.name for layer in activity.layers)
    found, wanted = [first, *layers], [quantized.input, *on_chip.placement()]
    if (layers if former else found) != (wanted[1:] if former else wanted):
        raise ValueError(f"has layers {brief(found)}, the program {brief(wanted)}")
    if activity.dt != quantized.dt:
        raise ValueError(f"has dt {activity.dt} s, the program {quantized.dt} s")
