"""Adapters that the layers of sinabs and of ``toolchain.nn`` share, under the same class names.

They read the attributes that both have; only the decay factors of a step are stored in different
places, so they are an argument.

Source: sinabs 3.1.3 as observed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor

from toolchain.arrays import Shape
from toolchain.frontends.frameworks import torch_nodes
from toolchain.frontends.frameworks.adapter import Fragment, UnsupportedError, array, pair
from toolchain.frontends.frameworks.feedback import dense_feedback, loop
from toolchain.ir import Add, MembraneReadout, Neuron, Sensor

__all__ = [
    "REFUSED",
    "DecayReader",
    "flatten_grid",
    "max_spikes",
    "merge",
    "readout",
    "recurrent",
    "sensor",
    "spiking",
    "sum_pool2d",
    "unflatten_grid",
]

DecayReader: TypeAlias = Callable[[Any], tuple[Tensor | None, Tensor | None, Tensor | None]]
"""Returns a layer's decay factors of membrane and synaptic current, and the gain, all per step."""

_ADAPTIVE = "its threshold adapts to its spikes, which no supported chip can do; use LIF"
_ENCODER = (
    "it encodes numbers as spikes; encode outside the network and give the spikes as the sample"
)

REFUSED: dict[str, str] = {
    "ALIF": _ADAPTIVE,
    "ALIFRecurrent": _ADAPTIVE,
    "QuantizeLayer": "it rounds numbers down, and spikes are whole numbers; leave it out",
    "SpikingMaxPooling2dLayer": "a maximum is not a sum of spikes; use SumPool2d or nn.AvgPool2d",
    "Img2SpikeLayer": _ENCODER,
    "Sig2SpikeLayer": _ENCODER,
}
"""Layers without a counterpart on a chip, by name, each with the reason and an alternative."""

_SHARED = ("sinabs", "toolchain")


def spiking(name: str, module: Any, features: Shape, *, decays: DecayReader) -> Fragment:
    """Convert IAF and LIF, also ``Squeeze``, to a Neuron."""
    node = Neuron(
        **_membrane(features, *decays(module)),
        v_threshold=array(module.spike_threshold),
        v_min=None if module.min_v_mem is None else array(module.min_v_mem),
        max_spikes=max_spikes(module.spike_fn),
        **_reset(module.reset_fn),
    )
    return Fragment.of(name, node)


def readout(name: str, module: Any, features: Shape, *, decays: DecayReader) -> Fragment:
    """Convert ExpLeak, also ``Squeeze``, to a Readout.

    Raises:
        UnsupportedError: ``min_v_mem`` is set.
    """
    if module.min_v_mem is not None:
        raise UnsupportedError(
            "min_v_mem: a readout without spikes has no lower bound; leave min_v_mem at None"
        )
    return Fragment.of(name, MembraneReadout(**_membrane(features, *decays(module))))


def recurrent(name: str, module: Any, features: Shape, *, decays: DecayReader) -> Fragment:
    """Convert IAFRecurrent and LIFRecurrent to a Neuron with feedback.

    Raises:
        UnsupportedError: ``rec_connect`` has a layer that is not linear.
    """
    (neuron,) = spiking(name, module, features, decays=decays).nodes.values()
    return loop(name, neuron, f"{name}.rec_connect", dense_feedback(module.rec_connect, features))


def _membrane(
    features: Shape, alpha_mem: Tensor | None, alpha_syn: Tensor | None, gain: Tensor | None
) -> dict[str, Any]:
    """Return the fields that Neuron and MembraneReadout share."""
    fields: dict[str, Any] = {"shape": features, "syn_order": "add_decay"}
    if alpha_mem is not None:
        fields["alpha_mem"] = array(alpha_mem)
    if alpha_syn is not None:
        fields["alpha_syn"] = array(alpha_syn)[..., None]
    if gain is not None:
        fields["gain"] = array(gain)
    return fields


def max_spikes(spike_fn: Any) -> int | None:
    """Return the maximum number of spikes per step of a spike function, None for no limit.

    Raises:
        UnsupportedError: the function is not one of sinabs or ``toolchain.nn``.
    """
    kind = _kind(spike_fn)
    if kind == "MaxSpike" and not isinstance(spike_fn, type):
        limit: int | None = spike_fn.max_num_spikes_per_bin
        return limit
    if kind in ("MultiSpike", "SingleSpike") and isinstance(spike_fn, type):
        return 1 if kind == "SingleSpike" else None
    raise UnsupportedError(
        f"spike_fn is {_name_of(spike_fn)}; supported are MultiSpike, MaxSpike and SingleSpike"
    )


def _reset(reset_fn: Any) -> dict[str, Any]:
    kind = _kind(reset_fn)
    if kind == "MembraneSubtract":
        return {"reset": "subtract", "reset_amount": reset_fn.subtract_value}
    if kind == "MembraneReset":
        kind = "additive" if reset_fn.reset_value else "value"
        return {"reset": kind, "v_reset": reset_fn.reset_value}
    raise UnsupportedError(
        f"reset_fn is {_name_of(reset_fn)}; supported are MembraneSubtract and MembraneReset"
    )


def _kind(value: object) -> str | None:
    """Return the name of a function or its class if it belongs to sinabs or ``toolchain.nn``."""
    cls = value if isinstance(value, type) else type(value)
    return cls.__qualname__ if cls.__module__.split(".", maxsplit=1)[0] in _SHARED else None


def _name_of(value: object) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__


def sum_pool2d(name: str, module: Any, features: Shape) -> Fragment:
    """Convert SumPool2d to the exact sum of integers.

    Raises:
        UnsupportedError: with ``ceil_mode`` the last windows are not whole.
    """
    ceil_mode = bool(getattr(module, "ceil_mode", False))
    nodes = torch_nodes.avg_pool(
        features, module.kernel_size, module.stride, ceil_mode=ceil_mode, divisor=1
    )
    return Fragment.chain(name, nodes, type(module).__name__)


def sensor(name: str, module: Any, features: Shape) -> Fragment:
    """Convert DVSLayer to a Sensor."""
    crop, flip = module.crop_layer, module.flip_layer
    node = Sensor(
        merge=module.merge_polarities,
        pool=pair(module.pool_layer.kernel_size),
        origin=(crop.top_crop, crop.left_crop),
        size=(crop.bottom_crop - crop.top_crop, crop.right_crop - crop.left_crop),
        flip_y=flip.flip_y,
        flip_x=flip.flip_x,
        swap_xy=flip.swap_xy,
        pixel_array=not module.disable_pixel_array,
    )
    return Fragment.of(name, node)


def merge(name: str, module: Any, features: Shape) -> Fragment:
    """Convert Merge, the sum of its inputs, to an Add."""
    return Fragment.of(name, Add())


def flatten_grid(module: Any, input_shape: Shape, output_shape: Shape) -> tuple[int, int]:
    """Return batch and time of a FlattenTime."""
    return input_shape[0], input_shape[1]


def unflatten_grid(module: Any, input_shape: Shape, output_shape: Shape) -> tuple[int, int]:
    """Return batch and time of an UnflattenTime."""
    return output_shape[0], output_shape[1]
