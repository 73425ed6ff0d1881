"""Python warnings about a deployment, made from its findings."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator

from toolchain.diagnostics import DeployWarning, Diagnostic, Severity
from toolchain.fidelity.on_data import CHANGES
from toolchain.report import plural, visible
from toolchain.runs import Activity

__all__ = ["apply_options", "of_activity", "warn_of"]

COUNTS = ("silent_layer", "silent_outputs", "spike_caps", "saturation", "zero_weights", "no_path")
"""Rules of warnings that bear on the number of spikes."""
MOST = 12
"""Largest number of findings in one warning; the deployment holds all of them. Those that say what
the network does on the chip come first."""

NAMES = ("toolchain.DeployWarning", "toolchain.diagnostics.DeployWarning")
"""Names of the category in ``python -W``."""
ACTIONS = ("default", "always", "ignore", "module", "once", "error")


def apply_options(options: Iterable[str]) -> None:
    """Apply the options of ``python -W`` that name ``DeployWarning``.

    Python reads them before installed packages can be imported, and ignores those whose category
    it cannot import.

    Args:
        options: such as ``error::toolchain.DeployWarning``, in their order.
    """
    for option in options:
        action, _, rest = option.partition(":")
        full = next((each for each in ACTIONS if action and each.startswith(action)), None)
        if full is not None and rest.split(":")[1:2] and rest.split(":")[1] in NAMES:
            warnings.filterwarnings(full, category=DeployWarning)  # type: ignore[arg-type]


apply_options(sys.warnoptions)


def warn_of(subject: str, findings: Iterable[Diagnostic], stacklevel: int) -> None:
    """Give one ``DeployWarning`` with all findings of severity warning; none without any.

    Args:
        subject: first words of the text, such as the chip's name.
        findings: of any severity.
        stacklevel: frames between this function and the user's line, as for ``warnings.warn``
            called in its place.
    """
    lines = [*_lines(findings)]
    if not lines:
        return
    more = len(lines) - MOST
    shown = [*lines[:MOST], f"and {more} more"] if more > 0 else lines
    text = "\n  ".join([f"{subject}: {plural(len(lines), 'warning')}", *shown])
    warnings.warn(text, DeployWarning, stacklevel=stacklevel + 1)


def of_activity(
    activity: Activity, outputs: Iterable[str], findings: Iterable[Diagnostic]
) -> tuple[Diagnostic, ...]:
    """Return what says that the activity, counted in a run, is not that of a working network.

    Args:
        activity: counts by layer.
        outputs: names of the output layers.
        findings: those of the deployment.
    """
    spikes = {layer.name: layer.spikes_per_step for layer in activity.layers}
    silent = [name for name in dict.fromkeys(outputs) if spikes.get(name) == 0]
    message = "the outputs never spike in the counted run: these are figures of a silent network"
    own = [
        Diagnostic(rule="silent_outputs", severity=Severity.WARNING, where=n, message=message)
        for n in silent
    ]
    return (*own, *(f for f in findings if f.severity is Severity.WARNING and f.rule in COUNTS))


def _lines(findings: Iterable[Diagnostic]) -> Iterator[str]:
    """Yield one line for each warning, what was measured first; hints are not tried for it."""
    warned = (finding for finding in findings if finding.severity is Severity.WARNING)
    for finding in sorted(warned, key=_importance):
        text = f"[{finding.rule}] {finding.where}: {finding.message}"
        yield visible(text, one_line=True)


def _importance(finding: Diagnostic) -> int:
    """Order the whole network before its layers, and these before changes of parameters."""
    return 2 if finding.rule in CHANGES else int(finding.where != "network")
