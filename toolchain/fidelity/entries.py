"""Entries of the fidelity ledger: the changes of one layer, and its effect on calibration."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias

from toolchain.report import Brief, percent, shown

__all__ = [
    "UNCHECKED",
    "Change",
    "Changes",
    "Effect",
    "Entry",
    "Fidelity",
    "FieldValue",
    "entry_data",
    "entry_of",
    "number",
    "text",
    "weakest",
]

FieldValue: TypeAlias = float | str | None

UNCHECKED = "not checked: no calibration"
"""Note of a condition on data without calibration."""


class Fidelity(enum.StrEnum):
    """Fidelity of a layer on the chip to the trained one, the strongest first; see ``ledger``."""

    EXACT = "exact"
    EXACT_ON_DATA = "exact_on_data"
    APPROXIMATED = "approximated"
    UNSUPPORTED = "unsupported"


def weakest(fidelities: Iterable[Fidelity]) -> Fidelity:
    """Return the weakest of ``fidelities``; exact if there is none."""
    order = [*Fidelity]
    return max(fidelities, key=order.index, default=Fidelity.EXACT)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Change(Brief):
    """One difference between a layer as trained and as it is on the chip.

    Attributes:
        what: the aspect: a field of the IR's node, or another property (``timing``, ...).
        fidelity: of this change only.
        before, after: old and new value, in ``unit``; of many neurons, the one that changed most.
        unit: of both.
        error: relative error, signed where the sign has a meaning; None if no number expresses it.
        note: a short text.
        allowed: the name by which it was accepted, or empty.
        span: smallest and largest ``error`` of the layer's neurons; None if all of them were
            trained with the same number, or no number expresses it.
        threshold: of weights, the smallest threshold of the neurons that they drive, lsb; None
            if unknown.
    """

    what: str
    fidelity: Fidelity
    before: FieldValue = None
    after: FieldValue = None
    unit: str = ""
    error: float | None = None
    note: str = ""
    allowed: str = ""
    span: tuple[float, float] | None = None
    threshold: int | None = None

    def __str__(self) -> str:
        """Return one line, as ``tau_mem: 10 -> 7.49 ms (-25.1 %)``, with note and approval."""
        off = "" if self.error is None else percent(self.error)
        if self.before is not None or self.after is not None:
            unit = f" {self.unit}" if self.unit else ""
            became = f"{shown(self.before)} -> {shown(self.after)}{unit}"
            off = f"{became} ({off})" if off else became
        parts = (off, self.note, f"allowed as {self.allowed}" if self.allowed else "")
        return f"{self.what}: {', '.join(part for part in parts if part)}"


Changes: TypeAlias = Mapping[str, Sequence[Change]]
"""Changes by layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Spikes and states of a layer on the calibration samples, the chip's lag removed.

    Attributes:
        trained, chip: spikes of the trained network and of the chip.
        agreement: of each neuron's spike counts, 0..1; see ``recording.count_agreement``.
        interval: of the agreement, with 95 % confidence; see ``toolchain.runs.agreement``. None
            if there are too few spikes to tell.
        trained_most, chip_most: most spikes of a neuron in one timestep.
        capped: number of times a membrane stayed at its threshold or above, because the neuron
            cannot spike more often.
        ties: number of times a membrane of the chip equalled its threshold exactly.
        lowest: lowest membrane on the chip, in thresholds.
        peak: largest magnitude of a recorded state, lsb.
        saturations: number of times a state was clamped at the limit of its word.
        one_by_one: agreement of counts between events handled one by one and all at once; None
            if the chip has no such timing.
    """

    trained: int
    chip: int
    agreement: float
    trained_most: int
    chip_most: int
    capped: int = 0
    ties: int = 0
    lowest: float = 0.0
    peak: int = 0
    saturations: int = 0
    one_by_one: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Entry(Brief):
    """One layer in the ledger.

    Attributes:
        layer: the user's own name; ``network`` for changes of all layers.
        kind: type of the layer, as a node of the IR.
        changes: every difference, in the order of the pipeline.
        effect: spikes and states on the calibration samples, of layers that spike.
    """

    layer: str
    kind: str
    changes: tuple[Change, ...] = ()
    effect: Effect | None = None

    @property
    def fidelity(self) -> Fidelity:
        """Fidelity of the weakest change."""
        return weakest(change.fidelity for change in self.changes)

    def of(self, what: str) -> tuple[Change, ...]:
        """Return the changes of one aspect."""
        return tuple(change for change in self.changes if change.what == what)


# ---- plain data ----


STORED_AS = {"capped": "held_back"}
"""Keys in saved ledgers that differ from the attributes of ``Effect``."""


def entry_data(entry: Entry) -> dict[str, Any]:
    """Return the entry as plain data, with its fidelity."""
    changes = [{**asdict(c), "fidelity": c.fidelity.value} for c in entry.changes]
    found = {**asdict(entry), "fidelity": entry.fidelity.value, "changes": changes}
    effect = found["effect"]
    if effect is not None:
        found["effect"] = {STORED_AS.get(name, name): value for name, value in effect.items()}
    return found


def entry_of(data: Mapping[str, Any]) -> Entry:
    """Return the entry that ``entry_data`` wrote; KeyError, TypeError or ValueError if damaged."""
    effect = data["effect"]
    return Entry(
        layer=text(data["layer"]),
        kind=text(data["kind"]),
        changes=tuple(map(_change_of, data["changes"])),
        effect=None if effect is None else _effect_of(effect),
    )


def _change_of(data: Mapping[str, Any]) -> Change:
    for name in ("before", "after"):
        if not isinstance(data[name], str):
            number(data[name], int, float)
    return Change(
        what=text(data["what"]),
        fidelity=Fidelity(data["fidelity"]),
        before=data["before"],
        after=data["after"],
        unit=text(data["unit"]),
        error=number(data["error"], int, float),
        note=text(data["note"]),
        allowed=text(data["allowed"]),
        # ledgers of earlier versions have neither of these
        span=_span_of(data.get("span")),
        threshold=number(data.get("threshold"), int),
    )


def _span_of(data: Sequence[Any] | None) -> tuple[float, float] | None:
    if data is None:
        return None
    low, high = (number(each, int, float) for each in data)
    if low is None or high is None:
        raise TypeError(f"must be two numbers, got {data!r}")
    return low, high


def _effect_of(data: Mapping[str, Any]) -> Effect:
    real = ("agreement", "lowest", "one_by_one")
    names = [f.name for f in fields(Effect) if f.name != "interval"]
    kinds = {name: (int, float) if name in real else (int,) for name in names}
    keys = {name: STORED_AS.get(name, name) for name in kinds}
    if set(data) - {"interval"} != set(keys.values()):  # earlier ledgers have no interval
        raise ValueError(
            f"an effect has {', '.join(keys.values())}, got {', '.join(map(str, data))}"
        )
    return Effect(
        **{name: number(data[keys[name]], *kind) for name, kind in kinds.items()},
        interval=_span_of(data.get("interval")),
    )


def text(value: Any) -> str:
    """Return ``value`` if it is text; TypeError otherwise."""
    if not isinstance(value, str):
        raise TypeError(f"must be text, got {value!r}")
    return value


def number(value: Any, *kinds: type) -> Any:
    """Return ``value`` if it is None or a number of these types; TypeError otherwise."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
        raise TypeError(f"must be a number, got {value!r}")
    return value
