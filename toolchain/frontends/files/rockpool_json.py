"""Import of the JSON files of rockpool's ``module.save()``; rockpool is not needed.

The file contains the parameters of every layer by name, each as a JSON text within JSON, but not
the connections of the layers. These follow from the names in two cases, and only those are
supported: the numbered layers of ``Sequential``, and the layer names of ``SynNet``. Everything else
needs the network itself, from a factory.

A layer's numbers pass through the same adapter as those of the layer in memory (``rockpool``). The
result is checked against rockpool's equations (``rockpool_check``).

Source: files of rockpool 2.5 to 3.1 as observed; ``rockpool_releases`` completes older ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import isclose
from typing import Any, TypeAlias

import numpy as np

from toolchain.arrays import Shape
from toolchain.diagnostics import GraphError, ModelFileError
from toolchain.frontends.files.json_text import NUMBERS, number_array, parse_json
from toolchain.frontends.files.rockpool_check import check_layers
from toolchain.frontends.files.rockpool_fields import (
    RockpoolValue,
    SavedLayer,
    fragment_of,
    outputs_of,
)
from toolchain.frontends.files.rockpool_releases import completed
from toolchain.frontends.frameworks.adapter import Fragment
from toolchain.ir import Edge, Graph, Input, Node, Output, membrane_of
from toolchain.report import visible

__all__ = ["Tree", "read_tree", "to_graph"]


@dataclass(frozen=True, slots=True)
class LayerFields:
    """The fields of one layer, by the layer's attribute names."""

    values: Mapping[str, RockpoolValue]


Tree: TypeAlias = "Mapping[str, Tree] | LayerFields"
"""Layers by name, including groups of layers."""

_MAX_LEVELS = 6
_FACTORY = (
    "pass factory='module:function', which builds a network whose load() reads the file, and "
    "sample="
)

# ---- the file ----


def read_tree(data: bytes) -> Tree:
    """Parse the file into its tree of layers.

    Raises:
        ValueError: damaged, too large, or not a file of ``module.save()``.
        ModelFileError: a module with values besides its layers.
    """
    return _tree(parse_json(data.decode("utf-8-sig")), "", 0)


def _tree(found: Any, path: str, level: int) -> Tree:
    where = path or "the outermost object"
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{where} contains no layers")
    if level > _MAX_LEVELS:
        raise ValueError(f"{where}: layers nested in more than {_MAX_LEVELS} groups")
    for key in found:
        if not key.isprintable():
            raise ValueError(f"the name {visible(key[:80], one_line=True)} is not printable")
    inner = {key: value for key, value in found.items() if isinstance(value, dict)}
    if len(inner) == len(found):
        return {key: _tree(value, _join(path, key), level + 1) for key, value in found.items()}
    if inner:
        names = sorted(found.keys() - inner.keys())
        for name in names:
            _value(_join(path, name), found[name])
        own = ", ".join(names)
        raise ModelFileError(
            f"{where} has values of its own ({own[:200]}) besides its layers; their use is not "
            f"stored in the file; {_FACTORY}"
        )
    return LayerFields({key: _value(_join(path, key), value) for key, value in found.items()})


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _value(path: str, text: Any) -> RockpoolValue:
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(
            f"{path[:200]} is {type(text).__name__}, expected a string as rockpool writes it"
        )
    if text == "Infinity" and path.endswith(".max_spikes_per_dt"):
        return np.asarray(np.inf)
    try:
        if NUMBERS.fullmatch(text):
            return number_array(text)
        value = json.loads(text[:200])
    except ValueError as fault:
        raise ValueError(f"{path[:200]}: {fault}") from None
    if not isinstance(value, bool | str):
        raise ValueError(f"{path[:200]}: is neither numbers nor a name")
    return value


# ---- order of the layers ----

_NUMBERED = re.compile(r"(\d{1,4})_(\w+)", re.ASCII)
_NEVER = 2**15 - 1
_SYNNET = {"linear": "LinearTorch", "neurons": "LIFTorch", "dropout": "TimeStepDropout"}


