"""Loading of saved weights into their network, all of them or none.

A ``state_dict`` does not define its network; the user's factory builds it. Every name and shape in
the file must be in the network and vice versa. Two differences are allowed and noted: neuron states
of a run, which some frameworks save with the batch, and name prefixes added by training tools.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import ModelFileError

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["fill", "find_weights"]

STATES = {"v_mem", "i_syn", "vmem", "isyn", "spikes", "mem", "syn", "spk"}
"""Names of neuron states in layers of sinabs, rockpool and snnTorch."""
ADAPTIVE_STATES = {"b", "spike_threshold"}
"""Further names in layers whose threshold adapts to the spikes, in sinabs."""
_KEEP_STATES = {"norse", "rockpool", "sinabs", "snntorch", "spikingjelly", "toolchain"}


def find_weights(saved: Any) -> tuple[dict[str, Array], str | None]:
    """Return the weights in a saved value, and the entry that contained them, if any.

    Raises:
        ModelFileError: no weights, or several entries with weights.
    """
    if not isinstance(saved, dict):
        raise ModelFileError(f"contains {type(saved).__name__}, expected weights by name")
    if _weights(saved):
        return saved, None
    inside = {str(key): value for key, value in saved.items() if _weights(value)}
    if len(inside) == 1:
        ((key, weights),) = inside.items()
        return weights, key
    if inside:
        raise ModelFileError(
            f"contains weights in several entries: {', '.join(inside)}; save only one of them"
        )
    entries = ", ".join(str(key) for key in saved) or "nothing"
    raise ModelFileError(f"contains no weights by name in any of its entries: {entries}")


def _weights(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, np.ndarray) for k, v in value.items())
    )


def fill(module: nn.Module, weights: Mapping[str, Array]) -> dict[str, str]:
    """Load ``weights`` into ``module`` and return notes on what was omitted, for the provenance.

    If the weights are in double precision, the network becomes double.

    Raises:
        ModelFileError: missing names, unknown names or other shapes (the message lists all).
    """
    import torch

    wanted: dict[str, torch.Tensor] = module.state_dict()
    best = min(_matches(module, weights, wanted), key=lambda r: len(r.problems))
    if best.problems:
        raise ModelFileError(
            "\n  ".join(
                [f"the weights do not fit {type(module).__name__}:", *sorted(best.problems)]
            )
        )
    if any(value.dtype == np.float64 for value in best.taken.values()):
        module.double()
    # copied, since torch must not write into the bytes of the file
    loaded = {name: torch.from_numpy(value.copy()) for name, value in best.taken.items()}
    try:
        module.load_state_dict({**module.state_dict(), **loaded})
    except (RuntimeError, KeyError) as fault:
        raise ModelFileError(f"{type(module).__name__} rejects the weights: {fault}") from None
    return best.notes


@dataclass(frozen=True, slots=True)
class _WeightMatch:
    """One assignment of the file's names: weights to load, notes, and problems."""

    taken: dict[str, Array]
    notes: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def _matches(
    module: nn.Module, weights: Mapping[str, Array], wanted: Mapping[str, torch.Tensor]
) -> Iterator[_WeightMatch]:
    """Yield the names unchanged, and without each prefix that all of them share."""
    prefix = ""
    while True:
        stripped = {name.removeprefix(prefix): value for name, value in weights.items()}
        notes = {"prefix_left_out": prefix} if prefix else {}
        yield _match(module, stripped, wanted, notes)
        first = next(iter(stripped)).partition(".")[0]
        if not first or not all(name.startswith(f"{first}.") for name in stripped):
            return
        prefix += f"{first}."


def _match(
    module: nn.Module,
    weights: Mapping[str, Array],
    wanted: Mapping[str, torch.Tensor],
    notes: dict[str, str],
) -> _WeightMatch:
    states = sorted(name for name in weights if _is_state(module, name))
    taken = {name: value for name, value in weights.items() if name not in states}
    if states:
        notes = {**notes, "states_left_out": ", ".join(states)}
    problems = [f"{name}: is not in the network" for name in sorted(taken.keys() - wanted.keys())]
    missing = wanted.keys() - taken.keys()
    kept = {wanted[name].data_ptr() for name in taken.keys() & wanted.keys()}
    for name in sorted(missing):
        tied = wanted[name].numel() > 0 and wanted[name].data_ptr() in kept
        if not tied and not _is_state(module, name):
            problems.append(f"{name}: is not in the file; similar names: {_similar(name, weights)}")
    for name in sorted(taken.keys() & wanted.keys()):
        problems += _mismatches(name, taken[name], wanted[name])
    return _WeightMatch(taken, notes, problems)


def _similar(name: str, weights: Mapping[str, Array]) -> str:
    from difflib import get_close_matches

    return ", ".join(get_close_matches(name, weights, n=2)) or "none"


def _is_state(module: nn.Module, name: str) -> bool:
    owner, _, last = name.rpartition(".")
    if last not in STATES | ADAPTIVE_STATES:
        return False
    try:
        layer = module.get_submodule(owner)
    except AttributeError:
        return False
    if last in ADAPTIVE_STATES and not type(layer).__name__.startswith("ALIF"):
        return False
    return any(cls.__module__.split(".")[0] in _KEEP_STATES for cls in type(layer).__mro__)


def _mismatches(name: str, value: Array, wanted: torch.Tensor) -> Iterator[str]:
    if value.shape != tuple(wanted.shape):
        shape = tuple(wanted.shape)
        yield f"{name}: has shape {value.shape} in the file and {shape} in the network"
    if (value.dtype.kind == "f") != wanted.is_floating_point():
        yield f"{name}: is {value.dtype} in the file and {wanted.dtype} in the network"
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        yield f"{name}: contains values that are not finite"
