"""SynSense Speck and DynapCNN: what is loaded on the chip, and its exact simulation."""

from toolchain.chips.speck.addresses import to_events, to_raster
from toolchain.chips.speck.options import EventOptions
from toolchain.chips.speck.order import OrderSensitivity, order_sensitivity
from toolchain.chips.speck.program import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.rates import RateLimits, check_rates
from toolchain.chips.speck.readout import Readout, readout_table, with_readout
from toolchain.chips.speck.readout_model import read_out
from toolchain.chips.speck.recording import SpeckLayerRecord, SpeckRecording
from toolchain.chips.speck.sensor import EventFilter, SpeckSensor
from toolchain.chips.speck.simulate import simulate

__all__ = [
    "Destination",
    "EventFilter",
    "EventOptions",
    "OrderSensitivity",
    "RateLimits",
    "Readout",
    "SpeckCore",
    "SpeckLayerRecord",
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
