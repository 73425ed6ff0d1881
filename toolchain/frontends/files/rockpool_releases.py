"""Layers as other releases and modules of rockpool save them, completed to those of LIFTorch.

A field that a release did not save has one meaning there:

===============  ============  ==================================================================
missing field    new in        meaning
===============  ============  ==================================================================
``leak_mode``    2.6           the mode whose two fields the layer has
``_has_rec``     2.8           recurrent where there is ``w_rec``, which only such layers saved
``w_rec``        2.8           no recurrence; its shape follows from the other fields and layers
===============  ============  ==================================================================

The Jax modules of rockpool compute the same as the Torch modules of their name and have the same
fields, without those of the surrogate gradient.

Source: files and networks of rockpool 2.5, 2.6, 2.7, 2.8, 2.9, 3.0 and 3.1 as observed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from toolchain.diagnostics import ModelFileError
from toolchain.frontends.files.rockpool_fields import LEAKS, RockpoolValue, SavedLayer

__all__ = ["completed"]

_SAME = {"LIFJax": "LIFTorch", "LinearJax": "LinearTorch", "ExpSynJax": "ExpSynTorch"}
"""Modules by the name of the Torch module that computes the same."""
_GRADIENT: Mapping[str, RockpoolValue] = {
    "learning_window": np.asarray(0.5),
    "spike_generation_fn": None,
}
"""Fields of the surrogate gradient; no spike depends on them."""
_SINCE = {"leak_mode": "2.6", "_has_rec": "2.8"}


def completed(layers: Sequence[SavedLayer]) -> tuple[list[SavedLayer], dict[str, str]]:
    """Return the layers with the fields of the newest release, and notes for the provenance.

    Args:
        layers: the layers of a file, in order of computation.

    Raises:
        ModelFileError: layers of different releases.
    """
    renamed = [_as_torch(layer) for layer in layers]
    notes: dict[str, str] = {}
    if names := {old.kind: new.kind for old, new in zip(layers, renamed, strict=True)}:
        other = [f"{old} as {new}" for old, new in names.items() if old != new]
        notes |= {"modules": f"{', '.join(other)}, which computes the same"} if other else {}
    missing = _missing(renamed, [layer for layer in layers if layer.kind not in _SAME])
    if missing:
        notes["file_age"] = _age(missing)
    result: list[SavedLayer] = []
    columns: int | None = None
    readings: dict[str, list[str]] = {}
    for layer, following in zip(renamed, [*renamed[1:], None], strict=True):
        found, taken = _complete(layer, columns, following)
        for reading in taken:
            readings.setdefault(reading, []).append(layer.name)
        result.append(found)
        columns = _outputs(found, columns)
    if readings:
        texts = [f"{reading} in {', '.join(names)}" for reading, names in readings.items()]
        notes["readings"] = "; ".join(texts)
    return result, notes


def _as_torch(layer: SavedLayer) -> SavedLayer:
    kind = _SAME.get(layer.kind)
    if kind is None:
        return layer
    values = {**(_GRADIENT if kind == "LIFTorch" else {}), **layer.values}
    return replace(layer, kind=kind, values=values)


def _is_lif(layer: SavedLayer) -> bool:
    return layer.kind in ("LIFTorch", "aLIFTorch")


def _missing(layers: Sequence[SavedLayer], dated: Sequence[SavedLayer]) -> tuple[str, ...]:
    """Return the fields that no spiking layer of the file has, oldest first.

    Args:
        layers: all layers.
        dated: the layers whose fields differ between releases.

    Raises:
        ModelFileError: some layers have a field that others lack.
    """
    found: tuple[str, ...] = ()
    for field in _SINCE:
        lacking = [layer.name for layer in dated if _is_lif(layer) and field not in layer.values]
        having = [layer.name for layer in layers if _is_lif(layer) and field in layer.values]
        if lacking and having:
            raise ModelFileError(
                f"{lacking[0]}: is missing {field}, which {having[0]} has; no release of rockpool "
                "saves both in one file"
            )
        found += (field,) if lacking else ()
    return found


def _age(missing: tuple[str, ...]) -> str:
    """Describe the releases that save no such fields."""
    oldest = min(_SINCE[field] for field in missing)
    lacks = " and ".join(f"no {field} (new in {_SINCE[field]})" for field in missing)
    return f"rockpool before {oldest}, by its fields: {lacks}"


def _complete(
    layer: SavedLayer, columns: int | None, following: SavedLayer | None
) -> tuple[SavedLayer, list[str]]:
    """Return a layer with every field, and what was read into it.

    Args:
        layer: the layer.
        columns: number of its inputs, if known.
        following: the layer after it.
    """
    # a parameter that is absent is saved as null by some modules
    absent = {name for name in ("bias", "w_rec") if layer.values.get(name, 0) is None}
    values = {name: value for name, value in layer.values.items() if name not in absent}
    if not _is_lif(layer):
        return replace(layer, values=values), []
    readings = []
    modes = [mode for mode, fields in LEAKS.items() if set(fields) <= values.keys()]
    if "leak_mode" not in values and len(modes) == 1:
        values["leak_mode"] = modes[0]
        readings.append(f"leak_mode {modes[0]}")
    if "_has_rec" not in values:
        values["_has_rec"] = "w_rec" in values
        readings.append("recurrent" if "w_rec" in values else "not recurrent")
    if "w_rec" not in values and not values["_has_rec"]:
        neurons, synapses = _size(values, columns, following)
        if neurons:
            values["w_rec"] = np.zeros((neurons, neurons * synapses))
    return replace(layer, values=values), readings


def _size(
    values: Mapping[str, RockpoolValue], columns: int | None, following: SavedLayer | None
) -> tuple[int, int]:
    """Return the number of neurons, 0 if it is unknown, and of synapses a neuron."""
    lengths = [value.shape for name, value in values.items() if isinstance(value, np.ndarray)]
    neurons = max((shape[0] for shape in lengths if shape), default=1)
    synapses = max((shape[1] for shape in lengths if len(shape) == 2), default=0)
    if neurons == 1 and following is not None:
        neurons = next(_rows(following), 1)
    if neurons == 1 and columns is not None:
        # a single constant for all neurons: without a second axis they have one synapse each
        neurons = columns // max(synapses, 1)
    if synapses == 0:
        synapses = 1 if columns is None else max(columns // max(neurons, 1), 1)
    return neurons, max(synapses, 1)


def _rows(layer: SavedLayer) -> Iterator[int]:
    weight = layer.values.get("weight")
    if isinstance(weight, np.ndarray) and weight.ndim == 2:
        yield weight.shape[0]


def _outputs(layer: SavedLayer, columns: int | None) -> int | None:
    """Return the number of outputs of a layer with ``columns`` inputs, if known."""
    for name, axis in (("weight", 1), ("w_rec", 0)):
        value = layer.values.get(name)
        if isinstance(value, np.ndarray) and value.ndim == 2:
            return int(value.shape[axis])
    return columns
