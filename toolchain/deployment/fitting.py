"""A deployment trained on its chip: what the training needs of it, and what is reported after."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from toolchain.chips.load import family_of
from toolchain.chips.rules.findings import info
from toolchain.deployment.chip_input import chip_input
from toolchain.deployment.inputs import counts_of
from toolchain.deployment.store import Parts
from toolchain.diagnostics import Diagnostic
from toolchain.report import plural

if TYPE_CHECKING:
    from toolchain.training import ChipModule
    from toolchain.training.history import History

__all__ = ["fitted"]

RULE = "trained"
ACTIVE = 256
"""Samples, at most, on which the activity of the trained network is counted."""


def fitted(
    parts: Parts, module: ChipModule, data: Any, labels: Any, settings: dict[str, Any]
) -> tuple[Any, History]:
    """Train ``module`` and return the deployment of its integers, with the history.

    Args:
        parts: the deployment that the module is of.
        module: from ``Deployment.as_module``.
        data, labels, settings: see ``Deployment.fit``.

    Raises:
        ValueError: data, labels or settings that cannot be used.
    """
    from toolchain.training.fit import fit
    from toolchain.training.samples import FitSource
    from toolchain.training.settings import FitSettings

    family = family_of(parts.on_chip.chip)
    subject = FitSource(
        graph=parts.graph,
        quantized=parts.quantized,
        lags=family.lags(parts.quantized),
        counts=partial(counts_of, family, parts.graph),
    )
    history, spikes = fit(module, subject, data, labels, FitSettings(**settings))
    result: Parts = module.deployment(findings=(_finding(history),))
    if result.quantized is not parts.quantized and parts.graph.dt is not None:
        activity = result.on_chip.activity(chip_input(result, spikes[:ACTIVE]))
        result = replace(result, calibration_activity=activity)
    return result, history


def _finding(history: History) -> Diagnostic:
    """Return accuracy, agreement or loss before and after."""
    what = f"{plural(history.samples, 'sample')}, {plural(len(history.epochs) - 1, 'epoch')}"
    notes = "".join(f"; {note}" for note in (history.refusal, history.reason) if note)
    start, best = history.start, history.best
    if not history.choice and history.refusal:
        kept = f"trained on {what}: the integers of the start were kept"
        return info(RULE, "network", f"{kept}{notes}")
    if start is None or best is None:
        return info(RULE, "network", f"trained on {what}; not judged on other samples{notes}")
    if not history.choice:
        return info(
            RULE,
            "network",
            f"trained on {what}: none was better than the start, whose integers were kept: "
            f"{start.what} {start} that were not trained on{notes}",
        )
    return info(
        RULE,
        "network",
        f"trained on {what}: {start.what} {start.figure} before, {best} that were not trained on "
        f"after, by which epoch {history.choice} was chosen{notes}",
    )
