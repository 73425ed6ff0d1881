"""SynSense Speck and DynapCNN: what is loaded on the chip, and its exact simulation."""

from toolchain.chips.speck.program import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.recording import SpeckLayerRecord, SpeckRecording
from toolchain.chips.speck.simulate import simulate

__all__ = [
    "Destination",
    "SpeckCore",
    "SpeckLayerRecord",
    "SpeckProgram",
    "SpeckRecording",
    "simulate",
]
