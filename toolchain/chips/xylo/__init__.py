"""SynSense Xylo: integer spiking cores with 4-bit decays and 16-bit states.

Rooms: ``program`` (what is loaded), ``simulate`` (what it does, bit for bit), ``kernel`` and
``lanes`` (how that is fast), ``twin`` (the same, slow and obvious), ``vendor_json`` (files of the
vendor's library for Audio 2).
"""

from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.simulate import XyloRecording, XyloState, simulate
from toolchain.chips.xylo.vendor_json import read_config, write_config

__all__ = [
    "Population",
    "XyloProgram",
    "XyloRecording",
    "XyloState",
    "read_config",
    "simulate",
    "write_config",
]
