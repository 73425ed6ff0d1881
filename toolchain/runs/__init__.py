"""Runs of a network: inputs, recordings of spikes and states, counts, and comparisons.

``interpret`` runs a Graph in float64; chips run a program and give the same ``Recording``.
"""

from toolchain.runs.activity import Activity, LayerActivity
from toolchain.runs.order import OrderSpread
from toolchain.runs.recording import LayerRecord, Recording, aligned, count_agreement
from toolchain.runs.spikes import InputSpikes

__all__ = [
    "Activity",
    "InputSpikes",
    "LayerActivity",
    "LayerRecord",
    "OrderSpread",
    "Recording",
    "aligned",
    "count_agreement",
]
