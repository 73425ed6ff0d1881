"""Adapters for the layers of rockpool, known by class name; rockpool is never imported."""

from __future__ import annotations

from toolchain.frontends.adapter import Layer

__all__ = ["LAYERS", "REFUSED"]

LAYERS: dict[str, Layer] = {}

REFUSED: dict[str, str] = {}
"""Classes that cannot be said in the IR, with what to do about them."""
