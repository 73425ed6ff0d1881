"""Torch layers for training spiking networks, named as in sinabs and rockpool.

Arrays are ``(batch, time, *features)``; the ``...Squeeze`` layers take ``(batch * time,
*features)``, the layout of image layers. ``LinearTorch``, ``LIFTorch``, ``TimeStepDropout``,
``TorchSequential`` and ``SynNet`` return ``(out, state, record)``, all others one tensor.
``toolchain.extract`` reads all of these layers except ``ALIF`` and ``NeuromorphicReLU``, which are
for training only.
"""

from toolchain.extras import needed_by

with needed_by("toolchain.nn"):
    from toolchain.nn.activation import (
        MaxSpike,
        MembraneReset,
        MembraneSubtract,
        MultiSpike,
        ResetFn,
        SingleSpike,
        SpikeFn,
    )
    from toolchain.nn.adaptive import ALIF
    from toolchain.nn.convert import from_model
    from toolchain.nn.cuba import CubaLIF
    from toolchain.nn.dropout import TimeStepDropout
    from toolchain.nn.dvs import Crop2d, DVSLayer, FlipDims
    from toolchain.nn.lif_torch import LIFTorch
    from toolchain.nn.linear import LinearTorch
    from toolchain.nn.merge import Merge
    from toolchain.nn.module import Constant, TorchModule
    from toolchain.nn.network import Network
    from toolchain.nn.normalize import normalize_weights
    from toolchain.nn.pooling import SumPool2d
    from toolchain.nn.recurrent import IAFRecurrent, LIFRecurrent
    from toolchain.nn.relu import NeuromorphicReLU
    from toolchain.nn.replace import replace_module, replace_module_
    from toolchain.nn.reshape import FlattenTime, UnflattenTime
    from toolchain.nn.rows import (
        get_batch_size,
        get_num_timesteps,
        get_smallest_compatible_time_dimension,
        set_batch_size,
    )
    from toolchain.nn.sequential import TorchSequential
    from toolchain.nn.spiking import IAF, LIF, ExpLeak
    from toolchain.nn.squeeze import ExpLeakSqueeze, IAFSqueeze, LIFSqueeze, Squeeze
    from toolchain.nn.state import StatefulLayer, detach_states, reset_states, zero_grad
    from toolchain.nn.surrogate import (
        Boxcar,
        Heaviside,
        MultiGaussian,
        PeriodicExponential,
        PeriodicExponentialTorch,
        SingleExponential,
        StepPWL,
        SurrogateFn,
    )
    from toolchain.nn.synnet import SynNet

__all__ = [
    "ALIF",
    "IAF",
    "LIF",
    "Boxcar",
    "Constant",
    "Crop2d",
    "CubaLIF",
    "DVSLayer",
    "ExpLeak",
    "ExpLeakSqueeze",
    "FlattenTime",
    "FlipDims",
    "Heaviside",
    "IAFRecurrent",
    "IAFSqueeze",
    "LIFRecurrent",
    "LIFSqueeze",
    "LIFTorch",
    "LinearTorch",
    "MaxSpike",
    "MembraneReset",
    "MembraneSubtract",
    "Merge",
    "MultiGaussian",
    "MultiSpike",
    "Network",
    "NeuromorphicReLU",
    "PeriodicExponential",
    "PeriodicExponentialTorch",
    "ResetFn",
    "SingleExponential",
    "SingleSpike",
    "SpikeFn",
    "Squeeze",
    "StatefulLayer",
    "StepPWL",
    "SumPool2d",
    "SurrogateFn",
    "SynNet",
    "TimeStepDropout",
    "TorchModule",
    "TorchSequential",
    "UnflattenTime",
    "detach_states",
    "from_model",
    "get_batch_size",
    "get_num_timesteps",
    "get_smallest_compatible_time_dimension",
    "normalize_weights",
    "replace_module",
    "replace_module_",
    "reset_states",
    "set_batch_size",
    "zero_grad",
]
