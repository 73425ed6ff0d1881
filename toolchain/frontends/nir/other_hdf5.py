"""Names of HDF5 files that are no NIR files, by the entries at their top."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["what_else"]

_KINDS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(names.split()), what)
    for names, what in (
        (
            "layer",
            "as in a network of lava-dl (.net), which is not read; build the network in torch, "
            "copy its weights, and extract that, or export it to NIR",
        ),
        ("model_weights", "as in a Keras model, which contains no spiking neurons"),
        ("_layer_checkpoint_dependencies", "as in a Keras model, which has no spiking neurons"),
        ("CD", "as in a recording of events (Prophesee); give its events to simulate()"),
        ("events", "as in a recording of events; give them to simulate() with fields x, y, t, p"),
        ("x y t", "as in a recording of events; give them to simulate() with fields x, y, t, p"),
        ("spikes labels", "as in a data set of spikes; give them to simulate() as counts"),
        ("units", "as in a recording of neurons (NWB), which is no network"),
    )
)


def what_else(names: Iterable[str]) -> str:
    """Return what a file with these entries is, to be appended to a message; empty if unknown.

    >>> what_else(["layer", "simulation"])[:34]
    ', as in a network of lava-dl (.net'
    """
    found = set(names)
    for needed, what in _KINDS:
        if needed <= found:
            return f", {what}"
    if any(name.endswith((".weight", ".bias")) for name in found):
        return ", as in weights alone; save them as safetensors, and load them with factory="
    return ""
