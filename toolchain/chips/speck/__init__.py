"""SynSense Speck and DynapCNN: cores with convolution, integrate-and-fire and sum pooling.

A ``program`` has ``core``s, a ``sensor`` and a ``readout`` (``outputs``: the table of output
neurons; ``store``: its arrays and JSON). ``quantize`` and ``lower`` turn a network into a program,
which ``rules`` check against the chip. It is the input of ``simulate``, ``power``, ``emit`` and
``live``. ``family`` implements the contract of chip families.
"""

from toolchain.chips.speck.emit.addresses import (
    pack_address,
    to_counts,
    to_events,
    to_raster,
    unpack_address,
)
from toolchain.chips.speck.options import SpeckOptions
from toolchain.chips.speck.outputs import readout_table, with_readout
from toolchain.chips.speck.program import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.readout import Readout
from toolchain.chips.speck.rules.rates import RateLimits, check_rates
from toolchain.chips.speck.sensor import EventFilter, SpeckSensor
from toolchain.chips.speck.simulate.options import EventOptions
from toolchain.chips.speck.simulate.order import OrderSensitivity, order_sensitivity
from toolchain.chips.speck.simulate.readout import read_out
from toolchain.chips.speck.simulate.recording import SpeckLayerRecord, SpeckRecording
from toolchain.chips.speck.simulate.run import simulate

__all__ = [
    "Destination",
    "EventFilter",
    "EventOptions",
    "OrderSensitivity",
    "RateLimits",
    "Readout",
    "SpeckCore",
    "SpeckLayerRecord",
    "SpeckOptions",
    "SpeckProgram",
    "SpeckRecording",
    "SpeckSensor",
    "check_rates",
    "order_sensitivity",
    "pack_address",
    "read_out",
    "readout_table",
    "simulate",
    "to_counts",
    "to_events",
    "to_raster",
    "unpack_address",
    "with_readout",
]
