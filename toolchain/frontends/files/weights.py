"""Loading of saved weights into their network, all of them or none.

A ``state_dict`` does not define its network; the user's factory builds it. Every name and shape in
the file must be in the network and vice versa. These differences are allowed and noted: neuron
states of a run, which some frameworks save with the batch; name prefixes added by training tools,
with entries outside of them, such as a loss or a count; constants of neurons that the file does not
have, which keep the factory's values, or that it has with shape (1,) for () or the reverse; and the
count of batches in layers of torch before 0.4.1. Weights are matched by name, never by their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import ModelFileError
from toolchain.report import visible

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["fill", "find_weights"]

STATES = {"v_mem", "i_syn", "vmem", "isyn", "spikes", "mem", "syn", "spk"}
"""Names of neuron states in layers of sinabs, rockpool and snnTorch."""
THRESHOLDS = {"spike_threshold", "min_v_mem", "threshold"}
THRESHOLDS |= {"graded_spikes_factor", "reset_mechanism_val"}
"""Constants of neurons that not every release of the frameworks saves."""
DECAYS = {"tau_mem", "tau_syn", "tau_adapt", "alpha_mem", "alpha_syn", "alpha", "beta"}
"""Other constants of neurons, which a network without spikes does not have."""
_COMPILED = "_orig_mod."
"""Part of every name in a compiled module, wherever it is compiled."""
ADAPTIVE_STATES = {"b", "spike_threshold"}
"""Further names in layers whose threshold adapts to the spikes, in sinabs."""
_KEEP_STATES = {"norse", "rockpool", "sinabs", "snntorch", "spikingjelly", "toolchain"}


def find_weights(saved: Any, entry: str | None = None) -> tuple[dict[str, Array], str | None]:
    """Return the weights in a saved value, and the entry that contained them, if any.

    Args:
        saved: the value.
        entry: name of the entry of a checkpoint, if several hold weights.

    Raises:
        ModelFileError: no weights, or several entries with weights.
    """
    if not isinstance(saved, dict):
        raise ModelFileError(f"contains {type(saved).__name__}, expected weights by name")
    inside = {str(key): value for key, value in saved.items() if _weights(value)}
    for name in (*map(str, saved), *(name for weights in inside.values() for name in weights)):
        if not name.isprintable():
            shown = visible(name[:80], one_line=True)
            raise ModelFileError(f"contains the name {shown}, which is not printable")
    if entry is not None:
        if entry not in inside:
            found = ", ".join(inside) or "none"
            raise ModelFileError(f"has no entry {entry!r} with weights; such entries: {found}")
        return inside[entry], entry
    if _weights(saved):
        return saved, None
    if len(inside) == 1:
        ((key, weights),) = inside.items()
        return weights, key
    if inside:
        raise ModelFileError(
            f"contains weights in several entries: {', '.join(inside)}; choose one with "
            f"entry={next(iter(inside))!r}"
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
                [
                    f"the weights do not fit {type(module).__name__}:",
                    *sorted(best.problems),
                    *_advice(weights),
                ]
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
    """Yield the names unchanged, and without each prefix that the names of the weights share."""
    plain = {name.replace(_COMPILED, ""): value for name, value in weights.items()}
    compiled = ""
    if plain.keys() != weights.keys() and len(plain) == len(weights):
        weights, compiled = plain, _COMPILED
    fitting = _fitting(module, weights, wanted)
    for prefix in dict.fromkeys(["", *_shared(weights), *fitting]):
        inside = {n.removeprefix(prefix): v for n, v in weights.items() if n.startswith(prefix)}
        others = sorted(name for name in weights if not name.startswith(prefix))
        parts = ", ".join(filter(None, (prefix, compiled)))
        noted = {"prefix_left_out": parts} if parts else {}
        if others:
            noted["others_left_out"] = ", ".join(others)
        match = _match(module, inside, wanted, noted)
        if others and len(fitting) > 1:
            groups = " and ".join(f"{name}*" for name in fitting)
            match.problems.append(f"several groups of names fit: {groups}; save one of them alone")
        yield match


def _fitting(
    module: nn.Module, weights: Mapping[str, Array], wanted: Mapping[str, torch.Tensor]
) -> list[str]:
    """Return the prefixes with which every name that the network needs is in the file."""
    found: set[str] | None = None
    for name, value in wanted.items():
        if _is_state(module, name) or _is_constant(module, name, value) or _is_count(name):
            continue
        ends = {n.removesuffix(name) for n in weights if n == name or n.endswith(f".{name}")}
        found = ends if found is None else found & ends
    return sorted(found or ())


def _shared(weights: Mapping[str, Array]) -> Iterator[str]:
    """Yield each prefix that all names share."""
    parts = [name.split(".")[:-1] for name in weights]
    prefix = ""
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1 or not level[0]:
            return
        prefix += f"{level[0]}."
        yield prefix


def _match(
    module: nn.Module,
    weights: Mapping[str, Array],
    wanted: Mapping[str, torch.Tensor],
    notes: dict[str, str],
) -> _WeightMatch:
    states = sorted(name for name in weights if _is_state(module, name))
    taken = {
        name: _shaped_as(wanted.get(name), value, module, name)
        for name, value in weights.items()
        if name not in states
    }
    if states:
        notes = {**notes, "states_left_out": ", ".join(states)}
    problems = [f"{name}: is not in the network" for name in sorted(taken.keys() - wanted.keys())]
    missing = wanted.keys() - taken.keys()
    stored = {wanted[name].data_ptr() for name in taken.keys() & wanted.keys()}
    constants = []
    for name in sorted(missing):
        tied = wanted[name].numel() > 0 and wanted[name].data_ptr() in stored
        if tied or _is_state(module, name) or _is_count(name):
            continue
        if _may_stay(module, name, wanted[name], taken):
            constants.append(f"{name} = {_value(wanted[name])}")
        else:
            problems.append(f"{name}: is not in the file; similar names: {_similar(name, weights)}")
    if constants:
        notes = {**notes, "kept_from_factory": ", ".join(constants)}
    for name in sorted(taken.keys() & wanted.keys()):
        problems += _mismatches(name, taken[name], wanted[name])
    return _WeightMatch(taken, notes, problems)


def _shaped_as(wanted: torch.Tensor | None, value: Array, module: nn.Module, name: str) -> Array:
    """Return a constant of neurons, which is one number, in the shape of the network."""
    if wanted is None or value.size != 1 or wanted.numel() != 1 or wanted.ndim + value.ndim != 1:
        return value
    return value.reshape(wanted.shape) if _is_constant(module, name, wanted) else value


def _may_stay(
    module: nn.Module, name: str, value: torch.Tensor, taken: Mapping[str, Array]
) -> bool:
    """Return whether a constant that is missing in the file keeps the factory's value.

    Thresholds and floors may, which older releases did not save; and every constant of a spiking
    layer of which the file has nothing, as that of a network without spikes.
    """
    owner, _, last = name.rpartition(".")
    if not _is_constant(module, name, value):
        return False
    return last in THRESHOLDS or not any(other.startswith(f"{owner}.") for other in taken)


def _is_constant(module: nn.Module, name: str, value: torch.Tensor) -> bool:
    last = name.rpartition(".")[2]
    return (
        last in THRESHOLDS | DECAYS
        and value.ndim <= 1
        and (_framework_layer(module, name) is not None)
    )


def _value(constant: torch.Tensor) -> str:
    values = constant.detach().ravel().tolist()
    if len(set(values)) == 1:
        return f"{values[0]:g}"
    return f"{min(values, default=0):g}..{max(values, default=0):g}"


_ADVICE = (
    "if the same weights have other names, load them in your own code, "
    "network.load_state_dict({rename(name): w for name, w in weights.items()}), and give the "
    "network to extract or deploy"
)


def _advice(weights: Mapping[str, Array]) -> Iterator[str]:
    """Yield how to save weights that a tool has split, and how to load others."""
    ends = (".original0", ".original", "weight_g", "weight_orig")
    split = next((name for name in weights if name.endswith(ends)), None)
    if split is None:
        yield _ADVICE
    elif split.endswith("weight_orig"):
        yield (
            f"{split} is a pruned weight: torch.nn.utils.prune.remove(layer, 'weight') before "
            "saving makes it one tensor"
        )
    else:
        yield (
            f"{split} is a part of a weight: torch.nn.utils.parametrize."
            "remove_parametrizations(layer, 'weight') before saving makes it one tensor"
        )


def _similar(name: str, weights: Mapping[str, Array]) -> str:
    from difflib import get_close_matches

    return ", ".join(get_close_matches(name, weights, n=2)) or "none"


def _is_state(module: nn.Module, name: str) -> bool:
    last = name.rpartition(".")[2]
    layer = _framework_layer(module, name)
    if last in ADAPTIVE_STATES:
        return layer is not None and type(layer).__name__.startswith("ALIF")
    return last in STATES and layer is not None


def _is_count(name: str) -> bool:
    """Return whether this is a count of batches: torch before 0.4.1 has none, training reads it."""
    return name.rpartition(".")[2] == "num_batches_tracked"


def _framework_layer(module: nn.Module, name: str) -> nn.Module | None:
    """Return the layer of one of the frameworks that an entry belongs to; None for other layers."""
    try:
        layer = module.get_submodule(name.rpartition(".")[0])
    except AttributeError:
        return None
    origins = {cls.__module__.split(".")[0] for cls in type(layer).__mro__}
    return layer if origins & _KEEP_STATES else None


def _mismatches(name: str, value: Array, wanted: torch.Tensor) -> Iterator[str]:
    if value.shape != tuple(wanted.shape):
        shape = tuple(wanted.shape)
        yield f"{name}: has shape {value.shape} in the file and {shape} in the network"
    if (value.dtype.kind == "f") != wanted.is_floating_point():
        yield f"{name}: is {value.dtype} in the file and {wanted.dtype} in the network"
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        yield f"{name}: contains values that are not finite"
