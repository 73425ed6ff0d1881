"""NIR nodes of neurons as sinabs writes them: time constants in timesteps, gains of 1."""

from __future__ import annotations

import numpy as np

from toolchain.arrays import Array
from toolchain.frontends.nir.nodes import NirNode
from toolchain.ir import Membrane, MembraneReadout, Neuron, time_constant

__all__ = ["in_timesteps", "membrane_kind"]


def membrane_kind(node: Membrane) -> str:
    """Return the primitive of a membrane, by its leak, its synapse and its output."""
    readout = isinstance(node, MembraneReadout)
    if np.all(node.alpha_mem == 1):
        return "I" if readout else "IF"
    return ("Cuba" if node.alpha_syn is not None else "") + ("LI" if readout else "LIF")


def in_timesteps(node: Membrane) -> NirNode:
    """Convert a membrane; what NIR has no field for, such as its gain, is left out."""

    def each(value: Array | float) -> Array:
        return np.broadcast_to(np.asarray(value, dtype=np.float32), node.shape)

    kind = membrane_kind(node)
    fields = {"r": each(1.0)}
    if kind not in ("I", "IF"):
        name = "tau" if node.alpha_syn is None else "tau_mem"
        fields |= {name: each(time_constant(node.alpha_mem, dt=1)), "v_leak": each(node.v_leak)}
    if node.alpha_syn is not None:
        fields |= {"tau_syn": each(time_constant(node.alpha_syn[..., 0], dt=1)), "w_in": each(1.0)}
    if isinstance(node, Neuron):
        fields["v_threshold"] = each(node.v_threshold)
        if node.reset != "subtract":
            fields["v_reset"] = each(node.v_reset)
    return NirNode(type=kind, fields=fields)
