"""Result of a repair: the network that works best, and what each remedy would have cost."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from toolchain.deployment import Deployment
from toolchain.report import (
    Brief,
    Column,
    Described,
    Sheet,
    Table,
    Text,
    count,
    plain,
    share,
    short,
)

__all__ = ["RemedyRow", "Repair"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RemedyRow(Brief):
    """One remedy, or several together, that were tried.

    Attributes:
        name: names of the remedies, ``"prune_fan_out"``; ``"as given"`` for none.
        words: description with layers and numbers.
        allow: approximations that were accepted.
        quantizer: name of the quantizer.
        fits: True if the chip takes the network.
        refusal: why not; empty if it fits.
        weights, neurons: number of weights that are not 0, and of neurons, outputs included.
        before: accuracy or agreement before training, 0..1; None if it was not measured.
        after: the same after training; None if it was not trained.
        seconds: time that deployment, measurement and training took.

    >>> as_given = RemedyRow(name="as given", quantizer="auto", fits=False, weights=12, neurons=4)
    >>> as_given.value is None
    True
    """

    name: str
    quantizer: str
    fits: bool
    weights: int
    neurons: int
    words: str = ""
    allow: tuple[str, ...] = ()
    refusal: str = ""
    before: float | None = None
    after: float | None = None
    seconds: float = 0.0

    @property
    def value(self) -> float | None:
        """The best value that was reached."""
        return max((v for v in (self.before, self.after) if v is not None), default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return the attempt as plain data, which JSON can hold."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Repair(Described):
    """Network that fits its chip, with the remedies that were tried.

    Attributes:
        deployment: the network of ``chosen`` on the chip.
        attempts: every remedy that was tried, the cheapest first.
        chosen: the attempt that is deployed.
        what: ``"accuracy"`` or ``"agreement"``, of ``samples`` that were not used otherwise.
        reference: that of the given float network, 0..1.
        max_drop: largest loss that was wanted, 0..1.
        samples: number of samples measured.
        channels: input channels of the given network that are left, to be given to the chip in
            this order; None for all.
        stopped: why remedies were left out; empty if none was.

    >>> row = RemedyRow(
    ...     name="as given", quantizer="auto", fits=True, weights=12, neurons=4, before=0.93
    ... )
    >>> result = Repair(
    ...     deployment=None, attempts=(row,), chosen=row, what="accuracy", reference=0.96,
    ...     max_drop=0.01, samples=100,
    ... )
    >>> result.value, result.within
    (0.93, False)
    """

    deployment: Deployment
    attempts: tuple[RemedyRow, ...]
    chosen: RemedyRow
    what: str
    reference: float
    max_drop: float
    samples: int
    channels: tuple[int, ...] | None = None
    stopped: str = ""

    @property
    def value(self) -> float:
        """Accuracy or agreement of the deployed network on the chip, 0..1."""
        assert self.chosen.value is not None
        return self.chosen.value

    @property
    def within(self) -> bool:
        """True if the loss is at most ``max_drop``."""
        return self.value >= self.reference - self.max_drop - 1e-9

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain data, which JSON can hold; the deployment is left out."""
        names = ("what", "reference", "max_drop", "samples", "channels", "stopped")
        own = {name: plain(getattr(self, name)) for name in names}
        return {
            "chip": self.deployment.chip.name,
            **own,
            "value": self.value,
            "within": self.within,
            "chosen": self.attempts.index(self.chosen),
            "attempts": [each.as_dict() for each in self.attempts],
        }

    def sheet(self) -> Sheet:
        """Describe every remedy: fit, size, accuracy or agreement before and after training."""
        right = ("weights", "neurons", f"{self.what} before", "trained", "time")
        table = Table(
            columns=(
                Column("", wraps=False),
                Column("remedy"),
                Column("fits"),
                *(Column(heading, "right", wraps=False) for heading in right),
            ),
            rows=tuple(map(self._row, self.attempts)),
        )
        lines = [
            f"float network: {self.what} {share(self.reference)} of {count(self.samples)} samples"
            if self.what == "accuracy"
            else f"agreement with the float network on {count(self.samples)} samples",
            f"chosen: {self.chosen.words or self.chosen.name}",
        ]
        if self.channels is not None:
            lines.append(f"input channels: {', '.join(map(str, self.channels))}")
        if self.stopped:
            lines.append(self.stopped)
        return Sheet((table, Text(tuple(lines))), self._title())

    def _title(self) -> str:
        drop = 100 * (self.reference - self.value)
        change = f"{abs(drop):.1f} points {'below' if drop >= 0 else 'above'} the float network"
        state = "" if self.within else f", more than the {100 * self.max_drop:g} that were wanted"
        return f"{self.deployment.chip.name}: {self.what} {share(self.value)}, {change}{state}"

    def _row(self, attempt: RemedyRow) -> tuple[str, ...]:
        before, after = (
            "" if value is None else share(value) for value in (attempt.before, attempt.after)
        )
        return (
            ">" if attempt is self.chosen else "",
            f"{attempt.name} ({attempt.quantizer})",
            "yes" if attempt.fits else f"no: {attempt.refusal}",
            count(attempt.weights),
            count(attempt.neurons),
            before,
            after,
            f"{short(attempt.seconds, 2)} s",
        )

    def __repr__(self) -> str:
        """Return chip, remedy and value."""
        return (
            f"Repair(chip={self.deployment.chip.name!r}, chosen={self.chosen.name!r}, "
            f"{self.what}={self.value:.3f}, within={self.within})"
        )
