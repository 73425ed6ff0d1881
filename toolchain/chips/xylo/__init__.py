"""SynSense Xylo: integer spiking cores with 4-bit decays and 16-bit states.

What is loaded is a ``program`` (``specification`` builds one from the well-known dictionary,
``faults`` says what no register holds, ``store`` how it is kept). A network gets there through
``approximations`` (what a user may allow), ``quantize`` and ``lower``; ``rules`` say what the chip
refuses. From there on ``simulate``, ``cycles`` and ``power``, ``emit`` and ``live``. ``family``
implements the contract.
"""

from toolchain.chips.xylo.emit.ram_files import write_ram_files
from toolchain.chips.xylo.emit.vendor_json import read_config, write_config
from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.simulate.run import XyloRecording, XyloState, simulate

__all__ = [
    "Population",
    "XyloProgram",
    "XyloRecording",
    "XyloState",
    "read_config",
    "simulate",
    "write_config",
    "write_ram_files",
]
