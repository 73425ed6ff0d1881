"""A converted network together with its original, and the comparison of their activations."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from toolchain.arrays import Array
from toolchain.extras import needed_by
from toolchain.nn.state import StatefulLayer, reset_states

__all__ = ["Network"]

Activations: TypeAlias = list[Array]
INPUT = "Input"
"""Name of the input of both networks among the layers."""


class Network(nn.Module):
    """A converted network together with its original; calling it runs the spiking one.

    >>> import torch
    >>> from toolchain.nn import Network, from_model
    >>> ann = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    >>> net = from_model(ann, num_timesteps=4)
    >>> isinstance(net, Network), net.analog_model is ann
    (True, True)
    >>> [type(layer).__name__ for layer in net.spiking_model]
    ['Linear', 'IAFSqueeze']
    >>> net.reset_states()

    Attributes:
        analog_model: the original, unchanged.
        spiking_model: its copy with spiking layers.
    """

    def __init__(self, analog_model: nn.Module, spiking_model: nn.Module) -> None:
        super().__init__()
        self.analog_model = analog_model
        self.spiking_model = spiking_model

    def forward(self, data: Tensor) -> Tensor:
        """Return the output of the spiking model."""
        out: Tensor = self.spiking_model(data)
        return out

    def reset_states(
        self,
        randomize: bool = False,
        value_ranges: Sequence[Mapping[str, tuple[float, float]]] | None = None,
    ) -> None:
        """Reset the states of the spiking layers.

        Args:
            randomize: draw random values rather than zeros.
            value_ranges: of each spiking layer in order, (lowest, highest) value of a state by its
                name.

        Raises:
            ValueError: not as many ranges as spiking layers.
        """
        layers = [m for m in self.spiking_model.modules() if isinstance(m, StatefulLayer)]
        if value_ranges is not None and len(value_ranges) != len(layers):
            raise ValueError(f"{len(value_ranges)} value_ranges for {len(layers)} spiking layers")
        for number, layer in enumerate(layers):
            ranges = None if value_ranges is None else value_ranges[number]
            layer.reset_states(randomize, ranges)

    def compare_activations(
        self,
        data: Tensor,
        name_list: Sequence[str] | None = None,
        compute_rate: bool = False,
    ) -> tuple[Activations, Activations, Sequence[str]]:
        """Return the activations of both networks, layer by layer.

        The spiking network gets the rows of ``data`` as timesteps and each neuron's spikes are
        summed; the original gets their sum as one input. Without biases the two agree up to the
        rounding of spikes. Neither network is changed; states start at zero.

        >>> import torch
        >>> from toolchain.nn import from_model
        >>> dense = torch.nn.Linear(1, 2, bias=False)
        >>> dense.weight.data = torch.tensor([[0.25], [-1.0]])
        >>> net = from_model(torch.nn.Sequential(dense, torch.nn.ReLU()), batch_size=1)
        >>> analog, spikes, names = net.compare_activations(torch.ones(8, 1))
        >>> names, analog[1].tolist(), spikes[1].tolist()
        (['Input', '1'], [[2.0, 0.0]], [2.0, 0.0])

        Args:
            data: (time, *features), one sample, as ``...Squeeze`` layers take it.
            name_list: paths of layers and ``"Input"``; by default the input and all spiking layers.
            compute_rate: means over the timesteps in both networks rather than sums, so that biases
                agree too.

        Returns:
            Activations of the original, each (1, *features); spikes of the other, (*features); the
            names, ``name_list`` itself if given.

        Raises:
            ValueError: a name that is no layer of both networks.

        Source: sinabs' ``Network.compare_activations`` as observed; it scales its input and rates.
        """
        names = [INPUT, *self._spiking_names()] if name_list is None else name_list
        missing = sorted({*names} - {INPUT} - self._common_names())
        if missing:
            raise ValueError(f"{', '.join(missing)}: no such layer in both networks")
        reduced = data.mean(0, keepdim=True) if compute_rate else data.sum(0, keepdim=True)
        analog = _outputs(self.analog_model, reduced, names)
        spiking = _outputs(self.spiking_model, data, names)
        spikes = [out.mean(0) if compute_rate else out.sum(0) for out in spiking]
        return [_numpy(out) for out in analog], [_numpy(out) for out in spikes], names

    def plot_comparison(
        self,
        data: Tensor,
        name_list: Sequence[str] | None = None,
        compute_rate: bool = False,
        axes: Any = None,
    ) -> tuple[Activations, Activations]:
        """Plot the activations of one network over those of the other; return them.

        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from toolchain.nn import from_model
        >>> ann = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
        >>> net, axes = from_model(ann, batch_size=1), Figure().subplots()
        >>> analog, spikes = net.plot_comparison(torch.ones(8, 2), axes=axes)
        >>> axes.get_xlabel(), [text.get_text() for text in axes.get_legend().get_texts()]
        ('spikes', ['Input', '1'])

        Args:
            data, name_list, compute_rate: as for :meth:`compare_activations`.
            axes: of matplotlib; the current ones of pyplot by default.

        Source: sinabs' ``Network.plot_comparison`` as observed.
        """
        analog, spikes, names = self.compare_activations(data, name_list, compute_rate)
        if axes is None:
            with needed_by("Network.plot_comparison"):
                from matplotlib import pyplot
            axes = pyplot.gca()
        for name, out, count in zip(names, analog, spikes, strict=True):
            axes.scatter(count.ravel(), out.ravel(), s=4.0, label=name)
        axes.set_xlabel("spikes per timestep" if compute_rate else "spikes")
        axes.set_ylabel("activation of the original")
        axes.legend()
        return analog, spikes

    def _spiking_names(self) -> list[str]:
        layers = self.spiking_model.named_modules()
        common = self._common_names()
        return [n for n, m in layers if isinstance(m, StatefulLayer) and n in common]

    def _common_names(self) -> set[str]:
        analog, spiking = (dict(m.named_modules()) for m in (self.analog_model, self.spiking_model))
        return {name for name in analog.keys() & spiking.keys() if name}


def _outputs(model: nn.Module, data: Tensor, names: Sequence[str]) -> list[Tensor]:
    """Return the outputs of layers of a copy of ``model`` on ``data``."""
    copied = copy.deepcopy(model)
    reset_states(copied)
    found = {INPUT: data}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: Any, out: Tensor) -> None:
            found[name] = out

        return hook

    for name, module in copied.named_modules():
        if name in names:
            module.register_forward_hook(keep(name))
    with torch.no_grad():
        copied(data)
    return [found[name] for name in names]


def _numpy(values: Tensor) -> Array:
    return np.asarray(values.detach().cpu())