@dataclass(frozen=True, slots=True)
class _Chain:
    """The layers in order of computation, and what is known of the network around them.

    Attributes:
        layers: the layers.
        never: threshold of the outputs of a SynNet whose output is the membrane; None if the
            network is no SynNet.
        notes: for the provenance.
    """

    layers: list[SavedLayer]
    never: float | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


def _chain(tree: Tree) -> _Chain:
    """Return the layers in order of computation."""
    if isinstance(tree, LayerFields):
        raise ModelFileError(
            "contains one layer without its class; save a Sequential(...) of the layers"
        )
    inside = tree.get("seq")
    if len(tree) > 1 or inside is None or isinstance(inside, LayerFields):
        return _Chain(list(_sequential(tree, "")))
    if not _numbered_synnet(inside):
        return _Chain(list(_synnet(inside)), never=_NEVER)
    notes = {"synnet": "numbered layers, as rockpool 2.6 to 2.8 names them"}
    return _Chain(list(_sequential(inside, "seq")), never=100, notes=notes)


def _numbered_synnet(group: Mapping[str, Tree]) -> bool:
    """Return whether the layers are those of a SynNet of rockpool 2.6 to 2.8.

    ``0_LinearTorch, 1_LIFTorch, 2_TimeStepDropout``, for each hidden layer, and the readout
    without dropout. A network of the user's own that calls its layers ``seq`` may use them in
    another way, and is hardly of this form.
    """
    matches = map(_NUMBERED.fullmatch, group)
    found = {int(match[1]): match[2] for match in matches if match is not None}
    kinds = [found.get(number, "") for number in range(len(group))]
    hidden, last = divmod(len(kinds), 3)
    triples = ["LinearTorch", "LIFTorch", "TimeStepDropout"] * hidden
    return hidden > 0 and last == 2 and kinds == [*triples, "LinearTorch", "LIFTorch"]


def _synnet(group: Mapping[str, Tree]) -> Iterator[SavedLayer]:
    """Yield ``0_linear, 0_neurons[, 0_dropout], 1_linear, ..., out_linear, out_neurons``."""
    order: list[str] = []
    hidden = 0
    while f"{hidden}_linear" in group:
        layers = [f"{hidden}_{layer}" for layer in _SYNNET]
        order += [name for name in layers if name in group or not name.endswith("dropout")]
        hidden += 1
    order += ["out_linear", "out_neurons"]
    if set(order) != group.keys():
        raise ModelFileError(
            f"seq: contains {', '.join(sorted(group))[:300]}, which are not the layers of a "
            f"SynNet; their connections are not stored in the file; {_FACTORY}"
        )
    for name in order:
        layer = group[name]
        if not isinstance(layer, LayerFields):
            raise ModelFileError(f"seq.{name}: is not a layer")
        yield SavedLayer(f"seq.{name}", _SYNNET[name.rpartition("_")[2]], layer.values)


def _sequential(group: Mapping[str, Tree], path: str) -> Iterator[SavedLayer]:
    """Yield ``0_LinearTorch, 1_LIFTorch, ...``, the layer names of Sequential."""
    found = {name: _NUMBERED.fullmatch(name) for name in group}
    numbers = {int(match[1]): name for name, match in found.items() if match is not None}
    if len(numbers) < len(group) or sorted(numbers) != list(range(len(numbers))):
        raise ModelFileError(
            f"{path or 'the network'}: its layers are {', '.join(sorted(group))[:300]}; their "
            f"connections are not stored in the file, and only follow from the layer names of "
            f"Sequential (0_LinearTorch, 1_LIFTorch, ...) and SynNet; {_FACTORY}"
        )
    for _, name in sorted(numbers.items()):
        layer, match, where = group[name], found[name], _join(path, name)
        assert match is not None
        if isinstance(layer, LayerFields):
            yield SavedLayer(where, match[2], layer.values)
        elif match[2] in ("TorchSequential", "JaxSequential"):
            yield from _sequential(layer, where)
        else:
            raise ModelFileError(
                f"{where}: is a {match[2]}; how it connects its layers is not stored in the file; "
                f"{_FACTORY}"
            )


# ---- layers ----


