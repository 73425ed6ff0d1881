"""Findings about a user's network, and the error tree.

Exceptions, and when they occur::

    ValueError
    ├── DeployError       the network cannot go onto the chip; holds every finding at once
    ├── ExtractError      the model cannot be turned into a Graph; names the layer and the operation
    ├── GraphError        a Graph breaks a rule of the IR
    ├── ModelFileError    a file with a model is damaged, hostile, or leaves open what it means
    ├── ChipFileError     a chip specification is wrong; holds every fault with its line
    └── ArtifactError     a saved deployment or configuration is damaged, foreign or too new or old
    RuntimeError
    ├── PluginError       an installed plug-in cannot be imported, or breaks the contract
    └── VendorError       the vendor's SDK was asked for and is not usable
    UserWarning
    └── PluginWarning     a plug-in or a chip file was skipped; names it and the reason

A fault in this project itself is an ``AssertionError``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from toolchain.report import count, times

__all__ = [
    "ArtifactError",
    "ChipFileError",
    "DeployError",
    "Diagnostic",
    "ExtractError",
    "GraphError",
    "ModelFileError",
    "PluginError",
    "PluginWarning",
    "Severity",
    "VendorError",
    "count",
    "times",
]


class Severity(str, enum.Enum):
    """How much a finding matters.

    An ``error`` stops the deployment, a ``warning`` tells of changed behaviour with its size,
    ``info`` is for the report.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One finding about the user's network.

    Attributes:
        rule: name of the function that found it.
        severity: error, warning or info.
        where: the user's own name of the layer, or ``"network"``.
        message: need, then limit, with units.
        need, limit: the two numbers, where the finding is about numbers.
        source: who says so (specification file, document, basis).
        hint: an action that was checked to help, or nothing.
    """

    rule: str
    severity: Severity
    where: str
    message: str
    need: float | None = None
    limit: float | None = None
    source: str = ""
    hint: str = ""

    def __str__(self) -> str:
        """``error[rule] where: message`` with source and hint on lines of their own."""
        lines = [f"{self.severity.value}[{self.rule}] {self.where}: {self.message}"]
        if self.source:
            lines.append(f"  source: {self.source}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {**asdict(self), "severity": self.severity.value}


class DeployError(ValueError):
    """The network does not fit the chip; ``diagnostics`` holds every finding at once.

    ``ledger`` is the ``toolchain.fidelity.Ledger`` of the network as far as it came, with what is
    unsupported; None where none was kept.
    """

    def __init__(
        self, headline: str, diagnostics: Iterable[Diagnostic], ledger: Any = None
    ) -> None:
        """``headline`` says what was refused, ``diagnostics`` why."""
        self.diagnostics = tuple(diagnostics)
        self.ledger = ledger
        super().__init__("\n".join([headline, *map(str, self.diagnostics)]))


class ExtractError(ValueError):
    """The model cannot be turned into a Graph without changing what it computes."""


class GraphError(ValueError):
    """A Graph breaks a rule of the IR."""


class ModelFileError(ValueError):
    """A file with a model is damaged, hostile or too large, or leaves open what it means."""


class ChipFileError(ValueError):
    """A chip specification file is wrong; the message lists every fault with its line."""


class ArtifactError(ValueError):
    """A saved deployment or configuration is damaged, foreign, or of another version."""


class PluginError(RuntimeError):
    """An installed plug-in cannot be imported, or breaks the contract; names its package."""


class PluginWarning(UserWarning):
    """A plug-in or a chip file was skipped; names it and the reason."""


class VendorError(RuntimeError):
    """The vendor's SDK was asked for and is absent, a stub, or refused the configuration."""
