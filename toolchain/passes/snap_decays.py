"""Decay factors that a chip with bit-shift decay can hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolchain.ir import Array, Graph, Membrane, Node

__all__ = ["dashes", "snap_decays"]


def snap_decays(graph: Graph, *, dash_bits: int) -> Graph:
    """Every decay factor replaced by the nearest ``1 - 2**-dash``.

    Nearest in time constant: the dash whose ``-1 / ln(1 - 2**-dash)`` has the smallest ratio to
    the wanted one. ``dash`` runs from 1 to ``2**dash_bits - 1``.

    Ensures: :func:`dashes` of each factor is a whole number. A factor of 0 or 1 and a time
    constant beyond the last dash are left as they are, for the rules to refuse.

    Source: Xylo decays by ``v -= v >> dash``, which keeps ``1 - 2**-dash`` of a large v.
    """
    top = 2**dash_bits - 1

    def snapped(_: str, node: Membrane) -> Node:
        syn = node.alpha_syn
        return replace(
            node,
            alpha_mem=_snap(node.alpha_mem, top),
            alpha_syn=None if syn is None else _snap(syn, top),
        )

    return graph.map(Membrane, snapped)


def dashes(alpha: Array) -> Array:
    """``-log2(1 - alpha)``: the bit shift of a decay factor, whole after :func:`snap_decays`."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log2(1 - alpha))


def _snap(alpha: Array, top: int) -> Array:
    held = 1 - 2.0 ** -np.arange(1, top + 1)
    inside = (alpha > 0) & (alpha < (1 + held[-1]) / 2)
    with np.errstate(divide="ignore"):
        ratio = np.abs(np.log(np.log(held) / np.log(np.where(inside, alpha, 0.5))[..., None]))
    return np.where(inside, held[np.argmin(ratio, axis=-1)], alpha)
