"""Runs of a network: inputs, recordings of spikes and states, counts, and comparisons.

``interpret`` runs a Graph in float64; chips run a program and return a ``Recording`` as well.

``InputSpikes`` is the type of the inputs: counts, or event arrays for a chip that takes events.

>>> import numpy as np
>>> from toolchain.runs import InputSpikes
>>> counts: InputSpikes = np.zeros((8, 100, 12), int)  # 8 samples, 100 timesteps, 12 channels
>>> event = np.dtype([("x", "u2"), ("y", "u2"), ("t", "u8"), ("p", "u1")])
>>> events: InputSpikes = [np.zeros(5, event), np.zeros(7, event)]  # 2 samples, 5 and 7 events

``DecisionRule`` names how outputs over time become an answer, see ``decide``:

>>> from toolchain.runs import DecisionRule, decide
>>> rule: DecisionRule = "mean"
>>> decide(np.array([[[0.0, 1.0], [0.5, 0.0]]]), rule).tolist()
[1]
"""

from toolchain.runs.activity import Activity, LayerActivity
from toolchain.runs.chip_state import ChipState
from toolchain.runs.decisions import DecisionRule, decide
from toolchain.runs.order import OrderSpread
from toolchain.runs.recording import LayerRecord, Recording, aligned, count_agreement
from toolchain.runs.sparse import SparseSpikes
from toolchain.runs.spike_events import SpikeEvents
from toolchain.runs.spikes import InputSpikes
from toolchain.runs.states import StateComparison, compare_states

__all__ = [
    "Activity",
    "ChipState",
    "DecisionRule",
    "InputSpikes",
    "LayerActivity",
    "LayerRecord",
    "OrderSpread",
    "Recording",
    "SparseSpikes",
    "SpikeEvents",
    "StateComparison",
    "aligned",
    "compare_states",
    "count_agreement",
    "decide",
]
