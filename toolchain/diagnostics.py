"""Findings about a user's network, and the error tree.

Exceptions, and when they occur::

    ValueError
    ├── DeployError       the network does not fit the chip; holds every finding at once
    ├── ExtractError      the model cannot be turned into a Graph; names the layer and the operation
    ├── GraphError        a Graph breaks a rule of the IR
    ├── ModelFileError    a model file is damaged, hostile or ambiguous
    ├── ChipFileError     a chip specification is wrong; holds every fault with its line
    └── ArtifactError     a saved deployment is damaged, of another program, or of another version
    ArithmeticError
    └── GradientError     a gradient is not finite; names the layer or the parameter
    RuntimeError
    ├── PluginError       an installed plug-in cannot be imported, or breaks the contract
    └── VendorError       the vendor's SDK is needed and is not usable
    UserWarning
    ├── DeployWarning     the network on the chip differs from the trained one; one warning a call
    └── PluginWarning     a plug-in or a chip file was skipped; names it and the reason

A fault in this project itself is an ``AssertionError``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from toolchain.report import Column, Described, Sheet, Table, Text, count, plain, times, visible

__all__ = [
    "Advice",
    "ArtifactError",
    "ChipFileError",
    "DeployError",
    "DeployWarning",
    "Diagnostic",
    "ExtractError",
    "GradientError",
    "GraphError",
    "ModelFileError",
    "PluginError",
    "PluginWarning",
    "Remedy",
    "Severity",
    "VendorError",
    "count",
    "findings_of",
    "times",
]


class Severity(enum.StrEnum):
    """Severity of a finding.

    An ``error`` stops the deployment: the network does not run on the chip, or cannot work there.
    A ``warning`` reports a result that is not what was trained, with its size, or that is unknown;
    an ``info`` gives figures.

    >>> Severity("warning") is Severity.WARNING
    True
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Remedy:
    """Action that removes a finding, tried before it is shown.

    Attributes:
        words: description of the action.
        allow: names for ``deploy(..., allow=...)``; empty if the network or the program itself
            has to change.

    >>> Remedy("accept the chip's cap", allow=("spike_cap->chip_cap",)).allow
    ('spike_cap->chip_cap',)
    """

    words: str
    allow: tuple[str, ...] = ()


class Advice:
    """Remedies of one finding, tried when they are first read.

    Two are equal if their texts are; comparing and pickling try the remedies.

    Args:
        remedies: the remedies, or a function that tries them, which is called once.

    >>> Advice(lambda: [Remedy("core 3 fits")]).remedies
    (Remedy(words='core 3 fits', allow=()),)
    """

    __slots__ = ("_attempt", "_remedies")

    def __init__(self, remedies: Iterable[Remedy] | Callable[[], Iterable[Remedy]] = ()) -> None:
        self._attempt = remedies if callable(remedies) else None
        self._remedies = () if callable(remedies) else tuple(remedies)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """Remedies that work, in the order in which they were tried."""
        if (attempt := self._attempt) is not None:
            self._remedies = tuple(attempt())
            self._attempt = None
        return self._remedies

    @property
    def text(self) -> str:
        """Text of the remedies; empty if none is known."""
        return "; or ".join(remedy.words for remedy in self.remedies)

    def __bool__(self) -> bool:
        """Return whether a remedy works; trying ends with the first that does."""
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


