"""Terms of an estimate: one count times one price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from toolchain.estimate.figure import Figure
from toolchain.hardware.quantity import Scope

__all__ = ["Counts", "NotPriced", "Term"]

Counts: TypeAlias = Mapping[str, Mapping[str, float]]
"""Number of actions a second, by action and layer; actions as in ``power.ACTIONS`` of the chip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One product of the power model.

    Attributes:
        constant: its name, ``rails.digital.static``; see ``toolchain.hardware.power``.
        rail: rail that supplies it.
        kind: drawn by an idle chip, or added by activity.
        layer: layer with the activity; empty for idle terms.
        times: factor of the constant, µW a unit of the constant; None if the term is not a
            product: an idle draw at another clock than that of its reading.
        power: the product, µW; of activity on a rail whose reading is ``all_in`` what it may add
            to that reading.
        scope: coverage of the constant, ``idle``, ``incremental`` or ``all_in``.
        split: low and high part of the energy on this rail, relative to the nominal part.

    >>> from toolchain import load_chip
    >>> from toolchain.estimate import price
    >>> counts = {"cycle": {"network": 1e6}}
    >>> terms, _ = price(load_chip("xylo_a2"), clock_hz=6.25e6, modes={}, counts=counts)
    >>> isinstance(terms[-1], Term), terms[-1].kind, terms[-1].rail, terms[-1].times
    (True, 'dynamic', 'snn_core', 1.0)
    """

    constant: str
    rail: str
    kind: Literal["idle", "dynamic"]
    layer: str
    times: float | None
    power: Figure
    scope: Scope = "incremental"
    split: tuple[float, float] = (1.0, 1.0)

    @property
    def on_rail(self) -> Figure:
        """The product with the range of its rail's part; a sum over all rails has ``power``."""
        low, high = self.split
        return replace(self.power, low=self.power.low * low, high=self.power.high * high)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPriced:
    """A cost that is not in the figures, since it has no price.

    Attributes:
        what: an action, or a sentence.
        per_second: number of actions, in ``unit`` a second; None if not counted.
        unit: counting unit of the action.

    >>> print(NotPriced(what="leak_update", per_second=1200, unit="neuron"))
    leak_update: 1200 neuron/s
    """

    what: str
    per_second: float | None = None
    unit: str = ""

    def __str__(self) -> str:
        """Return ``leak_update: 1200 neuron/s``."""
        counted = self.per_second is not None
        return f"{self.what}: {self.per_second:.4g} {self.unit}/s" if counted else self.what
