"""Adapters of this package's layers; imported when a model contains one of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolchain.arrays import Shape
from toolchain.frontends.frameworks.adapter import Axes, Fragment, Layer
from toolchain.ir import Scale

__all__ = ["LAYERS", "REFUSED"]


def _halver(name: str, module: Any, features: Shape) -> Fragment:
    del module, features
    return Fragment.of(name, Scale(scale=np.asarray(0.5)))


LAYERS = {"Halver": Layer(_halver, Axes.ANY)}
REFUSED = {"Doubler": "doubles, which is too much; use Halver"}
