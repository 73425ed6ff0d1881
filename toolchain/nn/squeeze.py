"""The layers of ``spiking`` for ``(batch * time, *features)``, the layout image layers work on.

Rows are batch-major: row ``b * time + t`` is step t of sample b. Either ``batch_size`` or
``num_timesteps`` says how to cut them; given both, they have to agree with the rows.

Source: sinabs as observed.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from toolchain.nn.spiking import IAF, LIF, ExpLeak, MembraneLayer

__all__ = ["ExpLeakSqueeze", "IAFSqueeze", "LIFSqueeze", "Squeeze"]


class Squeeze(MembraneLayer):
    """What turns a layer on ``(batch, time, ...)`` into one on ``(batch * time, ...)``.

    Attributes:
        batch_size, num_timesteps: how rows are cut; at most one of them is None.
    """

    batch_size: int | None
    num_timesteps: int | None

    def _set_rows(self, batch_size: int | None, num_timesteps: int | None) -> None:
        if batch_size is None and num_timesteps is None:
            raise ValueError(f"{type(self).__name__} needs batch_size or num_timesteps")
        self.batch_size = batch_size
        self.num_timesteps = num_timesteps

    def batch_and_time(self, rows: int) -> tuple[int, int]:
        """``(batch, time)`` of so many rows; ValueError if they do not divide."""
        if self.batch_size is not None:
            batch, time = self.batch_size, rows // self.batch_size
        else:
            assert self.num_timesteps is not None
            batch, time = rows // self.num_timesteps, self.num_timesteps
        if batch * time != rows or self.num_timesteps not in (None, time):
            raise ValueError(
                f"{type(self).__name__}(batch_size={self.batch_size}, "
                f"num_timesteps={self.num_timesteps}) cannot cut {rows} rows"
            )
        return batch, time

    def forward(self, data: Tensor) -> Tensor:
        """Outputs ``(batch * time, *features)`` for inputs of the same shape."""
        batch, time = self.batch_and_time(data.shape[0])
        out = super().forward(data.reshape(batch, time, *data.shape[1:]))
        return out.reshape(data.shape)


class IAFSqueeze(Squeeze, IAF):
    """An :class:`IAF` layer on ``(batch * time, *features)``.

    Args:
        batch_size, num_timesteps: how rows are cut; one of them is needed.
        rest: as for :class:`IAF`.
    """

    def __init__(
        self, batch_size: int | None = None, num_timesteps: int | None = None, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self._set_rows(batch_size, num_timesteps)


class LIFSqueeze(Squeeze, LIF):
    """A :class:`LIF` layer on ``(batch * time, *features)``.

    Args:
        tau_mem: membrane time constant, timesteps.
        batch_size, num_timesteps: how rows are cut; one of them is needed.
        rest: as for :class:`LIF`.
    """

    def __init__(
        self,
        tau_mem: float | Tensor,
        batch_size: int | None = None,
        num_timesteps: int | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(tau_mem, **rest)
        self._set_rows(batch_size, num_timesteps)


class ExpLeakSqueeze(Squeeze, ExpLeak):
    """An :class:`ExpLeak` layer on ``(batch * time, *features)``.

    Args:
        tau_mem: membrane time constant, timesteps.
        batch_size, num_timesteps: how rows are cut; one of them is needed.
        rest: as for :class:`ExpLeak`.
    """

    def __init__(
        self,
        tau_mem: float | Tensor,
        batch_size: int | None = None,
        num_timesteps: int | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(tau_mem, **rest)
        self._set_rows(batch_size, num_timesteps)
