"""Layers of sinabs and of ``toolchain.nn``, which have their names in common.

What decides is read from the attributes that both have; only the decay factors of a step are
kept in different places, so they are an argument.

Source: sinabs 3.1.3 as observed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor, nn

from toolchain.arrays import Shape
from toolchain.frontends.frameworks.adapter import Fragment, UnsupportedError, array, pair
from toolchain.frontends.frameworks.torch_layers import linear
from toolchain.ir import Add, Edge, MembraneReadout, Neuron, Node, Sensor, SumPool2d

__all__ = [
    "Decays",
    "flattens",
    "loop",
    "max_spikes",
    "merge",
    "readout",
    "recurrent",
    "sensor",
    "spiking",
    "sum_pool2d",
    "unflattens",
]

Decays: TypeAlias = Callable[[Any], tuple[Tensor | None, Tensor | None, Tensor | None]]
"""Of a layer: what the membrane and the synaptic current keep over a step, and the gain."""

_SHARED = ("sinabs", "toolchain")


def spiking(name: str, module: Any, features: Shape, *, decays: Decays) -> Fragment:
    """IAF and LIF, also ``Squeeze``."""
    node = Neuron(
        **_membrane(features, *decays(module)),
        v_threshold=array(module.spike_threshold),
        v_min=None if module.min_v_mem is None else array(module.min_v_mem),
        max_spikes=max_spikes(module.spike_fn),
        **_reset(module.reset_fn),
    )
    return Fragment.of(name, node)


def readout(name: str, module: Any, features: Shape, *, decays: Decays) -> Fragment:
    """ExpLeak, also ``Squeeze``."""
    if module.min_v_mem is not None:
        raise UnsupportedError(
            "min_v_mem: a readout without spikes has no floor; leave min_v_mem at None"
        )
    return Fragment.of(name, MembraneReadout(**_membrane(features, *decays(module))))


def recurrent(name: str, module: Any, features: Shape, *, decays: Decays) -> Fragment:
    """IAFRecurrent and LIFRecurrent.

    The delay stands behind the weight, so that its bias is silent in the first step.
    """
    weight = module.rec_connect
    if type(weight) is not nn.Linear:
        raise UnsupportedError(
            f"rec_connect is {type(weight).__name__}; only nn.Linear is supported"
        )
    (neuron,) = spiking(name, module, features, decays=decays).nodes.values()
    back = f"{name}.rec_connect"
    return loop(name, neuron, back, linear(back, weight).nodes[back])


def loop(name: str, neuron: Node, back: str, weight: Node, dt: float | None = None) -> Fragment:
    """``neuron`` with its spikes fed back through ``weight``, one step later."""
    add = f"{name}.add"
    return Fragment(
        nodes={add: Add(), name: neuron, back: weight},
        edges=(Edge(add, name), Edge(name, back), Edge(back, add, delay=1)),
        entry=add,
        exit=name,
        dt=dt,
    )


def _membrane(
    features: Shape, alpha_mem: Tensor | None, alpha_syn: Tensor | None, gain: Tensor | None
) -> dict[str, Any]:
    """The fields that Neuron and MembraneReadout share."""
    found: dict[str, Any] = {"shape": features, "syn_order": "add_decay"}
    if alpha_mem is not None:
        found["alpha_mem"] = array(alpha_mem)
    if alpha_syn is not None:
        found["alpha_syn"] = array(alpha_syn)[..., None]
    if gain is not None:
        found["gain"] = array(gain)
    return found


def max_spikes(spike_fn: Any) -> int | None:
    """The most spikes a step that a spike function gives, None for no limit."""
    kind = _kind(spike_fn)
    if kind == "MaxSpike" and not isinstance(spike_fn, type):
        limit: int | None = spike_fn.max_num_spikes_per_bin
        return limit
    if kind in ("MultiSpike", "SingleSpike") and isinstance(spike_fn, type):
        return 1 if kind == "SingleSpike" else None
    raise UnsupportedError(
        f"spike_fn {_called(spike_fn)}; known are MultiSpike, MaxSpike and SingleSpike"
    )


def _reset(reset_fn: Any) -> dict[str, Any]:
    kind = _kind(reset_fn)
    if kind == "MembraneSubtract":
        return {"reset": "subtract", "reset_amount": reset_fn.subtract_value}
    if kind == "MembraneReset":
        kind = "additive" if reset_fn.reset_value else "value"
        return {"reset": kind, "v_reset": reset_fn.reset_value}
    raise UnsupportedError(
        f"reset_fn {_called(reset_fn)}; known are MembraneSubtract and MembraneReset"
    )


def _kind(thing: object) -> str | None:
    """The name of a function or of its class where it is sinabs' or our own."""
    cls = thing if isinstance(thing, type) else type(thing)
    return cls.__qualname__ if cls.__module__.split(".", maxsplit=1)[0] in _SHARED else None


def _called(thing: object) -> str:
    return thing.__name__ if isinstance(thing, type) else type(thing).__name__


def sum_pool2d(name: str, module: Any, features: Shape) -> Fragment:
    """SumPool2d, as the exact sum of integers."""
    if getattr(module, "ceil_mode", False):
        raise UnsupportedError("ceil_mode=True is not supported; cut the map to whole windows")
    stride = module.kernel_size if module.stride is None else module.stride
    return Fragment.of(name, SumPool2d(kernel=pair(module.kernel_size), stride=pair(stride)))


def sensor(name: str, module: Any, features: Shape) -> Fragment:
    """DVSLayer."""
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
    """Merge: the sum of its inputs."""
    return Fragment.of(name, Add())


def flattens(module: Any, given: Shape, made: Shape) -> tuple[int, int]:
    """Batch and time, of FlattenTime."""
    return given[0], given[1]


def unflattens(module: Any, given: Shape, made: Shape) -> tuple[int, int]:
    """Batch and time, of UnflattenTime."""
    return made[0], made[1]
