"""Comparison of outputs that are states, not spikes: errors, correlation and decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.arrays import Array
from toolchain.report import Brief, share
from toolchain.runs.decisions import DECISION_RULES, decide

__all__ = ["StateComparison", "compare_states", "state_agreement"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StateComparison(Brief):
    """Output states of one run against those of the trained network, all samples together.

    Attributes:
        trained: root mean square of the trained states.
        error: root mean square of the differences over that of the trained states.
        largest: largest difference, in the unit of the trained network.
        integers: the same in integers of the chip; None where the run has none.
        correlation: of the trained and the other states of each output over all steps, the mean
            over outputs; None where no output changes.
        decisions: share of the samples with the trained network's decision, 0..1, by rule; empty
            for a single output and where all trained states are 0; see ``decisions``.

    >>> trained = np.array([[[1.0], [2.0]]])
    >>> found = compare_states(trained, trained * 1.1)
    >>> isinstance(found, StateComparison), round(found.error, 3), found.decisions
    (True, 0.1, {})
    """

    trained: float
    error: float
    largest: float
    integers: float | None
    correlation: float | None
    decisions: Mapping[str, float]

    def __str__(self) -> str:
        """Return one line."""
        if not self.trained:
            return f"all trained states are 0: nothing to compare; at most {self.largest:.3g}"
        parts = [f"rms error {share(self.error)} of the trained states, at most {self.largest:.3g}"]
        if self.integers is not None:
            parts[0] += f" ({self.integers:.3g} integers)"
        if self.correlation is not None:
            parts.append(f"correlation {self.correlation:.4f}")
        if self.decisions:
            each = ", ".join(f"{share(part)} by {rule}" for rule, part in self.decisions.items())
            parts.append(f"equal decisions {each}")
        return "; ".join(parts)


def compare_states(wanted: Array, got: Array, unit: Array | None = None) -> StateComparison:
    """Compare states of the outputs, (batch, time, outputs), in the trained network's unit.

    Args:
        wanted: of the trained network.
        got: of another run on the same input, without lag.
        unit: value of one integer of ``got``, (outputs,) or a number; None for floats.

    >>> trained = np.array([[[1.0, 0.0], [2.0, 0.5]]])
    >>> print(compare_states(trained, trained + 0.01, unit=0.005))
    rms error 0.9 % of the trained states, at most 0.01 (2 integers); correlation 1.0000; equal \
decisions 100.0 % by last, 100.0 % by max, 100.0 % by mean
    """
    apart = np.abs(got - wanted)
    largest = float(apart.max(initial=0.0))
    steps = None if unit is None else float((apart / unit).max(initial=0.0))
    decisions: dict[str, float] = {}
    if np.any(wanted) and wanted.shape[2] > 1:
        decisions = {
            rule: float((decide(wanted, rule) == decide(got, rule)).mean())
            for rule in DECISION_RULES
        }
    return StateComparison(
        trained=float(np.sqrt(np.square(wanted).mean())) if wanted.size else 0.0,
        error=_relative_error(wanted, got),
        largest=largest,
        integers=steps,
        correlation=_correlation(wanted, got),
        decisions=decisions,
    )


def state_agreement(wanted: Array, got: Array) -> float:
    r"""Return the agreement of two sets of states, 0..1: one minus the relative rms error.

    .. math:: \max\Big(0, 1 - \sqrt{\frac{\sum (n - m)^2}{\sum n^2}}\Big)

    over all samples, timesteps and outputs, with n the trained state and m the other one; 1 if all
    are 0.

    >>> state_agreement(np.array([[[3.0, 4.0]]]), np.array([[[3.0, 3.0]]]))
    0.8
    """
    return max(0.0, 1.0 - _relative_error(wanted, got))


def _relative_error(wanted: Array, got: Array) -> float:
    apart, whole = float(np.square(got - wanted).sum()), float(np.square(wanted).sum())
    if not whole:
        return float("inf") if apart else 0.0
    return float(np.sqrt(apart / whole))


def _correlation(wanted: Array, got: Array) -> float | None:
    a, b = (np.asarray(x, np.float64).reshape(-1, x.shape[-1]) for x in (wanted, got))
    if not a.size:
        return None
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norms = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    moving = norms > 0
    if not moving.any():
        return None
    return float(((a * b).sum(axis=0)[moving] / norms[moving]).mean())
