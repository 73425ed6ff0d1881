"""Score of a validation: a number of which more is better, and how it is stated."""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.report import share, short
from toolchain.runs.accuracy import Accuracy

__all__ = ["Score"]

ACCURACY = "accuracy"
AGREEMENT = "agreement"


@dataclass(frozen=True, slots=True)
class Score:
    """Result of a validation.

    Attributes:
        what: ``"accuracy"``, ``"agreement"`` or ``"loss"``.
        value: 0..1; or the loss, of which less is better.
        samples: number of samples judged.
        loss: of an accuracy, the mean loss of the same samples, which decides between equal ones;
            few samples have few different accuracies.

    >>> print(Score.of_accuracy(90, 100), Score("loss", 0.25, 100), sep="; ")
    90.0 % (82.6 to 94.5) of 100 samples; 0.25
    >>> Score("loss", 0.2, 100).beats(Score("loss", 0.25, 100))
    True
    >>> Score.of_accuracy(90, 100, loss=0.3).beats(Score.of_accuracy(90, 100, loss=0.4))
    True
    """

    what: str
    value: float
    samples: int
    loss: float | None = None

    @classmethod
    def of_accuracy(cls, right: int, samples: int, loss: float | None = None) -> Score:
        """Return the score of a classification."""
        return cls(ACCURACY, right / samples, samples, loss)

    def beats(self, other: Score) -> bool:
        """Return whether this is strictly better."""
        if self.what not in (ACCURACY, AGREEMENT):
            return self.value < other.value
        if self.value != other.value or self.loss is None or other.loss is None:
            return self.value > other.value
        return self.loss < other.loss

    @property
    def figure(self) -> str:
        """The value as text."""
        return share(self.value) if self.what in (ACCURACY, AGREEMENT) else short(self.value)

    def __str__(self) -> str:
        """Return the value, of an accuracy with its interval and number of samples."""
        if self.what == ACCURACY:
            return str(Accuracy(right=round(self.value * self.samples), samples=self.samples))
        return self.figure
