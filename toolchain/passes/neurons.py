"""The same neurons on other axes."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.ir import Membrane

__all__ = ["reshaped"]


def reshaped(node: Membrane, shape: Shape) -> Membrane:
    """Return the neurons on the axes ``shape``, in C order.

    >>> from toolchain.ir import Neuron
    >>> lif = Neuron(shape=(2, 1, 2), v_threshold=[[[1.0, 2.0]], [[3.0, 4.0]]])
    >>> reshaped(lif, (4,)).v_threshold.tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    changes: dict[str, Any] = {"shape": shape}
    for name in node.ARRAYS:
        value: Array | None = getattr(node, name)
        if value is None:
            continue
        inner = (node.synapses,) if name == "alpha_syn" else ()
        if value.size > prod(inner):
            value = np.broadcast_to(value, (*node.shape, *inner)).reshape((*shape, *inner))
        elif value.ndim > len(inner):  # one value with axes
            value = value.reshape((*(1,) * len(shape), *inner))
        changes[name] = value
    return replace(node, **changes)