@dataclass(frozen=True, slots=True, kw_only=True, init=False, repr=False)
class Diagnostic(Described):
    """Finding about the user's network.

    Attributes:
        rule: name of the function that found it.
        severity: error, warning or info.
        where: the user's own name of the layer, or ``"network"``.
        message: need, then limit, with units.
        need, limit: the two numbers, if the finding is about numbers.
        source: of the limit: specification file, document, basis.
        advice: remedies, tried when ``hint`` or ``remedies`` is first read.

    >>> finding = Diagnostic(
    ...     rule="fan_out",
    ...     severity=Severity.ERROR,
    ...     where="fc1",
    ...     message="needs 70 targets per neuron, xylo_a2 has 64",
    ...     need=70,
    ...     limit=64,
    ...     source="xylo_a2.yaml (published)",
    ...     hint="64 neurons fit",
    ... )
    >>> print(finding)
    error[fan_out] fc1: needs 70 targets per neuron, xylo_a2 has 64
      source: xylo_a2.yaml (published)
      hint: 64 neurons fit
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
        """Create a finding; ``hint`` is the text of an ``advice`` that is known already."""
        if hint is not None or advice is None:
            advice = Advice([Remedy(hint)] if hint else ())
        given = (rule, severity, where, message, need, limit, source, advice)
        for each, value in zip(fields(self), given, strict=True):
            object.__setattr__(self, each.name, value)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """Remedies that were tried and work."""
        return self.advice.remedies

    @property
    def hint(self) -> str:
        """Text of the remedies; empty if none is known."""
        return self.advice.text

    def __str__(self) -> str:
        """Return ``error[rule] where: message``, with source and hint on lines of their own."""
        lines = [f"{self.severity.value}[{self.rule}] {self.where}: {self.message}"]
        if self.source:
            lines.append(f"  source: {self.source}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(visible(line, one_line=True) for line in lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain data, which JSON can hold."""
        own = {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name != "advice"}
        return {**own, "hint": self.hint}

    def sheet(self) -> Sheet:
        """Describe the finding as a table of its fields; those that are empty are omitted."""
        numbers = {
            name: None if value is None else count(value)
            for name, value in (("need", self.need), ("limit", self.limit))
        }
        texts = {"where": self.where, "message": self.message, **numbers}
        shown = {**texts, "source": self.source, "hint": self.hint}
        rows = tuple((name, text) for name, text in shown.items() if text)
        table = Table(columns=(Column("", wraps=False), Column("")), rows=rows, indented=False)
        return Sheet((table,), f"{self.severity.value}[{self.rule}]")

    def __repr__(self) -> str:
        """Return rule, severity and place; hints are not tried for it."""
        where = visible(self.where, one_line=True)
        return f"Diagnostic({self.severity.value}[{self.rule}] {where}: {self.message!r})"


