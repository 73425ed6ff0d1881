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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from toolchain.report import count, times

__all__ = [
    "Advice",
    "ArtifactError",
    "ChipFileError",
    "DeployError",
    "Diagnostic",
    "ExtractError",
    "GraphError",
    "ModelFileError",
    "PluginError",
    "PluginWarning",
    "Remedy",
    "Severity",
    "VendorError",
    "count",
    "times",
]


class Severity(enum.StrEnum):
    """How much a finding matters.

    An ``error`` stops the deployment, a ``warning`` tells of changed behaviour with its size,
    ``info`` is for the report.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do against a finding, tried before it is shown.

    Attributes:
        words: what to do.
        allow: the names that ``deploy(..., allow=...)`` takes for it; empty where the network or
            the program itself has to change.
    """

    words: str
    allow: tuple[str, ...] = ()


class Advice:
    """The remedies of one finding. They are tried when they are first read, and then kept.

    Equal to another if both read the same; comparing and pickling try the remedies.

    Args:
        remedies: what helps, or a function that tries; it is dropped after the first call.

    >>> Advice(lambda: [Remedy("core 3 fits")]).remedies
    (Remedy(words='core 3 fits', allow=()),)
    """

    __slots__ = ("_attempt", "_remedies")

    def __init__(self, remedies: Iterable[Remedy] | Callable[[], Iterable[Remedy]] = ()) -> None:
        self._attempt = remedies if callable(remedies) else None
        self._remedies = () if callable(remedies) else tuple(remedies)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """Everything that helps, in the order in which it was tried."""
        if (attempt := self._attempt) is not None:
            self._remedies = tuple(attempt())
            self._attempt = None
        return self._remedies

    @property
    def text(self) -> str:
        """The same in words; empty where nothing is known to help."""
        return "; or ".join(remedy.words for remedy in self.remedies)

    def __bool__(self) -> bool:
        """Return whether anything helps; no more is tried than the first that does."""
        attempt = self._attempt
        if attempt is None:
            return bool(self._remedies)
        if any(True for _ in attempt()):
            return True
        self._attempt = None
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Advice) and self.text == other.text

    def __repr__(self) -> str:
        return "<not tried>" if self._attempt is not None else repr(self._remedies)

    def __reduce__(self) -> tuple[type[Advice], tuple[tuple[Remedy, ...]]]:
        return Advice, (self.remedies,)


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Diagnostic:
    """One finding about the user's network.

    Attributes:
        rule: name of the function that found it.
        severity: error, warning or info.
        where: the user's own name of the layer, or ``"network"``.
        message: need, then limit, with units.
        need, limit: the two numbers, where the finding is about numbers.
        source: who says so (specification file, document, basis).
        advice: what helps; tried when ``hint`` or ``remedies`` is first read.
    """

    rule: str
    severity: Severity
    where: str
    message: str
    need: float | None
    limit: float | None
    source: str
    advice: Advice = field(hash=False)

    def __init__(
        self,
        *,
        rule: str,
        severity: Severity,
        where: str,
        message: str,
        need: float | None = None,
        limit: float | None = None,
        source: str = "",
        hint: str | None = None,
        advice: Advice | None = None,
    ) -> None:
        """``hint`` stands for an ``advice`` that is known already."""
        if hint is not None or advice is None:
            advice = Advice([Remedy(hint)] if hint else ())
        given = (rule, severity, where, message, need, limit, source, advice)
        for each, value in zip(fields(self), given, strict=True):
            object.__setattr__(self, each.name, value)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """Everything that was tried and helps."""
        return self.advice.remedies

    @property
    def hint(self) -> str:
        """The remedies in words; empty where nothing is known to help."""
        return self.advice.text

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
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "advice"}
        return {**own, "severity": self.severity.value, "hint": self.hint}


class DeployError(ValueError):
    """The network does not fit the chip; ``diagnostics`` holds every finding at once.

    Its text is made when it is read: only then are hints tried, and what would accept all.

    Attributes:
        diagnostics: why.
        ledger: the ``toolchain.fidelity.ledger.Ledger`` of the network as far as it came, with what
            is unsupported; None where there is none.
    """

    def __init__(
        self,
        headline: str,
        diagnostics: Iterable[Diagnostic],
        ledger: Any = None,
        acceptance: str | Callable[[], str] = "",
    ) -> None:
        """``headline`` is what was refused; ``acceptance`` the last line, or what makes it."""
        self.diagnostics = tuple(diagnostics)
        self.ledger = ledger
        self._acceptance = acceptance
        super().__init__(headline)

    @property
    def acceptance(self) -> str:
        """The line that accepts all that can be accepted; empty where nothing can."""
        if callable(self._acceptance):
            self._acceptance = self._acceptance()
        return self._acceptance

    def __str__(self) -> str:
        """Headline, findings with their hints, and the line that accepts them."""
        lines = [self.args[0], *map(str, self.diagnostics), self.acceptance]
        return "\n".join(line for line in lines if line)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.diagnostics, self.ledger, self.acceptance)


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
