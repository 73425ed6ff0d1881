"""Layers to train spiking networks with; torch modules with the field's own names.

Arrays are ``(batch, time, *features)``; the ``...Squeeze`` layers take the ``(batch * time,
*features)`` of image layers. What these layers compute is what ``toolchain.extract`` reads.
"""

from toolchain.nn.activation import (
    MaxSpike,
    MembraneReset,
    MembraneSubtract,
    MultiSpike,
    ResetFn,
    SingleSpike,
    SpikeFn,
)
from toolchain.nn.cuba import CubaLIF
from toolchain.nn.merge import Merge
from toolchain.nn.pooling import SumPool2d
from toolchain.nn.recurrent import IAFRecurrent, LIFRecurrent
from toolchain.nn.reshape import FlattenTime, UnflattenTime
from toolchain.nn.spiking import IAF, LIF, ExpLeak
from toolchain.nn.squeeze import ExpLeakSqueeze, IAFSqueeze, LIFSqueeze, Squeeze
from toolchain.nn.state import StatefulLayer, detach_states, reset_states
from toolchain.nn.surrogate import (
    Boxcar,
    Heaviside,
    MultiGaussian,
    PeriodicExponential,
    SingleExponential,
    SurrogateFn,
)

__all__ = [
    "IAF",
    "LIF",
    "Boxcar",
    "CubaLIF",
    "ExpLeak",
    "ExpLeakSqueeze",
    "FlattenTime",
    "Heaviside",
    "IAFRecurrent",
    "IAFSqueeze",
    "LIFRecurrent",
    "LIFSqueeze",
    "MaxSpike",
    "MembraneReset",
    "MembraneSubtract",
    "Merge",
    "MultiGaussian",
    "MultiSpike",
    "PeriodicExponential",
    "ResetFn",
    "SingleExponential",
    "SingleSpike",
    "SpikeFn",
    "Squeeze",
    "StatefulLayer",
    "SumPool2d",
    "SurrogateFn",
    "UnflattenTime",
    "detach_states",
    "reset_states",
]