def findings_of(data: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    """Return the findings whose ``as_dict`` are the list ``diagnostics`` of ``data``.

    Raises:
        ValueError: other fields, or values of another type.

    >>> item = {"rule": "dt", "severity": "info", "where": "network", "message": "1 ms"}
    >>> item |= {"need": None, "limit": None, "source": "", "hint": ""}
    >>> findings_of({"diagnostics": [item]})[0].severity.value
    'info'
    """
    return tuple(map(_finding_of, data["diagnostics"]))


def _finding_of(item: Mapping[str, Any]) -> Diagnostic:
    texts = ("rule", "severity", "where", "message", "source", "hint")
    numbers = ("need", "limit")
    if item.keys() != {*texts, *numbers}:
        raise ValueError(f"a finding has {', '.join((*texts, *numbers))}, got {', '.join(item)}")
    if not all(isinstance(item[name], str) for name in texts):
        raise ValueError(f"{', '.join(texts)} of a finding must be text")
    if not all(item[name] is None or type(item[name]) in (int, float) for name in numbers):
        raise ValueError("need and limit of a finding must be numbers or None")
    return Diagnostic(**{**item, "severity": Severity(item["severity"])})


class DeployError(Described, ValueError):
    """Error: the network does not fit the chip; ``diagnostics`` holds every finding at once.

    Hints, and the lines that accept or repair all findings, are tried when the text is first read.

    Attributes:
        diagnostics: the findings.
        ledger: the ``toolchain.fidelity.ledger.Ledger`` up to the refusal, with the unsupported
            changes; None without one.

    >>> import numpy as np
    >>> from toolchain import deploy
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> fc, lif = Linear(weight=np.eye(4)), Neuron(shape=(4,), v_threshold=1.0, alpha_mem=0.9)
    >>> layers = {"input": Input(shape=(4,)), "fc": fc, "lif": lif, "output": Output()}
    >>> graph = Graph.chain(layers)
    >>> try:
    ...     deploy(graph, "speck2f")
    ... except DeployError as error:
    ...     rules = [finding.rule for finding in error.diagnostics]
    >>> rules[0]
    'integrate_and_fire'
    """

    def __init__(
        self,
        headline: str,
        diagnostics: Iterable[Diagnostic],
        ledger: Any = None,
        acceptance: str | Callable[[], str] = "",
        repair: str | Callable[[], str] = "",
    ) -> None:
        """Create the error; ``acceptance`` and ``repair`` are its last lines, or return them."""
        self.diagnostics = tuple(diagnostics)
        self.ledger = ledger
        self._acceptance = acceptance
        self._repair = repair
        super().__init__(headline)

    @property
    def acceptance(self) -> str:
        """Line with the ``allow=`` that accepts every finding that can be accepted, or empty."""
        if callable(self._acceptance):
            self._acceptance = self._acceptance()
        return self._acceptance

    @property
    def repair(self) -> str:
        """Line with the changes with which ``toolchain.repair`` makes it fit, or empty."""
        if callable(self._repair):
            self._repair = self._repair()
        return self._repair

    def __str__(self) -> str:
        """Return headline, findings with their hints, and the lines that remove them."""
        last = (visible(line, one_line=True) for line in (self.acceptance, self.repair))
        lines = [visible(str(self.args[0])), *map(str, self.diagnostics), *last]
        return "\n".join(line for line in lines if line)

    def as_dict(self) -> dict[str, Any]:
        """Return the refusal as plain data, which JSON can hold."""
        return {
            "headline": str(self.args[0]),
            "diagnostics": [finding.as_dict() for finding in self.diagnostics],
            "acceptance": self.acceptance,
            "repair": self.repair,
            "ledger": None if self.ledger is None else self.ledger.as_dict(),
        }

    def sheet(self) -> Sheet:
        """Describe every finding with its hint, and the lines that remove them."""
        table = Table(
            columns=(Column("finding"), Column("layer"), Column("message"), Column("hint")),
            rows=tuple(
                (f"{each.severity.value}[{each.rule}]", each.where, each.message, each.hint)
                for each in self.diagnostics
            ),
        )
        last = Text(tuple(line for line in (self.acceptance, self.repair) if line))
        return Sheet((table, last), str(self.args[0]))

    def __repr__(self) -> str:
        """Return the headline and the number of findings."""
        return f"DeployError({str(self.args[0])!r}, findings={len(self.diagnostics)})"

    def __reduce__(self) -> tuple[Any, ...]:
        given = self.args[0], self.diagnostics, self.ledger, self.acceptance, self.repair
        own = ("diagnostics", "ledger", "_acceptance", "_repair")
        return type(self), given, {k: v for k, v in vars(self).items() if k not in own}  # notes


class _Printable:
    """Base of errors and warnings whose text may contain names from files.

    ``str`` escapes control characters, so that a name cannot control the terminal.
    """

    __slots__ = ()

    def __str__(self) -> str:
        """Return the text with control characters as escapes."""
        return visible(super().__str__())


class ExtractError(_Printable, ValueError):
    """Error: the model cannot be turned into a Graph without changing its function."""


class GraphError(_Printable, ValueError):
    """Error: a Graph breaks a rule of the IR; the text is one line."""

    def __str__(self) -> str:
        """Return the text on one line."""
        return visible(super().__str__(), one_line=True)


class ModelFileError(_Printable, ValueError):
    """Error: a model file is damaged, hostile, too large or ambiguous."""


class ChipFileError(_Printable, ValueError):
    """Error: a chip specification file is wrong; the message lists every fault with its line."""


class ArtifactError(_Printable, ValueError):
    """Error: a saved deployment is damaged, of another program, or of another version."""


class GradientError(_Printable, ArithmeticError):
    """Error: a gradient is not finite; names the layer or the parameter."""


class PluginError(_Printable, RuntimeError):
    """Error: an installed plug-in cannot be imported, or breaks the contract."""


class DeployWarning(_Printable, UserWarning):
    """Warning: the findings of severity ``warning`` of one deployment, in one text.

    ``warnings.simplefilter("error", DeployWarning)`` stops a script at such a deployment;
    ``Deployment.diagnostics`` holds the same findings.

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", DeployWarning)
    ...     try:
    ...         warnings.warn("xylo_a2: 1 warning", DeployWarning, stacklevel=1)
    ...     except DeployWarning as stopped:
    ...         print(stopped)
    xylo_a2: 1 warning
    """


class PluginWarning(_Printable, UserWarning):
    """Warning: a plug-in or a chip file was skipped; names it and the reason."""


class VendorError(_Printable, RuntimeError):
    """Error: the vendor's SDK is absent, a stub, or refused the configuration."""
