"""The fidelity ledger: for each layer, how far what is on the chip is what was trained.

An entry holds every change as data and is as weak as the weakest of them:

- ``exact``: an identity, in real numbers; nothing to lose.
- ``exact_on_data``: a condition held on the calibration samples; the change says which, and by
  what margin.
- ``approximated``: something else is computed; the change says what became what, and how far off
  it is. A condition that nobody checked, because there was no calibration, is one of these.
- ``unsupported``: the chip cannot do it; the network is refused.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any, TypeAlias

__all__ = [
    "UNCHECKED",
    "Change",
    "Changes",
    "Effect",
    "Entry",
    "Fidelity",
    "Ledger",
    "percent",
    "shown",
    "weakest",
]

Value: TypeAlias = float | str | None

UNCHECKED = "not checked: no calibration"
"""What is noted of a condition on data where there are none."""


class Fidelity(str, enum.Enum):
    """How far a layer on the chip is the trained one, the strongest first; see the module."""

    EXACT = "exact"
    EXACT_ON_DATA = "exact_on_data"
    APPROXIMATED = "approximated"
    UNSUPPORTED = "unsupported"


def weakest(found: Iterable[Fidelity]) -> Fidelity:
    """The weakest of ``found``; exact where there is none."""
    order = [*Fidelity]
    return max(found, key=order.index, default=Fidelity.EXACT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between a layer as trained and as it is on the chip.

    Attributes:
        what: the aspect: a field of the IR's node, or what stands beside them (``timing``, ...).
        fidelity: of this change alone.
        before, after: what became what, in ``unit``; of many neurons, the one that changed most.
        unit: of both.
        error: how far off it is, relative, signed where that says something; None where no number
            says it.
        note: a short text.
        allowed: the name by which it was accepted, or nothing.
    """

    what: str
    fidelity: Fidelity
    before: Value = None
    after: Value = None
    unit: str = ""
    error: float | None = None
    note: str = ""
    allowed: str = ""

    def __str__(self) -> str:
        """``tau_mem: 10 -> 7.49 ms (-25.1 %), dash 3``."""
        off = "" if self.error is None else percent(self.error)
        if self.before is not None or self.after is not None:
            unit = f" {self.unit}" if self.unit else ""
            became = f"{shown(self.before)} -> {shown(self.after)}{unit}"
            off = f"{became} ({off})" if off else became
        parts = (off, self.note, f"allowed as {self.allowed}" if self.allowed else "")
        return f"{self.what}: {', '.join(part for part in parts if part)}"


