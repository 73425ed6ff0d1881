"""History of a training: what each epoch reached, and which one was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from toolchain.report import Column, Described, Sheet, Table, Text, count, plural, short
from toolchain.training.score import Score

__all__ = ["Epoch", "History"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch of a training.

    Attributes:
        number: from 1; 0 is the start.
        loss: mean over the training samples while they were trained on; None of the start.
        score: on the validation samples after the epoch; None without any.
        saturations: number of clamped states in that run.
        rate: part of the learning rate at the end of the epoch, 0..1.
        refusal: why the chip does not take the integers of an epoch that else was the best so far;
            empty otherwise.

    >>> Epoch(number=1, loss=0.5, score=None, saturations=0, rate=1.0).number
    1
    """

    number: int
    loss: float | None
    score: Score | None
    saturations: int
    rate: float
    refusal: str = ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Epoch:
        """Return the epoch of the data that ``dataclasses.asdict`` gives.

        Raises:
            TypeError, KeyError, ValueError: it is not one.
        """
        score = data["score"]
        rest = {key: value for key, value in data.items() if key != "score"}
        return cls(score=None if score is None else Score(**score), **rest)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class History(Described):
    """History of a training.

    Attributes:
        epochs: in order; the first is the start, before any training.
        choice: number of the epoch whose integers were taken; 0 where none was better.
        samples, validation: numbers of samples to train on, and to choose the epoch.
        reason: why the training ended early; empty if it did not.

    >>> start = Epoch(
    ...     number=0, loss=None, score=Score.of_accuracy(70, 100), saturations=0, rate=0.0
    ... )
    >>> first = Epoch(
    ...     number=1, loss=0.4, score=Score.of_accuracy(80, 100), saturations=3, rate=1.0
    ... )
    >>> history = History(epochs=(start, first), choice=1, samples=400, validation=100)
    >>> print(history)
    trained on 400 samples: epoch 1 of 1 was taken
     epoch  loss                              accuracy  saturations  rate
     start     -  70.0 % (60.4 to 78.1) of 100 samples            0     -
         1   0.4  80.0 % (71.1 to 86.7) of 100 samples            3     1
    """

    epochs: tuple[Epoch, ...]
    choice: int
    samples: int
    validation: int
    reason: str = ""

    @property
    def start(self) -> Score | None:
        """Score before the training; None without validation samples."""
        return self.epochs[0].score

    @property
    def best(self) -> Score | None:
        """Score of the epoch that was taken; None without validation samples."""
        return self.epochs[self.choice].score

    @property
    def refusal(self) -> str:
        """Epochs that the chip does not take, with its reason and the remedy; empty if none."""
        refused = [epoch for epoch in self.epochs if epoch.refusal]
        if not refused:
            return ""
        numbers = ", ".join(str(epoch.number) for epoch in refused)
        which = f"epoch {numbers} was" if len(refused) == 1 else f"epochs {numbers} were"
        return (
            f"{which} not taken, because the chip refuses the integers: {refused[-1].refusal}; "
            "train with a smaller lr, or keep the smallest weights from growing: one that is "
            "exactly 0 in the trained network stays 0, one that was rounded to 0 may not"
        )

    def sheet(self) -> Sheet:
        """Describe each epoch, and which one was taken."""
        table = Table(
            columns=(
                Column("epoch", "right", wraps=False),
                Column("loss", "right", wraps=False),
                Column(self.start.what if self.start else "validation", "right"),
                Column("saturations", "right", wraps=False),
                Column("rate", "right", wraps=False),
            ),
            rows=tuple(_row(epoch) for epoch in self.epochs),
        )
        notes = tuple(Text((note,)) for note in (self.refusal, self.reason) if note)
        return Sheet((table, *notes), self._title())

    def _title(self) -> str:
        what = f"trained on {plural(self.samples, 'sample')}"
        done = len(self.epochs) - 1
        if not self.choice and self.refusal:
            return f"{what}: no epoch of {done} could be taken, and the start was kept"
        if not self.choice:
            return f"{what}: no epoch of {done} was better than the start, which was kept"
        return f"{what}: epoch {self.choice} of {done} was taken"

    def as_dict(self) -> dict[str, Any]:
        """Return what ``sheet`` describes as plain data, which JSON can hold."""
        return {
            "samples": self.samples,
            "validation": self.validation,
            "choice": self.choice,
            "reason": self.reason,
            "epochs": [asdict(epoch) for epoch in self.epochs],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> History:
        """Return the history that ``as_dict`` gave.

        Raises:
            TypeError, KeyError, ValueError: ``data`` is not one.
        """
        return cls(**{**data, "epochs": tuple(map(Epoch.from_dict, data["epochs"]))})


def _row(epoch: Epoch) -> tuple[str, ...]:
    return (
        str(epoch.number) if epoch.number else "start",
        "-" if epoch.loss is None else short(epoch.loss),
        "-" if epoch.score is None else str(epoch.score),
        count(epoch.saturations),
        short(epoch.rate, 2) if epoch.number else "-",
    )
