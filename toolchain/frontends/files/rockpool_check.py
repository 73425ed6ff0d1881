"""Self-check of Graphs from rockpool's JSON against rockpool's equations.

A second, plain implementation of the equations, from the numbers in the file and without the IR or
the adapters, so that a mistake in the conversion shows up as a difference. Per step, for each
neuron with its synapses ``s``::

    i[s] = beta (i[s] + x[s] + (z(t - 1) @ w_rec)[s])
    v = alpha v + sum of i + bias
    z = min(floor(v / threshold), max_spikes_per_dt) where v >= threshold;  v = v - z threshold

aLIFTorch adds ``h = gamma (h + w_ahp z(t - 1))`` to v.

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


def check_layers(graph: Graph, layers: Sequence[SavedLayer], *, membranes: bool = False) -> Graph:
    """Compare ``graph`` with the equations; return it with the result in its provenance.

    Args:
        graph: the Graph of the file.
        layers: the layers of the file, in order of computation.
        membranes: whether the output is the membrane of the last layer.

    Raises:
        ModelFileError: the results differ (names the first layer, step and neuron), or values
            overflow.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return verify_against(graph, lambda x: _integrate(layers, x, membranes=membranes), "")


def _integrate(
    layers: Sequence[SavedLayer], x: Array, *, membranes: bool
) -> tuple[Array, dict[str, Track]]:
    """Return the output for ``x`` (batch, time, features), and the tracks of stateful layers."""
    tracks: dict[str, Track] = {}
    for layer in layers:
        if layer.kind == "LinearTorch":
            x = x @ _numbers(layer.values, "weight")
            x = x + _numbers(layer.values, "bias") if "bias" in layer.values else x
        elif layer.kind in _STEPPED:
            track = tracks[layer.name] = _STEPPED[layer.kind](layer.values, x)
            if membranes and layer is layers[-1]:
                track.outputs[:] = track.membranes
            x = np.stack(tracks[layer.name].outputs, axis=1)
        if not np.isfinite(x).all():
            raise ModelFileError(
                f"{layer.name}: its values are so large that its output is not finite"
            )
    return x, tracks


def _numbers(values: Mapping[str, RockpoolValue], name: str) -> Array:
    return np.asarray(values[name], dtype=np.float64)


# ---- layers with a state ----


def _lif(values: Mapping[str, RockpoolValue], x: Array) -> Track:
    """Run LIFTorch and aLIFTorch, with any number of synapses per neuron."""
    w_rec = _numbers(values, "w_rec")
    neurons, columns = w_rec.shape
    batch, alpha, beta = len(x), *_decays(values)
    membrane = _Membrane(values, (batch, neurons))
    spikes, i = np.zeros((batch, neurons)), np.zeros((batch, neurons, columns // neurons))
    after, own = np.zeros((batch, neurons)), np.zeros(1)
    gamma = own
    if "w_ahp" in values:
        own, gamma = _numbers(values, "w_ahp").ravel(), _decay(values, "tau_ahp").ravel()
    for t in range(x.shape[1]):
        inputs = x[:, t] + spikes @ w_rec if values["_has_rec"] else x[:, t]
        i = beta * (i + inputs.reshape(i.shape))
        after = gamma * (after + own * spikes)
        spikes = membrane.step(alpha, i.sum(axis=-1) + after)
    return membrane.track


def _decays(values: Mapping[str, RockpoolValue]) -> tuple[Array, Array]:
    """Return the decay factors of membrane and synaptic current per step."""
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
    """Run LIFNeuronTorch: the input acts on the membrane."""
    membrane = _Membrane(values, (len(x), x.shape[2]))
    alpha = _decay(values, "tau_mem")
    for t in range(x.shape[1]):
        membrane.step(alpha, x[:, t])
    return membrane.track


def _exp_syn(values: Mapping[str, RockpoolValue], x: Array) -> Track:
    """Run ExpSynTorch: its output is the synaptic current."""
    track, beta, i = Track(), _decay(values, "tau"), np.zeros((len(x), x.shape[2]))
    for t in range(x.shape[1]):
        i = (i + x[:, t]) * beta
        track.outputs.append(i)
        track.membranes.append(i)
    return track


_STEPPED: Mapping[str, Callable[[Mapping[str, RockpoolValue], Array], Track]] = {
    "LIFTorch": _lif,
    "aLIFTorch": _lif,
    "LIFNeuronTorch": _lif_neuron,
    "ExpSynTorch": _exp_syn,
}


class _Membrane:
    """The membranes of a layer, and their outputs so far."""

    def __init__(self, values: Mapping[str, RockpoolValue], shape: tuple[int, int]) -> None:
        self.bias, self.threshold = _numbers(values, "bias"), _numbers(values, "threshold")
        self.max_spikes = _numbers(values, "max_spikes_per_dt")
        self.v, self.track = np.zeros(shape), Track()

    def step(self, alpha: Array, current: Array) -> Array:
        """Advance one step and return the spikes, (batch, neurons)."""
        v = alpha * self.v + current + self.bias
        count = np.where(v >= self.threshold, np.floor(v / self.threshold), 0.0)
        spikes = np.minimum(count, self.max_spikes)
        self.v = v - spikes * self.threshold
        self.track.outputs.append(spikes)
        self.track.membranes.append(self.v)
        return spikes
