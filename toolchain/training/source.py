"""Contract between a module and the deployment that it trains; implemented there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from toolchain.arrays import Array
from toolchain.chips.contract import OnChip
from toolchain.chips.training import TrainableProgram
from toolchain.diagnostics import Diagnostic
from toolchain.ir import Graph
from toolchain.runs import Activity, InputSpikes

__all__ = ["TrainingSource"]


class TrainingSource(Protocol):
    """A deployment whose integers are trained; it is not changed and can be pickled."""

    @property
    def quantized(self) -> Graph:
        """The network of integers at the start."""
        ...

    @property
    def latent(self) -> Mapping[str, Array]:
        """Unrounded values by the name of the parameter; see ``toolchain.fidelity.latents``."""
        ...

    @property
    def timings(self) -> Sequence[str]:
        """Valid timings, the default first."""
        ...

    @property
    def unit(self) -> Array | None:
        """Value of one integer of each output, (outputs,), where states are read; else None."""
        ...

    def program(self) -> TrainableProgram:
        """Return the program with integers that change; ValueError if there is none."""
        ...

    def on_chip(self, values: Mapping[str, Array]) -> OnChip:
        """Return the program of other integers, which is not placed on the chip's cores."""
        ...

    def counts(self, spikes: InputSpikes) -> Array:
        """Return spikes as counts (batch, time, *input shape)."""
        ...

    def spikes(self, given: Any) -> InputSpikes:
        """Return spikes as the chip takes them; ValueError for values that it does not take."""
        ...

    def deployment(
        self,
        values: Mapping[str, Array],
        latent: Mapping[str, Array],
        findings: Sequence[Diagnostic],
        activity: Activity | None,
    ) -> Any:
        """Return the deployment of trained integers.

        Args:
            values: integers by the name of the parameter.
            latent: the same, unrounded.
            findings: what is reported on the training, such as accuracy before and after.
            activity: activity of the trained network, if it was counted.

        Raises:
            DeployError: the chip does not take them.
        """
        ...
