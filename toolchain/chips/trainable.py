"""Base class of the trainable programs of all families: it checks arguments before they are used.

A family derives from ``Trainable``, which implements ``run`` and ``gradients`` of the contract, and
implements ``forward`` and ``backward``, whose arguments are valid. This is optional, as with
``toolchain.chips.functions``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from toolchain.arrays import Array, Shape
from toolchain.chips.training import Parameter, SurrogateSlope, Tape

__all__ = ["PassSettings", "Trainable", "WantedGradients", "check_names", "checked_values"]

T = TypeVar("T", bound=Tape)
"""The family's tape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassSettings:
    """Settings of a forward pass; see ``TrainableProgram.run``.

    Attributes:
        layers: names of layers of the program.
        timing: not checked.
        gradient, threads, steps: as given.
    """

    layers: tuple[str, ...]
    timing: str
    gradient: bool
    threads: int | None
    steps: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WantedGradients:
    """Arguments of a backward pass; see ``TrainableProgram.gradients``.

    Attributes:
        outer: derivatives by names of layers of the program.
        names: of parameters of the program.
        slope, of_input: as given.
    """

    outer: Mapping[str, Array]
    names: tuple[str, ...]
    slope: SurrogateSlope | None
    of_input: bool


class Trainable(ABC, Generic[T]):
    """Implement ``run`` and ``gradients`` of the contract by ``forward`` and ``backward``."""

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, Parameter]:
        """Implement ``TrainableProgram.parameters``."""

    @property
    @abstractmethod
    def layers(self) -> Mapping[str, Shape]:
        """Implement ``TrainableProgram.layers``."""

    @abstractmethod
    def forward(self, integers: dict[str, Array], spikes: Any, settings: PassSettings) -> T:
        """Simulate with ``integers``, copies in the range of their parameters.

        Raises:
            ValueError: invalid spikes, timing, threads or steps.
        """

    @abstractmethod
    def backward(self, tape: Any, wanted: WantedGradients) -> Mapping[str, Array]:
        """Return the gradients; see ``TrainableProgram.gradients``.

        Raises:
            ValueError: a tape without a record.
        """

    def run(
        self,
        values: Mapping[str, Array],
        spikes: Any,
        *,
        layers: Collection[str],
        timing: str,
        gradient: bool,
        threads: int | None = None,
        steps: int | None = None,
    ) -> T:
        """Implement ``TrainableProgram.run``."""
        check_names("layers", layers, self.layers)
        settings = PassSettings(
            layers=tuple(layers), timing=timing, gradient=gradient, threads=threads, steps=steps
        )
        return self.forward(checked_values(self.parameters, values), spikes, settings)

    def gradients(
        self,
        tape: Any,
        outer: Mapping[str, Array],
        *,
        wanted: Collection[str],
        slope: SurrogateSlope | None = None,
        of_input: bool = False,
    ) -> Mapping[str, Array]:
        """Implement ``TrainableProgram.gradients``."""
        check_names("outer", outer, self.layers)
        check_names("wanted", wanted, self.parameters)
        asked = WantedGradients(outer=outer, names=tuple(wanted), slope=slope, of_input=of_input)
        return self.backward(tape, asked)


def check_names(what: str, names: Collection[str], known: Collection[str]) -> None:
    """Check the names that an argument lists.

    Raises:
        ValueError: unknown names; the message lists the valid ones.

    >>> check_names("layers", ["out"], {"lif1": (3,), "out": (2,)})
    """
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{what}: unknown {', '.join(unknown)}; known are {', '.join(known)}")


def checked_values(
    parameters: Mapping[str, Parameter], values: Mapping[str, Array]
) -> dict[str, Array]:
    """Return a copy of the integers of all parameters.

    Raises:
        ValueError: missing or unknown names, another shape or type, or values out of range.

    >>> weight = Parameter(
    ...     node="fc", field="weight", kind="weight", shape=(2,), step=2, low=-254, high=254
    ... )
    >>> checked_values({"fc.weight": weight}, {"fc.weight": np.array([4, -8])})["fc.weight"]
    array([ 4, -8])
    """
    missing = [name for name in parameters if name not in values]
    if missing:
        raise ValueError(f"values: {', '.join(missing)} missing")
    check_names("values", values.keys(), parameters)
    return {name: _checked(parameter, values[name]) for name, parameter in parameters.items()}


def _checked(parameter: Parameter, value: Array) -> Array:
    array, name = np.asarray(value), parameter.name
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers, got {array.dtype}")
    if array.shape != parameter.shape:
        raise ValueError(f"{name} must have shape {parameter.shape}, got {array.shape}")
    low, high, step = parameter.low, parameter.high, parameter.step
    if array.size and (array.min() < low or array.max() > high):
        raise ValueError(f"{name} must be in {low}..{high}, got {array.min()}..{array.max()}")
    if step > 1 and (array % step).any():
        raise ValueError(f"{name} must hold multiples of {step}")
    return array.astype(np.int64)
