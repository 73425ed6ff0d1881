"""Classification of a model's layers: with synapses, spiking, and the layout of their arrays.

Every module with parameters must be of a type listed here; any other raises an error with its path,
since its synapses would silently be missing from the count.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from toolchain.nn import StatefulLayer
from toolchain.nn.linear import LinearTorch

__all__ = [
    "CONVOLUTIONS",
    "DENSE",
    "TRANSPOSED",
    "Key",
    "ModelLayers",
    "batch_and_time",
    "emits_spikes",
    "is_squeezed",
    "keys",
    "survey",
]

Key = int | str

DENSE = (nn.Linear, LinearTorch)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)
# their parameters scale or shift each value on its own
_WITHOUT_SYNAPSES = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.PReLU,
    ParametrizationList,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLayers:
    """The layers of a model by type.

    Attributes:
        weighted: path -> layers with weights.
        recurrent: path -> layers with recurrent weights of their own (``w_rec``).
        feedback: spiking layer -> paths of the weighted layers that feed its spikes back.
        opaque: modules whose inside is not traced.
        spiking: path -> spiking layers.
    """

    weighted: dict[str, nn.Module]
    recurrent: dict[str, nn.Module]
    feedback: dict[nn.Module, list[str]]
    opaque: list[nn.Module]
    spiking: dict[str, nn.Module]


def survey(model: nn.Module, ignore: Collection[str | type[nn.Module]] = ()) -> ModelLayers:
    """Classify the layers of ``model``.

    Args:
        model: any tree of modules, or a single layer, whose path is empty.
        ignore: paths and types of modules to ignore, with all below them.

    Raises:
        ValueError: modules with parameters of unknown type (the message lists their paths); a path
            in ``ignore`` that does not exist.
    """
    paths = dict(model.named_modules())
    ignored = {path for path, module in paths.items() if _ignored(path, module, ignore)}
    missing = {name for name in ignore if isinstance(name, str)} - paths.keys()
    if missing:
        raise ValueError(f"ignore contains {sorted(missing)}, which the model does not have")
    counted = {path: m for path, m in paths.items() if not _within(path, ignored)}
    _refuse_unknown(counted)
    weighted = {path: module for path, module in counted.items() if _is_weighted(module)}
    recurrent = {path: module for path, module in counted.items() if _is_recurrent(module)}
    feedback = {
        module: [inner for inner in weighted if _within(inner, {f"{path}.rec_connect".lstrip(".")})]
        for path, module in counted.items()
        if isinstance(getattr(module, "rec_connect", None), nn.Module)
    }
    inside = [m for m in counted.values() if _is_weighted(m) or _is_neuron(m)]
    return ModelLayers(
        weighted=weighted,
        recurrent=recurrent,
        feedback=feedback,
        opaque=[*inside, *(paths[path] for path in ignored)],
        spiking={p: m for p, m in counted.items() if _is_stateful(m) and emits_spikes(m)},
    )


def keys(model: nn.Module, layers: ModelLayers) -> dict[str, Key]:
    """Return path -> key; the index if every layer is a direct child of an ``nn.Sequential``."""
    paths = [*layers.weighted, *layers.recurrent]
    order = {name: index for index, (name, _) in enumerate(model.named_children())}
    if isinstance(model, nn.Sequential) and all(path in order for path in paths):
        return {path: order[path] for path in paths}
    return {path: path for path in paths}


def emits_spikes(module: nn.Module) -> bool:
    """Return True if the output of a layer is spikes, False for membrane values."""
    does_spike = getattr(module, "does_spike", True) and getattr(module, "emits", "spikes")
    return does_spike in (True, "spikes")


def is_squeezed(module: nn.Module) -> bool:
    """Return True if a spiking layer takes (batch * time, ...)."""
    return any(cls.__name__ in ("Squeeze", "SqueezeMixin") for cls in type(module).__mro__)


def batch_and_time(module: nn.Module, rows: int) -> tuple[int, int]:
    """Return the (batch, time) of ``rows`` of a squeezed layer; ValueError if they do not fit."""
    split = getattr(module, "batch_and_time", None)
    if split is not None:
        batch, time = split(rows)
        return int(batch), int(time)
    batch = int(getattr(module, "batch_size", None) or -1)
    steps = int(getattr(module, "num_timesteps", None) or -1)
    if batch < 0:
        batch = rows // steps
    if batch < 1 or rows % batch:
        raise ValueError(f"{rows} rows are not a multiple of batch_size={batch}")
    return batch, rows // batch


def _is_weighted(module: nn.Module) -> bool:
    return isinstance(module, DENSE + CONVOLUTIONS)


def _is_stateful(module: nn.Module) -> bool:
    # by class name too, for the layers of sinabs without importing it
    names = (cls.__name__ for cls in type(module).__mro__)
    return isinstance(module, StatefulLayer) or "StatefulLayer" in names


def _is_neuron(module: nn.Module) -> bool:
    return _is_stateful(module) or type(module).__name__ == "NeuromorphicReLU"


def _is_recurrent(module: nn.Module) -> bool:
    has_weights = isinstance(getattr(module, "w_rec", None), Tensor)
    return has_weights and _is_stateful(module) and emits_spikes(module)


def _ignored(path: str, module: nn.Module, ignore: Collection[str | type[nn.Module]]) -> bool:
    return any(path == one if isinstance(one, str) else isinstance(module, one) for one in ignore)


def _within(path: str, roots: Collection[str]) -> bool:
    return any(root in ("", path) or path.startswith(f"{root}.") for root in roots)


def _refuse_unknown(counted: dict[str, nn.Module]) -> None:
    unknown = [
        f"{path or 'the model itself'} ({type(module).__name__})"
        for path, module in counted.items()
        if module._parameters
        and any(parameter is not None for parameter in module._parameters.values())
        and not (
            _is_weighted(module) or _is_neuron(module) or isinstance(module, _WITHOUT_SYNAPSES)
        )
    ]
    if unknown:
        raise ValueError(
            f"synapses cannot be counted in {', '.join(unknown)}; "
            "add modules without synapses, or not to be counted, to ignore"
        )
