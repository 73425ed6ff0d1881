"""Python warnings about a deployment, made from its findings."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator

from toolchain.diagnostics import DeployWarning, Diagnostic, Severity
from toolchain.report import plural, visible

__all__ = ["warn_of"]

MOST = 12
"""Largest number of findings in one warning; the deployment holds all of them."""


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


def _lines(findings: Iterable[Diagnostic]) -> Iterator[str]:
    """Yield one line for each warning; hints are not tried for it."""
    for finding in findings:
        if finding.severity is Severity.WARNING:
            text = f"[{finding.rule}] {finding.where}: {finding.message}"
            yield visible(text, one_line=True)
