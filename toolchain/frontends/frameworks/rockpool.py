"""Adapters for the layers of rockpool, looked up by class name; rockpool is never imported.

Per step, for each neuron with its synapses ``s``::

    i[s] = beta (i[s] + x[s] + (z(t - 1) @ w_rec)[s])     add, then decay
    v = alpha v + sum of i + bias
    z = floor(v / threshold) where v >= threshold, at most max_spikes_per_dt;  v = v - z threshold

aLIFTorch has an after-potential, ``h = gamma (h + w_ahp z(t - 1))``, which is added to v: one more
synapse, fed by the neuron's own spikes. LIFNeuronTorch has no synapse. ``alpha`` and ``beta`` are
read from the layer's own properties, whichever ``leak_mode`` it trains. Weights are (inputs,
outputs), the transpose of torch's.

ExpSynTorch, a synapse alone, is a MembraneReadout with alpha_mem = 0, whose membrane equals the
current.

Source: rockpool 3.1.0 as observed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from toolchain.arrays import Array, Shape
from toolchain.frontends.frameworks.adapter import (
    Adapter,
    Axes,
    Fragment,
    Layer,
    UnsupportedError,
    array,
)
from toolchain.frontends.frameworks.feedback import loop
from toolchain.frontends.frameworks.torch_layers import identity
from toolchain.ir import Edge, Linear, MembraneReadout, Neuron, Node, decay

__all__ = ["LAYERS", "REFUSED"]

_GENERATORS = ("StepPWL", "PeriodicExponential")


def _lif(name: str, module: Any, features: Shape) -> Fragment:
    """Convert LIFTorch and LIFBitshiftTorch, with any number of synapses a neuron."""
    beta = array(module.beta)
    synapses = np.broadcast_to(beta, (*beta.shape[:-1], module.n_synapses))
    neuron = _neuron(module, alpha_mem=array(module.alpha), alpha_syn=synapses)
    if not module._has_rec:
        return _single_node(name, neuron, module)
    weight = Linear(weight=array(module.w_rec).T)
    return loop(name, neuron, f"{name}.w_rec", [weight], float(module.dt))


def _alif(name: str, module: Any, features: Shape) -> Fragment:
    """Convert aLIFTorch: its after-potential is the last synapse of each neuron."""
    n, synapses = int(module.n_neurons), int(module.n_synapses)
    beta = np.broadcast_to(array(module.beta), (n, synapses))
    gamma = np.broadcast_to(array(torch.exp(-module.dt / module.tau_ahp)).ravel(), (n,))
    own = np.broadcast_to(array(module.w_ahp).ravel(), (n,))
    neuron = _neuron(
        module, alpha_mem=array(module.alpha), alpha_syn=np.column_stack([beta, gamma])
    )
    each = np.arange(n)
    back = np.zeros((n, synapses + 1, n))
    if module._has_rec:
        back[:, :-1] = array(module.w_rec).T.reshape(n, synapses, n)
    back[each, -1, each] = own
    inputs = np.zeros((n, synapses + 1, n * synapses))
    for s in range(synapses):
        inputs[each, s, each * synapses + s] = 1
    weight = Linear(weight=back.reshape(-1, n))
    fed_back = loop(name, neuron, f"{name}.w_ahp", [weight], float(module.dt))
    entry = f"{name}.isyn"
    return replace(
        fed_back,
        nodes={entry: Linear(weight=inputs.reshape(-1, n * synapses)), **fed_back.nodes},
        edges=(Edge(entry, fed_back.entry), *fed_back.edges),
        entry=entry,
    )


def _lif_neuron(name: str, module: Any, features: Shape) -> Fragment:
    alpha = decay(array(module.tau_mem), float(module.dt))
    return _single_node(name, _neuron(module, alpha_mem=alpha), module)


def _neuron(module: Any, alpha_mem: Array, alpha_syn: Array | None = None) -> Neuron:
    _check_no_noise(module)
    _check_generator(module.spike_generation_fn)
    return Neuron(
        shape=(int(module.n_neurons),),
        alpha_mem=alpha_mem,
        alpha_syn=alpha_syn,
        syn_order="add_decay",
        bias=_number(module.bias),
        v_threshold=_number(module.threshold),
        max_spikes=_limit(module.max_spikes_per_dt),
    )


def _exp_syn(name: str, module: Any, features: Shape) -> Fragment:
    _check_no_noise(module)
    beta = decay(array(module.tau), float(module.dt))[..., None]
    node = MembraneReadout(
        shape=features, alpha_mem=np.zeros(()), alpha_syn=beta, syn_order="add_decay"
    )
    return _single_node(name, node, module)


def _linear(name: str, module: Any, features: Shape) -> Fragment:
    bias = None if module.bias is None else array(module.bias)
    return Fragment.of(name, Linear(weight=array(module.weight).T, bias=bias))


def _single_node(name: str, node: Node, module: Any) -> Fragment:
    return Fragment(nodes={name: node}, entry=name, exit=name, dt=float(module.dt))


def _number(value: Any) -> Array:
    return array(value) if isinstance(value, torch.Tensor) else np.asarray(value, dtype=np.float64)


def _limit(maximum: Any) -> int | None:
    limit = float(maximum)
    return int(limit) if np.isfinite(limit) else None


def _check_no_noise(module: Any) -> None:
    noise = float(module.noise_std)
    if noise:
        raise UnsupportedError(
            f"noise_std is {noise:g}; a chip draws no noise, so set it to 0 first"
        )


def _check_generator(function: Any) -> None:
    """Check that the spike function is one of rockpool's.

    Raises:
        UnsupportedError: it is the user's own.
    """
    cls = getattr(function, "__self__", function)
    class_name = getattr(cls, "__qualname__", type(cls).__qualname__)
    package = str(getattr(cls, "__module__", "")).split(".", maxsplit=1)[0]
    if package != "rockpool" or class_name not in _GENERATORS:
        raise UnsupportedError(
            f"spike_generation_fn is {class_name}; supported are {' and '.join(_GENERATORS)}"
        )


def _reset_state(module: Any) -> None:
    """Set the states to those of a new layer."""
    for name in ("vmem", "isyn", "iahp", "spikes"):
        if name in module._buffers:
            module._buffers[name] = torch.zeros_like(module._buffers[name])


def _membrane(module: Any) -> list[torch.Tensor]:
    """Return the membrane of every step if the call records it."""
    records: dict[str, torch.Tensor] = getattr(module, "_record_dict", {})
    return [records["vmem"]] if "vmem" in records else []


def _stateful(adapter: Adapter) -> Layer:
    return Layer(adapter, Axes.TIME, stateful=True, reset=_reset_state, membrane=1, aside=_membrane)


LAYERS: dict[str, Layer] = {
    "LIFTorch": _stateful(_lif),
    "LIFBitshiftTorch": _stateful(_lif),
    "aLIFTorch": _stateful(_alif),
    "LIFNeuronTorch": _stateful(_lif_neuron),
    "ExpSynTorch": Layer(_exp_syn, Axes.TIME, stateful=True, reset=_reset_state),
    "LinearTorch": Layer(_linear, Axes.LAST),
    "TimeStepDropout": Layer(identity, Axes.ANY),
    "UnitDropout": Layer(identity, Axes.ANY),
}

REFUSED: dict[str, str] = {
    "LIFSlayer": "it runs on a GPU only; load its parameters into LIFTorch",
    "LIFExodus": "it runs on a GPU only; load its parameters into LIFTorch",
    "LIFMembraneExodus": "it runs on a GPU only; load its parameters into LIFTorch",
    "ExpSynExodus": "it runs on a GPU only; load its parameters into ExpSynTorch",
    "RateTorch": "its output is a rate, not spikes; use LIFTorch",
    "LowPass": "it is a filter outside the network; use ExpSynTorch",
    "UpDownTorch": "it encodes numbers as spikes; encode outside the network and give the spikes "
    "as the sample",
    "BooleanState": "it stores its last input, which no supported chip can do; leave it out",
}
"""Classes that the IR cannot represent, each with the reason and an alternative."""
