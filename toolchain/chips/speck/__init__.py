"""SynSense Speck and DynapCNN: cores that convolve, integrate and fire, and sum-pool, by events.

What is loaded is a ``program`` of ``core``s with its ``sensor`` and ``readout`` (``outputs``: which
neuron is which output; ``store``: how it is kept). A network gets there through ``quantize`` and
``lower``; ``rules`` say what the chip refuses. From there on ``simulate``, ``power``, ``emit`` and
``live``. ``family`` implements the contract.
"""

from toolchain.chips.speck.emit.addresses import to_events, to_raster
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
    "read_out",
    "readout_table",
    "simulate",
    "to_events",
    "to_raster",
    "with_readout",
]