@dataclass(slots=True)
class _GraphBuilder:
    """Nodes and edges of the layers added so far."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    dts: dict[str, float] = field(default_factory=dict)
    last: str = ""

    def add_layer(self, layer: SavedLayer, features: Shape) -> Shape | None:
        """Add the next layer or record a problem; return its output shape, if known."""
        try:
            fragment, output_shape = fragment_of(layer, features)
        except ValueError as fault:
            self.problems.append(f"{layer.name}: {fault}")
            return outputs_of(layer, features)
        self.add(layer.name, fragment)
        return output_shape

    def add(self, name: str, fragment: Fragment) -> None:
        """Append the nodes of the next layer."""
        self.nodes |= fragment.nodes
        self.edges += [*fragment.edges, Edge(self.last, fragment.entry)]
        self.last = fragment.exit
        if fragment.dt is not None:
            self.dts[name] = fragment.dt


def to_graph(tree: Tree, where: str, dt: float | None = None) -> Graph:
    """Return the Graph of a file, equal to that of the network in memory.

    Args:
        tree: result of ``read_tree``.
        where: the file's name, for the provenance.
        dt: length of a timestep, s; must agree with the dt of the layers.

    Raises:
        ModelFileError: the file is ambiguous or has unsupported layers (the message lists all), or
            the Graph differs from the file's equations (names the first difference).
    """
    chain = _chain(tree)
    layers, notes = completed(chain.layers)
    features = _inputs(layers[0])
    builder = _GraphBuilder(nodes={"input": Input(shape=features)}, last="input")
    input_shape = features
    for layer in layers:
        shape = builder.add_layer(layer, features)
        if shape is None:
            break
        features = shape
    _refuse(builder.problems)
    membranes = _outputs_membrane(chain, layers[-1])
    if membranes:
        notes |= _below(chain)
        last = builder.nodes[layers[-1].name]
        builder.nodes[layers[-1].name] = membrane_of(last)
    if features == input_shape and chain.never is None:
        raise ModelFileError(
            f"a Sequential and a Residual of the same layers are saved alike, and {features[0]} "
            f"inputs with as many outputs fit both; {_FACTORY}"
        )
    builder.add("output", Fragment.of("output", Output()))
    provenance = {
        "framework": "rockpool",
        "file": where,
        "topology": "in the order of the layers' names",
        **chain.notes,
        **notes,
    }
    try:
        graph = Graph(builder.nodes, builder.edges, dt=_dt(builder.dts, dt), provenance=provenance)
    except GraphError as fault:
        raise ModelFileError(f"the layers do not fit together: {fault}") from None
    return check_layers(graph, layers, membranes=membranes)


def _inputs(first: SavedLayer) -> Shape:
    """Return the input shape of the first layer per timestep."""
    sizes = {"weight": 0, "w_rec": 1, "threshold": 0, "tau_mem": 0, "tau": 0}
    for name, axis in sizes.items():
        value = first.values.get(name)
        if isinstance(value, np.ndarray) and value.ndim > axis:
            return (value.shape[axis],)
    raise ModelFileError(
        f"{first.name}: is the first layer, and its number of inputs is not stored in the file"
    )


def _outputs_membrane(chain: _Chain, last: SavedLayer) -> bool:
    """Return whether a SynNet has output='vmem', which its threshold reveals."""
    threshold = last.values.get("threshold")
    return isinstance(threshold, np.ndarray) and bool((threshold == chain.never).all())


def _below(chain: _Chain) -> dict[str, str]:
    """Return a note on a threshold that a membrane may reach; 2**15 - 1 means never."""
    if chain.never == _NEVER:
        return {}
    return {"membranes": f"equal below {chain.never:g}, where outputs of these releases spike"}


def _refuse(problems: list[str]) -> None:
    if problems:
        lines = problems if len(problems) == 1 else [f"{len(problems)} problems:", *problems]
        raise ModelFileError("\n  ".join(lines))


def _dt(found: Mapping[str, float], given: float | None) -> float | None:
    claims = {name or "the layer": dt for name, dt in found.items()}
    if given is not None:
        claims = {"the argument dt": given, **claims}
    for (one, first), (other, second) in pairwise(claims.items()):
        if not isclose(first, second, rel_tol=1e-9):
            raise ModelFileError(f"conflicting dt: {first:g} s in {one}, {second:g} s in {other}")
    return next(iter(claims.values()), None)
