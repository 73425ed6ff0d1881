"""Contract of training on a chip's integers: an exact forward pass and a surrogate backward pass.

A family with the capability ``training`` returns a ``TrainableProgram`` for a program and the
quantized graph that it was lowered from. The integers that change are arrays of that graph, under
the user's names: ``Parameter`` describes one, and the same names are used for values and gradients.
Nothing here needs torch; ``toolchain.training`` makes a module of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from toolchain.arrays import Array, Shape

__all__ = ["Parameter", "ParameterKind", "SurrogateSlope", "Tape", "TrainableProgram"]

ParameterKind: TypeAlias = Literal["weight", "threshold", "bias"]

SurrogateSlope: TypeAlias = Callable[[Array, Array], Array]
"""Surrogate gradient: (membrane before firing, threshold), both float32 and in the chip's units, to
the derivative of the spikes with respect to the membrane, of the shape of the membrane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An array of a quantized graph whose integers can be trained.

    Attributes:
        node, field: where it is in the graph, ``"fc1"`` and ``"weight"``.
        kind: what it is.
        shape: as in the graph; ``()`` for one value of a whole layer.
        step: distance of neighbouring values, >= 1: a power of two where weights are shifted.
        low, high: smallest and largest value, multiples of ``step``.
    """

    node: str
    field: str
    kind: ParameterKind
    shape: Shape
    step: int
    low: int
    high: int

    @property
    def name(self) -> str:
        """Name of the parameter, ``"fc1.weight"``."""
        return f"{self.node}.{self.field}"


class Tape(Protocol):
    """Result of a forward pass, and what the backward pass needs of it."""

    @property
    def values(self) -> Mapping[str, Array]:
        """Output of each layer that was asked for, (batch, time, *shape).

        Spike counts, or the integer states of a layer that is read as a state.
        """
        ...

    @property
    def saturations(self) -> Mapping[str, int]:
        """Number of times that a state was clamped, by layer; empty if the pass did not count."""
        ...


class TrainableProgram(Protocol):
    """A program whose integers change from one pass to the next."""

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name, in the order of the network."""
        ...

    @property
    def layers(self) -> Mapping[str, Shape]:
        """Shape of each neuron layer by name, those of the outputs included."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Layers whose values are the outputs of the network, in the order of ``simulate``."""
        ...

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
    ) -> Tape:
        """Simulate from the initial state, bit-exact with the chip.

        Args:
            values: integers of every parameter, in its range, of an integer type.
            spikes: as for ``OnChip.simulate``.
            layers: those whose values are wanted.
            timing: one of the family's ``TIMINGS``.
            gradient: True if ``gradients`` will be called.
            threads: samples simulated at a time; the result does not depend on it.
            steps: number of timesteps of event arrays.

        Raises:
            ValueError: invalid input.
        """
        ...

    def gradients(
        self,
        tape: Tape,
        outer: Mapping[str, Array],
        *,
        wanted: Collection[str],
        slope: SurrogateSlope | None = None,
        of_input: bool = False,
    ) -> Mapping[str, Array]:
        """Return the surrogate gradient of a loss with respect to the parameters.

        Args:
            tape: result of ``run`` with ``gradient``; it can be used more than once.
            outer: derivative of the loss with respect to the values of layers, float32, (batch,
                time, *shape); layers that are missing have none.
            wanted: names of parameters.
            slope: surrogate; by default the ramp ``clip(v / threshold, 0, 1) / threshold``, which
                is 0 beyond the most spikes of a step.
            of_input: True adds that with respect to the input, ``"input"``, (batch, time, *shape).

        Returns:
            float32 arrays of the shapes of the parameters, by name. They depend neither on the
            number of threads nor on how the pass was split.
        """
        ...
