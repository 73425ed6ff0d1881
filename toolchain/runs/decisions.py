"""Decisions: the output that counts as the answer for each sample."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np

from toolchain.arrays import Array

__all__ = ["DECISION_RULES", "DecisionRule", "decide"]

DecisionRule: TypeAlias = Literal["last", "max", "mean"]
"""Which of an output's values over time are compared."""

DECISION_RULES: tuple[DecisionRule, ...] = get_args(DecisionRule)


def decide(outputs: Array, rule: DecisionRule) -> Array:
    """Return the decision of each sample, (batch,): the output with the largest value.

    Args:
        outputs: (batch, time, outputs), such as ``Recording.output_values``: spikes, or states that
            are read out. Remove the chip's lag first.
        rule: ``"last"`` compares the values after the last timestep, ``"max"`` the largest of each
            output, ``"mean"`` the mean over time, which for spikes is the most active output.

    Of equal values the first output counts.

    Raises:
        ValueError: another rule, or outputs of another shape or without a timestep.

    >>> outputs = np.array([[[3.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
    >>> [int(decide(outputs, rule)[0]) for rule in DECISION_RULES]
    [1, 0, 0]
    """
    if rule not in DECISION_RULES:
        raise ValueError(f"rule must be one of {', '.join(DECISION_RULES)}, got {rule!r}")
    if outputs.ndim != 3 or not outputs.shape[1] or not outputs.shape[2]:
        raise ValueError(f"outputs must be (batch, time, outputs), got shape {outputs.shape}")
    if rule == "last":
        values = outputs[:, -1]
    else:
        values = outputs.max(axis=1) if rule == "max" else outputs.mean(axis=1, dtype=np.float64)
    return np.asarray(values.argmax(axis=1))
