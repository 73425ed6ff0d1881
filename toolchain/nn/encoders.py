"""Encoders of images and signals as random spikes, one draw a timestep; they run before a chip.

With the seed of ``torch.manual_seed`` the spikes are those of sinabs.

Source: sinabs as observed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Img2SpikeLayer", "Sig2SpikeLayer"]


class Img2SpikeLayer(nn.Module):
    """Spikes of each pixel at a rate proportional to its value.

    The probability of a spike in a timestep is ``image / norm * max_rate / 1000``: rates are in Hz
    and a timestep is 1 ms.

    >>> import torch
    >>> from toolchain.nn import Img2SpikeLayer
    >>> encode = Img2SpikeLayer((1, 2, 2), tw=1000, max_rate=500)
    >>> spikes = encode(torch.tensor([[[0.0, 51.0], [102.0, 255.0]]]))
    >>> spikes.shape
    torch.Size([1000, 1, 2, 2])
    >>> rates = spikes.mean(0).flatten()
    >>> bool(((rates - torch.tensor([0.0, 0.1, 0.2, 0.5])).abs() < 0.08).all())
    True

    Args:
        image_shape: shape of an image; kept as information, images of other shapes are taken too.
        tw: number of timesteps.
        max_rate: rate of a pixel of value ``norm``, Hz.
        norm: largest value of a pixel.
        squeeze: remove the axes of length 1 from the image.
        negative_spikes: give -1 for negative pixels, at the rate of their absolute value; else
            these give no spike.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        tw: int = 100,
        max_rate: float = 1000,
        norm: float = 255.0,
        squeeze: bool = False,
        negative_spikes: bool = False,
    ) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.tw, self.max_rate, self.norm = tw, max_rate, norm
        self.squeeze, self.negative_spikes = squeeze, negative_spikes

    def forward(self, img_input: Tensor) -> Tensor:
        """Return the spikes ``(tw, *image)``: 0 and 1, with ``negative_spikes`` also -1."""
        image = img_input.squeeze() if self.squeeze else img_input
        drawn = torch.rand(self.tw, *image.shape, device=image.device)
        rates = image / self.norm * self.max_rate / 1000
        if not self.negative_spikes:
            return (drawn < rates).float()
        return (drawn < rates.abs()).float() * rates.sign()

    def get_output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the spikes of one timestep, which is that of the image."""
        return tuple(input_shape)

    def extra_repr(self) -> str:
        """Return the arguments for ``repr``."""
        return (
            f"image_shape={self.image_shape}, tw={self.tw}, max_rate={self.max_rate}, "
            f"norm={self.norm}, squeeze={self.squeeze}, negative_spikes={self.negative_spikes}"
        )


class Sig2SpikeLayer(nn.Module):
    """Spikes of each channel of a signal, with a probability proportional to its value.

    >>> import torch
    >>> from toolchain.nn import Sig2SpikeLayer
    >>> encode = Sig2SpikeLayer(channels_in=2, tw=2)
    >>> encode(torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, -1.0]])).int().T.tolist()
    [[0, 0, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0]]

    Args:
        channels_in: number of channels; kept as information.
        tw: number of timesteps per point of the signal.
        norm_level: value of certain spikes.
        spk_out: False for the values of the signal in each timestep instead of spikes.
    """

    def __init__(
        self, channels_in: int, tw: int = 1, norm_level: float = 1, spk_out: bool = True
    ) -> None:
        super().__init__()
        self.channels_in = channels_in
        self.tw, self.norm_level, self.spk_out = tw, norm_level, spk_out

    def forward(self, signal: Tensor) -> Tensor:
        """Return the spikes ``(time * tw, channels)`` of a signal ``(channels, time)``."""
        if signal.dim() != 2:
            raise ValueError(
                f"Sig2SpikeLayer takes (channels, time), got shape {tuple(signal.shape)}"
            )
        values = signal.T.repeat_interleave(self.tw, dim=0)
        if not self.spk_out:
            return values
        drawn = torch.rand(values.shape, device=values.device)
        return (drawn < values / self.norm_level).float()

    def get_output_shape(self, input_shape: Sequence[int]) -> tuple[int, int]:
        """Return ``(time * tw, channels)`` for a signal ``(channels, time)``."""
        channels, time = input_shape
        return time * self.tw, channels

    def extra_repr(self) -> str:
        """Return the arguments for ``repr``."""
        return (
            f"channels_in={self.channels_in}, tw={self.tw}, norm_level={self.norm_level}, "
            f"spk_out={self.spk_out}"
        )