def shown(value: Value) -> str:
    """A number to three digits; ``none`` where there is nothing."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else f"{value:.3g}"


def percent(part: float) -> str:
    """``-25.1 %``, ``0.31 %``: two digits of small parts, one behind the point of large ones."""
    return f"{100 * part:.2g} %" if abs(part) < 0.1 else f"{100 * part:.1f} %"


Changes: TypeAlias = Mapping[str, Sequence[Change]]
"""Changes by layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a layer did on the calibration samples, the chip's lag undone.

    Attributes:
        trained, chip: spikes of the trained network and of the chip.
        agreement: of each neuron's spike counts, 0..1; see ``recording.count_agreement``.
        trained_most, chip_most: most spikes of a neuron in one timestep.
        held_back: times a membrane stayed at its threshold or above, since the neuron may not
            spike more often.
        ties: times a membrane of the chip met its threshold exactly.
        lowest: lowest membrane on the chip, in thresholds.
        peak: largest magnitude of a state that was recorded, lsb.
        saturations: times a state was clamped at the edge of its word.
        one_by_one: agreement of counts between events taken one by one and all at once; None
            where the chip knows no such thing.
    """

    trained: int
    chip: int
    agreement: float
    trained_most: int
    chip_most: int
    held_back: int = 0
    ties: int = 0
    lowest: float = 0.0
    peak: int = 0
    saturations: int = 0
    one_by_one: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One layer.

    Attributes:
        layer: the user's own name; ``network`` for what is about all of them.
        kind: what it is, as a node of the IR.
        changes: every difference, in the order of the road.
        effect: what it did on the calibration samples, of layers that spike.
    """

    layer: str
    kind: str
    changes: tuple[Change, ...] = ()
    effect: Effect | None = None

    @property
    def fidelity(self) -> Fidelity:
        """That of the weakest change."""
        return weakest(change.fidelity for change in self.changes)

    def of(self, what: str) -> tuple[Change, ...]:
        """The changes of one aspect."""
        return tuple(change for change in self.changes if change.what == what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Every layer of a network on a chip.

    Attributes:
        chip: its name.
        entries: in the network's order.
        provenance: where the network came from and how it was read: framework and version, what
            was assumed or inferred, what was left out, the self-check; and ``dt``.
        samples, steps: of the calibration; None without.
    """

    chip: str
    entries: tuple[Entry, ...]
    provenance: Mapping[str, str]
    samples: int | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        """Freeze the provenance."""
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))

    @property
    def fidelity(self) -> Fidelity:
        """That of the weakest layer."""
        return weakest(entry.fidelity for entry in self.entries)

    def __getitem__(self, layer: str) -> Entry:
        """The entry of that layer; KeyError lists what there is."""
        for entry in self.entries:
            if entry.layer == layer:
                return entry
        names = ", ".join(entry.layer for entry in self.entries)
        raise KeyError(f"no layer {layer!r}; there are {names}")

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "chip": self.chip,
            "fidelity": self.fidelity.value,
            "samples": self.samples,
            "steps": self.steps,
            "provenance": dict(self.provenance),
            "layers": [_entry_data(entry) for entry in self.entries],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ledger:
        """The ledger that ``as_dict`` wrote.

        Raises:
            ValueError, TypeError, KeyError: it is none.
        """
        return cls(
            chip=_text(data["chip"]),
            entries=tuple(map(_entry_of, data["layers"])),
            provenance={_text(k): _text(v) for k, v in data["provenance"].items()},
            samples=_number(data["samples"], int),
            steps=_number(data["steps"], int),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Ledger.from_dict, (self.as_dict(),)

    def __str__(self) -> str:
        """A table with a line for each change; see ``toolchain.tables``."""
        from toolchain.tables import render

        return render(self)


# ---- plain data ----


def _entry_data(entry: Entry) -> dict[str, Any]:
    changes = [{**asdict(c), "fidelity": c.fidelity.value} for c in entry.changes]
    return {**asdict(entry), "fidelity": entry.fidelity.value, "changes": changes}


def _entry_of(data: Mapping[str, Any]) -> Entry:
    effect = data["effect"]
    return Entry(
        layer=_text(data["layer"]),
        kind=_text(data["kind"]),
        changes=tuple(map(_change_of, data["changes"])),
        effect=None if effect is None else _effect_of(effect),
    )


def _change_of(data: Mapping[str, Any]) -> Change:
    for name in ("before", "after"):
        if not isinstance(data[name], str):
            _number(data[name], int, float)
    return Change(
        what=_text(data["what"]),
        fidelity=Fidelity(data["fidelity"]),
        before=data["before"],
        after=data["after"],
        unit=_text(data["unit"]),
        error=_number(data["error"], int, float),
        note=_text(data["note"]),
        allowed=_text(data["allowed"]),
    )


def _effect_of(data: Mapping[str, Any]) -> Effect:
    real = ("agreement", "lowest", "one_by_one")
    kinds = {f.name: (int, float) if f.name in real else (int,) for f in fields(Effect)}
    if set(data) != set(kinds):
        raise ValueError(f"an effect has {', '.join(kinds)}, got {', '.join(map(str, data))}")
    return Effect(**{name: _number(data[name], *kind) for name, kind in kinds.items()})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"wants a text, got {value!r}")
    return value


def _number(value: Any, *kinds: type) -> Any:
    if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
        raise TypeError(f"wants a number, got {value!r}")
    return value
