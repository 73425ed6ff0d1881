"""SynSense Xylo: integer spiking cores with 4-bit decays and 16-bit states.

A chip runs a ``program`` (``specification`` builds one from rockpool's specification dictionary,
``faults`` checks its registers, ``store`` saves and loads it). A network becomes a program through
``options`` and ``readout`` (what is read of the outputs), ``approximations`` (changes that a user
may allow), ``quantize`` and ``lower``; ``rules`` check it
against the chip. ``simulate``, ``cycles`` and ``power``, ``emit`` and ``live`` work on the program.
``family`` implements the contract of chip families.
"""

from toolchain.chips.xylo.cycles import least_dt_s, measured_cycles, suggested_clock
from toolchain.chips.xylo.emit.ram_files import write_ram_files
from toolchain.chips.xylo.emit.vendor_json import read_config, write_config
from toolchain.chips.xylo.options import XyloOptions
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.simulate.recording import XyloRecording, XyloState
from toolchain.chips.xylo.simulate.run import simulate

__all__ = [
    "Population",
    "XyloOptions",
    "XyloProgram",
    "XyloRecording",
    "XyloState",
    "least_dt_s",
    "measured_cycles",
    "read_config",
    "simulate",
    "suggested_clock",
    "write_config",
    "write_ram_files",
]
