"""Decay factors that a chip with bit-shift decay can hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.ir import Array, Graph, Membrane

__all__ = ["dashes", "formulas", "ratio", "response", "snap_decays"]


def snap_decays(graph: Graph, *, dash_bits: int) -> Graph:
    """Every decay factor replaced by the nearest ``1 - 2**-dash``, the size of responses kept.

    Nearest in time constant: the dash whose ``-1 / ln(1 - 2**-dash)`` has the smallest ratio to
    the wanted one. ``dash`` runs from 1 to ``2**dash_bits - 1``. A slower state also piles up
    more, so the gain is changed with it: spikes without order move the membrane as much as
    before, by the root of the summed squares of its response to one spike (:func:`response`).
    A constant bias moves it as far as before.

    Requires: gains are folded into weights afterwards (``fold_gain``).
    Ensures: :func:`dashes` of each factor is a whole number; a graph whose factors were so is
    unchanged. A factor of 0 or 1 and a time constant beyond the last dash are left as they are,
    for the rules to refuse.

    Source: Xylo decays by ``v -= v >> dash``, which keeps ``1 - 2**-dash`` of a large v.
    """
    top = 2**dash_bits - 1
    return graph.map(Membrane, lambda _, node: _snapped(node, top))


def _snapped(node: Membrane, top: int) -> Membrane:
    mem, syn = node.alpha_mem, node.alpha_syn
    new_mem, new_syn = _snap(mem, top), None if syn is None else _snap(syn, top)
    gain = node.gain
    if syn is None or new_syn is None or node.synapses == 1:
        gain = gain * ratio(response(mem, syn), response(new_mem, new_syn))
    bias = node.bias * ratio(1 - new_mem, 1 - mem)
    return replace(node, alpha_mem=new_mem, alpha_syn=new_syn, gain=gain, bias=bias)


def response(mem: Array, syn: Array | None) -> Array:
    r"""Root of the summed squares of the membrane's response to one spike; 0 if it never ends.

    .. math:: \sum_t \Big(\sum_{k \le t} a^{t-k} b^{k+1}\Big)^2
              = \frac{b^2 (1 + a b)}{(1 - a^2)(1 - b^2)(1 - a b)}

    with a for the membrane and b for the synapse.
    """
    a, b = mem, np.zeros(()) if syn is None else syn[..., 0]
    gain = np.ones(()) if syn is None else b**2
    rest = (1 - a**2) * (1 - b**2) * (1 - a * b)
    return np.asarray(np.sqrt(ratio(gain * (1 + a * b), rest) * (rest > 0)))


def ratio(above: Array, below: Array) -> Array:
    """``above / below``; 1 where either is 0, which the rules refuse."""
    fine = (above > 0) & (below > 0)
    return np.divide(above, below, out=np.ones(np.shape(fine)), where=fine)


def dashes(alpha: Array) -> Array:
    """``-log2(1 - alpha)``: the bit shift of a decay factor, whole after :func:`snap_decays`."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log2(1 - alpha))


def formulas(alpha: Array) -> dict[str, Array]:
    """The bit shifts that the two formulas in use give for a decay factor, by formula.

    They disagree for some time constants, as for 2.29 to 2.83 timesteps. :func:`snap_decays` is
    never further off than either, in ratio.

    Source: Rockpool documentation: the mapper of Xylo, and the decays of its neurons.
    """
    with np.errstate(divide="ignore"):
        tau = -1 / np.log(alpha)
        return {"log2(tau/dt)": np.rint(np.log2(tau)), "-log2(1 - alpha)": np.rint(dashes(alpha))}


def _snap(alpha: Array, top: int) -> Array:
    held = 1 - 2.0 ** -np.arange(1, top + 1)
    inside = (alpha > 0) & (alpha < (1 + held[-1]) / 2)
    with np.errstate(divide="ignore"):
        ratio = np.abs(np.log(np.log(held) / np.log(np.where(inside, alpha, 0.5))[..., None]))
    return np.where(inside, held[np.argmin(ratio, axis=-1)], alpha)
