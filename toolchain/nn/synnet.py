"""SynNet: dense layers of spiking neurons with a range of synaptic time constants.

Source: Bos & Muir 2022, "Sub-mW Neuromorphic SNN audio processing applications with Rockpool and
Xylo"; constructor, defaults and names are those of rockpool's ``SynNet`` as observed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from toolchain.nn.dropout import TimeStepDropout
from toolchain.nn.lif_torch import LIFTorch
from toolchain.nn.linear import LinearTorch
from toolchain.nn.module import Constant, Evolved, TorchModule
from toolchain.nn.sequential import TorchSequential
from toolchain.nn.surrogate import PeriodicExponential

__all__ = ["SynNet", "quantized_time_constant", "time_constants"]

_OUTPUTS: dict[str, Literal["spikes", "vmem"]] = {
    "spike": "spikes",
    "spikes": "spikes",
    "vmem": "vmem",
}


class SynNet(TorchModule):
    """Spiking classifier: dense layers, each with LIF neurons of several synaptic time constants.

    >>> import torch
    >>> from toolchain.nn import SynNet
    >>> net = SynNet(
    ...     n_classes=2, n_channels=4, size_hidden_layers=[3], time_constants_per_layer=[2]
    ... )
    >>> net.lif_names
    ['0_neurons', 'out_neurons']
    >>> [round(1e3 * tau, 2) for tau in net.seq["0_neurons"].tau_syn.flatten().tolist()]  # ms
    [1.44, 3.48, 1.44]
    >>> spikes, state, record = net(torch.ones(1, 10, 4))
    >>> tuple(spikes.shape)
    (1, 10, 2)

    Args:
        n_classes: number of output neurons.
        n_channels: number of inputs.
        size_hidden_layers: number of neurons of each hidden layer.
        time_constants_per_layer: number of synaptic time constants of each hidden layer.
        tau_syn_base: s; the constants of a layer are ``dt (tau_syn_base / dt)^j``, j = 1, 2, ...
        tau_mem: membrane time constant of every layer, s.
        tau_syn_out: synaptic time constant of the output layer, s.
        quantize_time_constants: round every time constant to one that a bit shift can represent.
        train_time_constants: train ``tau_mem`` and ``tau_syn`` of the hidden layers.
        threshold: of the hidden layers.
        threshold_out: of the output layer, scalar or one per class; ``threshold`` if not given.
        train_threshold: train the thresholds of the hidden layers.
        neuron_model: a class with the constructor of ``LIFTorch``.
        max_spikes_per_dt, max_spikes_per_dt_out: maximum number of spikes per timestep, hidden and
            output.
        p_dropout: probability that a hidden spike is dropped in training; 0 adds no dropout.
        dt: length of a timestep, s.
        output: ``spikes`` (or ``spike``), or ``vmem``; can be set later.
        neuron_kwargs: further arguments of every neuron layer.

    Weights are initialized uniformly within ``sqrt(6 / inputs) dt / tau_syn`` of the neuron.

    Attributes:
        seq: the layers: ``0_linear``, ``0_neurons``, ``0_dropout``, ..., ``out_linear``,
            ``out_neurons``.
        lif_names: names of the neuron layers in order.

    Raises:
        ValueError: lists of different length, a ``tau_syn_base`` that is not longer than dt, an
            unknown output, a ``threshold_out`` with ``output="vmem"``, a time constant too short
            for a bit shift.

    With ``vmem`` the output neurons never fire; with ``spikes`` they fire at their threshold, also
    if the network was built for ``vmem``. Rockpool keeps the threshold of 32767 of a network built
    for ``vmem``, which then never spikes.
    """

    def __init__(
        self,
        n_classes: int,
        n_channels: int,
        size_hidden_layers: Sequence[int] = (60,),
        time_constants_per_layer: Sequence[int] = (10,),
        tau_syn_base: float = 2e-3,
        tau_mem: float = 2e-3,
        tau_syn_out: float = 2e-3,
        quantize_time_constants: bool = True,
        train_time_constants: bool = False,
        threshold: float = 1.0,
        threshold_out: float | Sequence[float] | None = None,
        train_threshold: bool = False,
        neuron_model: type[LIFTorch] = LIFTorch,
        max_spikes_per_dt: int = 31,
        max_spikes_per_dt_out: int = 1,
        p_dropout: float = 0.0,
        dt: float = 1e-3,
        output: str = "spikes",
        neuron_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        _check(size_hidden_layers, time_constants_per_layer, tau_syn_base, dt, neuron_model)
        if output == "vmem" and threshold_out is not None:
            raise ValueError("threshold_out has no effect with output='vmem'; omit it")
        self.shape = (n_channels, n_classes)
        self.dt = dt
        exact = quantized_time_constant if quantize_time_constants else _unchanged
        kwargs: dict[str, Any] = {"spike_generation_fn": PeriodicExponential, "dt": dt}
        kwargs |= {"bias": Constant(0.0), **(neuron_kwargs or {})}
        hidden = {
            "tau_mem": _constant_unless(exact(tau_mem, dt), train_time_constants),
            "threshold": _constant_unless(threshold, train_threshold),
            "max_spikes_per_dt": max_spikes_per_dt,
            **kwargs,
        }
        out = {
            "tau_mem": Constant(exact(tau_mem, dt)),
            "tau_syn": Constant(exact(tau_syn_out, dt)),
            "threshold": Constant(
                torch.as_tensor(threshold if threshold_out is None else threshold_out)
            ),
            "max_spikes_per_dt": max_spikes_per_dt_out,
            **kwargs,
        }
        layers: dict[str, TorchModule] = {}
        inputs = n_channels
        for i, (n, m) in enumerate(zip(size_hidden_layers, time_constants_per_layer, strict=True)):
            taus = [exact(tau, dt) for tau in time_constants(n, m, tau_syn_base, dt)]
            tau_syn = _constant_unless(torch.tensor(taus).unsqueeze(1), train_time_constants)
            layers[f"{i}_linear"] = _linear(inputs, n, dt / torch.tensor(taus))
            layers[f"{i}_neurons"] = neuron_model((n, n), tau_syn=tau_syn, **hidden)
            if p_dropout > 0:
                layers[f"{i}_dropout"] = TimeStepDropout((n,), p_dropout)
            inputs = n
        scale = torch.tensor(dt / exact(tau_syn_out, dt))
        layers["out_linear"] = _linear(inputs, n_classes, scale)
        layers["out_neurons"] = neuron_model((n_classes, n_classes), **out)
        self.lif_names = [name for name in layers if name.endswith("_neurons")]
        self.seq = TorchSequential(layers)
        self.output = output

    @property
    def output(self) -> str:
        """Output of the network: ``spikes`` (or ``spike``) or ``vmem``, as it was set."""
        return self._output

    @output.setter
    def output(self, output: str) -> None:
        if output not in _OUTPUTS:
            raise ValueError(
                f"unknown output {output!r}; choose from {', '.join(map(repr, _OUTPUTS))}"
            )
        self._output = output
        readout = self.seq["out_neurons"]
        assert isinstance(readout, LIFTorch)
        readout.emits = _OUTPUTS[output]

    def forward(self, data: Tensor, record: bool = False) -> Evolved:
        """Return out (batch, time, classes), state and record for (batch, time, channels).

        The state is ``{"seq": ...}``; the record is that of ``seq``, empty without ``record``.
        """
        out, state, records = self.seq(data, record=record)
        return out, {"seq": state}, records


def time_constants(neurons: int, constants: int, base: float, dt: float) -> list[float]:
    """Return a synaptic time constant in s per neuron: ``dt (base / dt)^j``, j = 1..constants.

    The series repeats over the neurons; the last repetition may be incomplete.

    Source: rockpool's ``SynNet`` as observed.
    """
    series = [dt * (base / dt) ** j for j in range(1, constants + 1)]
    return [series[n % constants] for n in range(neurons)]


def quantized_time_constant(tau: float, dt: float) -> float:
    """Return the time constant in s of the bit shift b nearest to that of ``tau``.

    A bit shift b has the decay factor ``1 - 2^-b``: ``b = round(-log2(1 - exp(-dt / tau)))`` and
    ``tau = -dt / ln(1 - 2^-b)``.

    Raises:
        ValueError: ``tau`` is below 0.81 dt, where the shift would be 0.

    Source: rockpool's ``SynNet`` as observed.
    """
    shift = round(-math.log2(-math.expm1(-dt / tau)))
    if shift < 1:
        shortest = -dt / math.log1p(-(2.0**-0.5))
        raise ValueError(
            f"time constant {tau:g} s is too short for dt = {dt:g} s: a bit shift needs at least "
            f"{shortest:.3g} s"
        )
    return -dt / math.log1p(-(2.0**-shift))


def _unchanged(tau: float, dt: float) -> float:
    return tau


def _check(
    sizes: Sequence[int], constants: Sequence[int], base: float, dt: float, model: type
) -> None:
    if len(sizes) != len(constants):
        raise ValueError(
            f"size_hidden_layers has {len(sizes)} entries, time_constants_per_layer "
            f"{len(constants)}; both need one entry per hidden layer"
        )
    if min([*sizes, *constants], default=1) < 1:
        raise ValueError("every hidden layer needs at least one neuron and one time constant")
    if base <= dt:
        raise ValueError(f"tau_syn_base must be longer than dt = {dt:g} s, got {base:g} s")
    if not issubclass(model, LIFTorch):
        raise ValueError(f"neuron_model must be LIFTorch or a subclass, got {model.__name__}")


def _constant_unless(value: float | Tensor, trained: bool) -> float | Tensor | Constant:
    return value if trained else Constant(value)


def _linear(inputs: int, outputs: int, scale: Tensor) -> LinearTorch:
    layer = LinearTorch((inputs, outputs))
    with torch.no_grad():
        layer.weight *= scale
    return layer
