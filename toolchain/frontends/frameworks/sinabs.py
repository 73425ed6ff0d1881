"""Adapters for the layers of sinabs, looked up by class name; sinabs is never imported.

Time constants are in timesteps: ``alpha = exp(-1 / tau)``; with ``train_alphas`` the factors
themselves are the parameters. IAF has no leak. The equations of a step are in
``toolchain.nn.spiking``, whose layers have the same names and attributes.

Source: sinabs 3.1.3 as observed.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolchain.arrays import Shape
from toolchain.frontends.frameworks import leaky
from toolchain.frontends.frameworks.adapter import Adapter, Axes, Fragment, Layer, UnsupportedError
from toolchain.frontends.frameworks.torch_layers import identity
from toolchain.ir import Conv2d

__all__ = ["LAYERS", "REFUSED"]


def _leak(module: Any) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the decay factors of LIF and ExpLeak."""
    alpha_mem = _alpha(module, "mem")
    assert alpha_mem is not None
    return alpha_mem, _alpha(module, "syn"), 1 - alpha_mem if module.norm_input else None


def _no_leak(module: Any) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the decay factors of IAF."""
    return None, _alpha(module, "syn"), None


def _alpha(module: Any, state: str) -> Tensor | None:
    """Return the factor by which a state decays in a step, None if there is no such state."""
    if module.train_alphas:
        alpha: Tensor | None = getattr(module, f"alpha_{state}", None)
        return alpha
    tau: Tensor | None = getattr(module, f"tau_{state}")
    return None if tau is None else torch.exp(-1.0 / tau)


def _cropping(name: str, module: Any, features: Shape) -> Fragment:
    """Convert Cropping2dLayer, which removes margins."""
    rows, columns = (module.top_crop, module.bottom_crop), (module.left_crop, module.right_crop)
    return _window(name, module, features, rows, columns)


def _crop(name: str, module: Any, features: Shape) -> Fragment:
    """Convert Crop2d, which keeps the rows and columns between two addresses."""
    _, height, width = features
    rows = module.top_crop, max(height - module.bottom_crop, 0)
    columns = module.left_crop, max(width - module.right_crop, 0)
    return _window(name, module, features, rows, columns)


def _window(
    name: str, module: Any, features: Shape, rows: tuple[int, int], columns: tuple[int, int]
) -> Fragment:
    """Return a map without margins: each channel convolved with a single 1."""
    if not any((*rows, *columns)):
        return identity(name, module, features)
    weight = np.zeros((features[0], 1, sum(rows) + 1, sum(columns) + 1))
    weight[:, :, rows[0], columns[0]] = 1
    return Fragment.of(name, Conv2d(weight=weight, groups=features[0]))


def _sum_pool2d(name: str, module: Any, features: Shape) -> Fragment:
    if module.norm_type != 1:
        raise UnsupportedError(f"norm_type is {module.norm_type}; only 1, the sum, is supported")
    return leaky.sum_pool2d(name, module, features)


def _no_adapter(name: str, module: Any, features: Shape) -> Fragment:
    raise AssertionError("reshaping layers are read from their shapes")


def _reset_state(module: Any) -> None:
    """Set the states to those of a new layer; one of another batch size would be random."""
    for name in ("v_mem", "i_syn"):
        if name in module._buffers:
            module._buffers[name] = torch.zeros(0)


def _squeeze_grid(module: Any, input_shape: Shape, output_shape: Shape) -> tuple[int, int]:
    """Return batch and time of the rows of a ``Squeeze`` layer; -1 is inferred."""
    batch, time = module.batch_size, module.num_timesteps
    return (input_shape[0] // time, time) if batch == -1 else (batch, input_shape[0] // batch)


def _stateful(adapter: Adapter, axes: Axes = Axes.TIME) -> Layer:
    grid = _squeeze_grid if axes is Axes.SQUEEZED else None
    return Layer(adapter, axes, stateful=True, reset=_reset_state, grid=grid)


_IAF = partial(leaky.spiking, decays=_no_leak)
_LIF = partial(leaky.spiking, decays=_leak)
_EXP_LEAK = partial(leaky.readout, decays=_leak)

LAYERS: dict[str, Layer] = {
    "IAF": _stateful(_IAF),
    "LIF": _stateful(_LIF),
    "ExpLeak": _stateful(_EXP_LEAK),
    "IAFSqueeze": _stateful(_IAF, Axes.SQUEEZED),
    "LIFSqueeze": _stateful(_LIF, Axes.SQUEEZED),
    "ExpLeakSqueeze": _stateful(_EXP_LEAK, Axes.SQUEEZED),
    "IAFRecurrent": _stateful(partial(leaky.recurrent, decays=_no_leak)),
    "LIFRecurrent": _stateful(partial(leaky.recurrent, decays=_leak)),
    "SumPool2d": Layer(_sum_pool2d, Axes.IMAGE),
    "Cropping2dLayer": Layer(_cropping, Axes.IMAGE),
    "Crop2d": Layer(_crop, Axes.IMAGE),
    "ChannelShift": Layer(_no_adapter, Axes.MOVE),
    "FlipDims": Layer(_no_adapter, Axes.MOVE),
    "DVSLayer": Layer(leaky.sensor, Axes.IMAGE),
    "Merge": Layer(leaky.merge, Axes.ANY, sums=True),
    "FlattenTime": Layer(_no_adapter, Axes.RESHAPE, grid=leaky.flatten_grid),
    "UnflattenTime": Layer(_no_adapter, Axes.RESHAPE, grid=leaky.unflatten_grid),
}

REFUSED: dict[str, str] = {
    **leaky.REFUSED,
    "NeuromorphicReLU": "not spiking; convert the network with sinabs.from_torch.from_model first",
}
"""Classes that the IR cannot represent, each with the reason and an alternative."""
