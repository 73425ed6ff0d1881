"""Whether the Graph of a file of rockpool computes what rockpool's equations make of its numbers.

The equations once more, plain, from the numbers as the file says them and without the IR or the
adapters, so that a slip on the way to the Graph shows as a difference. Per step, for each neuron
with its synapses ``s``::

    i[s] = beta (i[s] + x[s] + (z(t - 1) @ w_rec)[s])
    v = alpha v + sum of i + bias
    z = min(floor(v / threshold), max_spikes_per_dt) where v >= threshold;  v = v - z threshold

The input has ``neurons * synapses`` columns, the synapse running fastest. LIFNeuronTorch has no
synapse; ExpSynTorch is a synapse alone; LinearTorch is ``x @ weight + bias``; dropout does nothing
in evaluation.

Source: Rockpool documentation; rockpool 3.1.0 as observed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.files.rockpool_fields import RockpoolValue, SavedLayer
from toolchain.frontends.nir.check import verify_against
from toolchain.frontends.nir.integrate import Track
from toolchain.ir import Graph

__all__ = ["check_layers"]


def check_layers(graph: Graph, layers: Sequence[SavedLayer]) -> Graph:
    """``graph`` with the result of the check in its provenance.

    Args:
        graph: what was made of the file.
        layers: what the file says, in the order in which the layers compute.

    Raises:
        ModelFileError: a difference, with the first layer, step and neuron that has one; numbers
            too large to compute with.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return verify_against(graph, lambda x: _integrate(layers, x), "")


def _integrate(layers: Sequence[SavedLayer], x: Array) -> tuple[Array, dict[str, Track]]:
    """What comes out for ``x`` (batch, time, features), and the tracks of layers with a state."""
    tracks: dict[str, Track] = {}
    for layer in layers:
        if layer.kind == "LinearTorch":
            x = x @ _numbers(layer.values, "weight")
            x = x + _numbers(layer.values, "bias") if "bias" in layer.values else x
        elif layer.kind in _STEPPED:
            tracks[layer.name] = _STEPPED[layer.kind](layer.values, x)
            x = np.stack(tracks[layer.name].outputs, axis=1)
        if not np.isfinite(x).all():
            raise ModelFileError(
                f"{layer.name}: its numbers are so large that what it gives is not finite"
            )
    return x, tracks


def _numbers(values: Mapping[str, RockpoolValue], name: str) -> Array:
    return np.asarray(values[name], dtype=np.float64)


# ---- layers with a state ----


def _lif(values: Mapping[str, RockpoolValue], x: Array) -> Track:
    """LIFTorch, with any number of synapses a neuron."""
    w_rec = _numbers(values, "w_rec")
    neurons, columns = w_rec.shape
    batch, alpha, beta = len(x), *_decays(values)
    membrane = _Membrane(values, (batch, neurons))
    spikes, i = np.zeros((batch, neurons)), np.zeros((batch, neurons, columns // neurons))
    for t in range(x.shape[1]):
        inputs = x[:, t] + spikes @ w_rec if values["_has_rec"] else x[:, t]
        i = beta * (i + inputs.reshape(i.shape))
        spikes = membrane.step(alpha, i.sum(axis=-1))
    return membrane.track


def _decays(values: Mapping[str, RockpoolValue]) -> tuple[Array, Array]:
    """What membrane and current keep over a step."""
    mode = values["leak_mode"]
    if mode == "decays":
        return _numbers(values, "alpha"), _numbers(values, "beta")
    if mode == "bitshifts":
        mem, syn = (1 - np.exp2(-_numbers(values, name)) for name in ("dash_mem", "dash_syn"))
        return mem, syn
    return _decay(values, "tau_mem"), _decay(values, "tau_syn")


def _decay(values: Mapping[str, RockpoolValue], tau: str) -> Array:
    return np.asarray(np.exp(-_numbers(values, "dt") / _numbers(values, tau)))


def _lif_neuron(values: Mapping[str, RockpoolValue], x: Array) -> Track:
    """LIFNeuronTorch: the input acts on the membrane."""
    membrane = _Membrane(values, (len(x), x.shape[2]))
    alpha = _decay(values, "tau_mem")
    for t in range(x.shape[1]):
        membrane.step(alpha, x[:, t])
    return membrane.track


def _exp_syn(values: Mapping[str, RockpoolValue], x: Array) -> Track:
    """ExpSynTorch: the current is what it gives."""
    track, beta, i = Track(), _decay(values, "tau"), np.zeros((len(x), x.shape[2]))
    for t in range(x.shape[1]):
        i = (i + x[:, t]) * beta
        track.outputs.append(i)
        track.membranes.append(i)
    return track


_STEPPED: Mapping[str, Callable[[Mapping[str, RockpoolValue], Array], Track]] = {
    "LIFTorch": _lif,
    "LIFNeuronTorch": _lif_neuron,
    "ExpSynTorch": _exp_syn,
}


class _Membrane:
    """The membranes of a layer, and what they did so far."""

    def __init__(self, values: Mapping[str, RockpoolValue], shape: tuple[int, int]) -> None:
        self.bias, self.threshold = _numbers(values, "bias"), _numbers(values, "threshold")
        self.max_spikes = _numbers(values, "max_spikes_per_dt")
        self.v, self.track = np.zeros(shape), Track()

    def step(self, alpha: Array, current: Array) -> Array:
        """The spikes of a step, (batch, neurons)."""
        v = alpha * self.v + current + self.bias
        count = np.where(v >= self.threshold, np.floor(v / self.threshold), 0.0)
        spikes = np.minimum(count, self.max_spikes)
        self.v = v - spikes * self.threshold
        self.track.outputs.append(spikes)
        self.track.membranes.append(self.v)
        return spikes
