"""The fidelity ledger: for each layer, how closely the chip computes what was trained.

An entry holds every change as data and is as weak as the weakest of them:

- ``exact``: an identity in real numbers; no loss.
- ``exact_on_data``: a condition was met on the calibration samples; the change states the
  condition and the margin.
- ``approximated``: the chip computes something else; the change states the values before and
  after, and the error. A condition that was not checked for lack of calibration is one of these.
- ``unsupported``: the chip cannot do it; the network is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from types import MappingProxyType
from typing import Any

from toolchain.fidelity.entries import (
    UNCHECKED,
    Change,
    Changes,
    Effect,
    Entry,
    Fidelity,
    FieldValue,
    entry_data,
    entry_of,
    number,
    text,
    weakest,
)
from toolchain.report import (
    Column,
    Described,
    Sheet,
    Table,
    Text,
    count,
    percent,
    plain,
    plural,
    shown,
)
from toolchain.report.named import entry_named
from toolchain.runs.agreement import agreement_text

__all__ = [
    "UNCHECKED",
    "Change",
    "Changes",
    "Effect",
    "Entry",
    "Fidelity",
    "FieldValue",
    "Ledger",
    "weakest",
]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Ledger(Described):
    """Fidelity of every layer of a network on a chip.

    Attributes:
        chip: its name.
        entries: in the network's order.
        provenance: where the network came from and how it was read: framework and version, what
            was assumed or inferred, what was left out, the self-check; and ``dt``.
        samples, steps: of the calibration; None without.
        fewest_steps: of the shortest calibration sample, if lengths differ; ``steps`` is then that
            of the longest.

    >>> change = Change(what="tau_mem", fidelity=Fidelity.APPROXIMATED, before=10.0, after=7.49)
    >>> ledger = Ledger(
    ...     chip="xylo_a2",
    ...     entries=(Entry(layer="lif", kind="Neuron", changes=(change,)),),
    ...     provenance={"dt": "0.001 s"},
    ... )
    >>> ledger.fidelity.value, str(ledger["lif"].changes[0])
    ('approximated', 'tau_mem: 10 -> 7.49')
    """

    chip: str
    entries: tuple[Entry, ...]
    provenance: Mapping[str, str]
    samples: int | None = None
    steps: int | None = None
    fewest_steps: int | None = None

    def __post_init__(self) -> None:
        """Freeze the provenance."""
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the provenance as a plain mapping."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return partial(type(self), **plain | {"provenance": dict(self.provenance)}), ()

    @property
    def fidelity(self) -> Fidelity:
        """Fidelity of the weakest layer."""
        return weakest(entry.fidelity for entry in self.entries)

    def __getitem__(self, layer: str) -> Entry:
        """Return the entry of a layer; KeyError lists the layers."""
        return entry_named(layer, ((each.layer, each) for each in self.entries))

    def as_dict(self) -> dict[str, Any]:
        """Return the ledger as plain data."""
        return {
            "chip": self.chip,
            "fidelity": self.fidelity.value,
            "samples": self.samples,
            "steps": self.steps,
            **({} if self.fewest_steps is None else {"fewest_steps": self.fewest_steps}),
            "provenance": dict(self.provenance),
            "layers": plain([entry_data(entry) for entry in self.entries]),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ledger:
        """Return the ledger that ``as_dict`` wrote.

        Raises:
            ValueError, TypeError, KeyError: ``data`` is not a ledger.
        """
        return cls(
            chip=text(data["chip"]),
            entries=tuple(map(entry_of, data["layers"])),
            provenance={text(k): text(v) for k, v in data["provenance"].items()},
            samples=number(data["samples"], int),
            steps=number(data["steps"], int),
            fewest_steps=number(data.get("fewest_steps"), int),
        )

    def sheet(self, *, brief: bool = False) -> Sheet:
        """Describe the fidelity of each layer and the origin of the network.

        Args:
            brief: one row for each layer, with its effect in columns of their own; otherwise one
                row for each change and one for the effect.
        """
        measured = brief and self.samples is not None
        if brief:
            rows = [_brief_row(entry, measured) for entry in self.entries]
        else:
            rows = [row for entry in self.entries for row in _rows(entry)]
        title = f"fidelity on {self.chip}{self._calibration()}"
        table = Table(
            columns=(
                Column("layer", wraps=False),
                Column("fidelity", wraps=False),
                Column("changes"),
                *(Column(name, "right", wraps=False) for name in EFFECT if measured),
            ),
            rows=tuple(rows),
        )
        origin = Text(tuple(f"{name}: {value}" for name, value in self.provenance.items()))
        return Sheet((table, origin), title)

    def _calibration(self) -> str:
        """Return the size of the calibration, for the title."""
        if self.samples is None:
            return ""
        least = "" if self.fewest_steps is None else f"{count(self.fewest_steps)} to "
        return f", {plural(self.samples, 'sample')} of {least}{count(self.steps or 0)} steps"

    def __repr__(self) -> str:
        """Return chip, number of layers and weakest fidelity."""
        layers = len(self.entries)
        return f"Ledger(chip={self.chip!r}, layers={layers}, fidelity={self.fidelity.value!r})"


# ---- rows of the sheet ----

EFFECT = ("trained", "chip", "agree")
"""Headings of what ``_effect`` returns."""


def _rows(entry: Entry) -> Iterator[tuple[str, ...]]:
    """Yield a row for each line of the entry; a single row if there are none."""
    names = entry.layer, entry.fidelity.value
    for line in [*_lines(entry)] or [""]:
        yield *names, line
        names = "", ""


def _lines(entry: Entry) -> Iterator[str]:
    for change in entry.changes:
        exact = change.fidelity is Fidelity.EXACT
        yield f"{change}" if exact else f"{change} [{change.fidelity.value.replace('_', ' ')}]"
    if entry.effect is not None and entry.kind != "Input":
        trained, chip, agreement = _effect(entry.effect)
        yield f"spikes: {trained} as trained, {chip} on the chip; agreement {agreement}"


def _brief_row(entry: Entry, measured: bool) -> tuple[str, ...]:
    effect = _effect(entry.effect) if measured else ()
    if measured and entry.kind == "Input":  # the same spikes for both
        effect = (*effect[:2], "")
    return entry.layer, entry.fidelity.value, ", ".join(_brief_changes(entry)), *effect


def _brief_changes(entry: Entry) -> Iterator[str]:
    """Yield the changes of the entry's own fidelity, in few words; the others are no weaker."""
    for change in entry.changes:
        if change.fidelity is not entry.fidelity:
            continue
        if change.error is not None and change.fidelity is not Fidelity.EXACT:
            yield f"{change.what} {percent(change.error)}"
        elif change.after is not None and change.fidelity is not Fidelity.UNSUPPORTED:
            yield f"{change.what} {shown(change.after)}"
        else:
            yield change.what


def _effect(effect: Effect | None) -> tuple[str, str, str]:
    if effect is None:
        return "", "", ""
    agreement = agreement_text(effect.agreement, effect.interval)
    return count(effect.trained), count(effect.chip), agreement
