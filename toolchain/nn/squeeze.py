"""The layers of ``spiking`` for ``(batch * time, *features)``, the layout of image layers.

Rows are batch-major: row ``b * time + t`` is timestep t of sample b. Either ``batch_size`` or
``num_timesteps`` splits them; if both are given, they must agree with the number of rows.

Source: sinabs as observed.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from toolchain.nn.membrane import MembraneLayer
from toolchain.nn.spiking import IAF, LIF, ExpLeak

__all__ = ["ExpLeakSqueeze", "IAFSqueeze", "LIFSqueeze", "Squeeze"]


class RowsError(ValueError, RuntimeError):
    """Rows that cannot be split; a RuntimeError too, as torch raises for an invalid shape."""


class Squeeze(MembraneLayer):
    """Base that turns a layer on ``(batch, time, ...)`` into one on ``(batch * time, ...)``.

    >>> from toolchain.nn import IAFSqueeze, Squeeze
    >>> layer = IAFSqueeze(num_timesteps=5)
    >>> isinstance(layer, Squeeze), layer.batch_and_time(20)
    (True, (4, 5))

    Attributes:
        batch_size, num_timesteps: split of the rows; None or -1 for what follows from the other.
    """

    batch_size: int | None
    num_timesteps: int | None

    def _set_rows(self, batch_size: int | None, num_timesteps: int | None) -> None:
        self.batch_size = batch_size
        self.num_timesteps = num_timesteps
        if self._rows() == (None, None):
            raise TypeError(f"{type(self).__name__} needs batch_size or num_timesteps")

    def _rows(self) -> tuple[int | None, int | None]:
        batch, time = self.batch_size, self.num_timesteps
        return (None if batch == -1 else batch), (None if time == -1 else time)

    @property
    def arg_dict(self) -> dict[str, Any]:
        """Arguments by name that build a layer like this one, with the values as trained."""
        batch, time = self._rows()
        return {**super().arg_dict, "batch_size": batch, "num_timesteps": time}

    def batch_and_time(self, rows: int) -> tuple[int, int]:
        """Return ``(batch, time)`` for a number of rows; ValueError if they cannot be split."""
        batch, time = self._rows()
        if batch is None and time is None:
            raise TypeError(f"{type(self).__name__} needs batch_size or num_timesteps")
        size = batch or rows // (time or 1)
        steps = time or rows // (batch or 1)
        if size * steps != rows:
            raise RowsError(
                f"{type(self).__name__}(batch_size={batch}, num_timesteps={time}) cannot split "
                f"{rows} rows"
            )
        return size, steps

    def forward(self, data: Tensor) -> Tensor:
        """Return the outputs ``(batch * time, *features)`` for inputs of the same shape."""
        batch, time = self.batch_and_time(data.shape[0])
        out = super().forward(data.reshape(batch, time, *data.shape[1:]))
        return out.reshape(data.shape)


class IAFSqueeze(Squeeze, IAF):
    """An :class:`IAF` layer on ``(batch * time, *features)``, for use between image layers.

    >>> import torch
    >>> from toolchain.nn import IAFSqueeze
    >>> conv = torch.nn.Conv2d(1, 1, 1, bias=False)
    >>> _ = conv.weight.data.fill_(0.5)
    >>> net = torch.nn.Sequential(conv, IAFSqueeze(batch_size=2))
    >>> spikes = net(torch.ones(2 * 4, 1, 1, 1))  # 2 samples of 4 timesteps
    >>> spikes.reshape(2, 4).int().tolist()
    [[0, 1, 0, 1], [0, 1, 0, 1]]

    Args:
        batch_size, num_timesteps: split of the rows; one of them is required.
        rest: as for :class:`IAF`.
    """

    def __init__(
        self, batch_size: int | None = None, num_timesteps: int | None = None, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self._set_rows(batch_size, num_timesteps)


class LIFSqueeze(Squeeze, LIF):
    """A :class:`LIF` layer on ``(batch * time, *features)``, for use between image layers.

    >>> import torch
    >>> from toolchain.nn import LIFSqueeze
    >>> layer = LIFSqueeze(tau_mem=10.0, num_timesteps=4, norm_input=False)
    >>> spikes = layer(torch.full((2 * 4, 1), 0.6))  # 2 samples of 4 timesteps
    >>> spikes.reshape(2, 4).int().tolist()
    [[0, 1, 0, 1], [0, 1, 0, 1]]

    Args:
        batch_size, num_timesteps: split of the rows; one of them is required.
        rest: as for :class:`LIF`, ``tau_mem`` among them.
    """

    def __init__(
        self, batch_size: int | None = None, num_timesteps: int | None = None, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self._set_rows(batch_size, num_timesteps)


class ExpLeakSqueeze(Squeeze, ExpLeak):
    """An :class:`ExpLeak` layer on ``(batch * time, *features)``, for use after image layers.

    >>> import torch
    >>> from toolchain.nn import ExpLeakSqueeze
    >>> layer = ExpLeakSqueeze(tau_mem=10.0, num_timesteps=3)
    >>> v = layer(torch.tensor([[1.0], [0.0], [0.0], [2.0], [0.0], [0.0]]))  # 2 samples
    >>> [round(x, 2) for x in v.flatten().tolist()]
    [1.0, 0.9, 0.82, 2.0, 1.81, 1.64]

    Args:
        batch_size, num_timesteps: split of the rows; one of them is required.
        rest: as for :class:`ExpLeak`, ``tau_mem`` among them.
    """

    def __init__(
        self, batch_size: int | None = None, num_timesteps: int | None = None, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self._set_rows(batch_size, num_timesteps)
