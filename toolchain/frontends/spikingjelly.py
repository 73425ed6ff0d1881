"""Adapters for the layers of SpikingJelly, known by class name; SpikingJelly is never imported."""

from __future__ import annotations

from toolchain.frontends.adapter import Layer

__all__ = ["LAYERS", "REFUSED"]

LAYERS: dict[str, Layer] = {}

REFUSED: dict[str, str] = {}
"""Classes that cannot be said in the IR, with what to do about them."""
