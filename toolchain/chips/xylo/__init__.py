"""SynSense Xylo: integer spiking cores with 4-bit decays and 16-bit states.

Rooms: ``program`` (what is loaded), ``simulate`` (what it does, bit for bit), ``kernel`` and
``lanes`` (how that is fast), ``twin`` (the same, slow and obvious).
"""

from toolchain.chips.xylo.program import Population, XyloProgram
from toolchain.chips.xylo.simulate import XyloRecording, XyloState, simulate

__all__ = ["Population", "XyloProgram", "XyloRecording", "XyloState", "simulate"]
