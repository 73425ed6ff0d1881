"""Torch layers for training spiking networks, named as in sinabs and rockpool.

Arrays are ``(batch, time, *features)``; the ``...Squeeze`` layers take ``(batch * time,
*features)``, the layout of image layers. ``LinearTorch``, ``LIFTorch``, ``TimeStepDropout``,
``TorchSequential`` and ``SynNet`` return ``(out, state, record)``, all others one tensor.
``toolchain.extract`` reads all of these layers except those for training only (``ALIF``,
``ALIFRecurrent``, ``NeuromorphicReLU``, ``QuantizeLayer``, ``SpikingMaxPooling2dLayer``) and the
encoders (``Img2SpikeLayer``, ``Sig2SpikeLayer``), which run before a chip.
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
    from toolchain.nn.adaptive import ALIF, ALIFRecurrent
    from toolchain.nn.convert import from_model
    from toolchain.nn.cuba import CubaLIF
    from toolchain.nn.dropout import TimeStepDropout
    from toolchain.nn.dvs import Crop2d, DVSLayer, FlipDims
    from toolchain.nn.encoders import Img2SpikeLayer, Sig2SpikeLayer
    from toolchain.nn.lif_torch import LIFTorch
    from toolchain.nn.linear import LinearTorch
    from toolchain.nn.margins import ChannelShift, Cropping2dLayer
    from toolchain.nn.merge import Merge
    from toolchain.nn.module import Constant, TorchModule
    from toolchain.nn.network import Network
    from toolchain.nn.normalize import normalize_weights
    from toolchain.nn.pooling import SpikingMaxPooling2dLayer, SumPool2d
    from toolchain.nn.quantize import Quantize, QuantizeLayer, StochasticRounding
    from toolchain.nn.recurrent import IAFRecurrent, LIFRecurrent
    from toolchain.nn.relu import NeuromorphicReLU
    from toolchain.nn.replace import replace_module, replace_module_
    from toolchain.nn.reshape import FlattenTime, Repeat, UnflattenTime
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
        Gaussian,
        Heaviside,
        MultiGaussian,
        PeriodicExponential,
        PeriodicExponentialTorch,
        Ramp,
        SingleExponential,
        StepPWL,
        SurrogateFn,
    )
    from toolchain.nn.synnet import SynNet
    from toolchain.nn.wiring import Wired

__all__ = [
    "ALIF",
    "IAF",
    "LIF",
    "ALIFRecurrent",
    "Boxcar",
    "ChannelShift",
    "Constant",
    "Crop2d",
    "Cropping2dLayer",
    "CubaLIF",
    "DVSLayer",
    "ExpLeak",
    "ExpLeakSqueeze",
    "FlattenTime",
    "FlipDims",
    "Gaussian",
    "Heaviside",
    "IAFRecurrent",
    "IAFSqueeze",
    "Img2SpikeLayer",
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
    "Quantize",
    "QuantizeLayer",
    "Ramp",
    "Repeat",
    "ResetFn",
    "Sig2SpikeLayer",
    "SingleExponential",
    "SingleSpike",
    "SpikeFn",
    "SpikingMaxPooling2dLayer",
    "Squeeze",
    "StatefulLayer",
    "StepPWL",
    "StochasticRounding",
    "SumPool2d",
    "SurrogateFn",
    "SynNet",
    "TimeStepDropout",
    "TorchModule",
    "TorchSequential",
    "UnflattenTime",
    "Wired",
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
