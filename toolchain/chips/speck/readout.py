"""The readout block: the class that fires most, averaged over ticks of the slow clock.

Its input is one core, with at most 15 classes numbered from 1; 0 means no class. On Speck2e and 2f
class k + 1 reads channel 4 k of that core only, so a layer is *spread*: n classes use
4 (n - 1) + 1 channels, and those between have no weights and never spike. The outputs of the
layer are unchanged.

Source: Speck Dev Kit Datasheet, sec. 3.2.5; sinabs documentation, "Chip errata".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolchain.chips.speck.core import SpeckCore

__all__ = ["LAYER_ID", "MODES", "SPREAD", "WINDOWS", "Readout"]

LAYER_ID = 12
"""The vendor's number of the block, as a destination."""

SPREAD = 4
"""Distance between the channels of two classes."""

WINDOWS = (1, 16, 32)
"""Lengths of the average, in ticks of the slow clock."""

MODES = ("off", "compare", "selected", "max")
"""Payloads of a readout value, in the order of the vendor's codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout:
    """Settings of the readout block.

    Attributes:
        layer: name of the core that it reads, spread over channels; see ``with_readout``.
        threshold: a class counts if its average is above this, spikes a tick; 0..65535.
        window: number of ticks in the average; one of ``WINDOWS``.
        mode: payload of a value; one of ``MODES``: nothing, a bit for each class above the
            threshold, the average of the class ``selected``, or the largest average.
        selected: the class of ``mode="selected"``, >= 1.
        always: show the largest class on the pins at every tick, whatever the threshold.
        values: send a readout value at every tick; the chip then sends no spikes.
        pins: send the state of the pins.

    Raises:
        ValueError: with every fault.

    >>> print(Readout(layer="spk", threshold=2, window=16))
    spk, threshold 2, window 16, mode compare, pins
    """

    layer: str
    threshold: int = 0
    window: int = 1
    mode: str = "compare"
    selected: int | None = None
    always: bool = False
    values: bool = False
    pins: bool = True

    def __post_init__(self) -> None:
        if found := [*self._faults()]:
            raise ValueError("Readout: " + "; ".join(found))

    def _faults(self) -> Iterator[str]:
        if type(self.threshold) is not int or not 0 <= self.threshold <= 0xFFFF:
            yield f"threshold must be an integer from 0 to 65535, got {self.threshold!r}"
        if type(self.window) is not int or self.window not in WINDOWS:
            yield f"window must be {_either(WINDOWS)}, got {self.window!r}"
        if self.mode not in MODES:
            yield f"mode must be {_either(map(repr, MODES))}, got {self.mode!r}"
        if (self.selected is not None) != (self.mode == "selected"):
            yield "selected must be given with mode='selected', and only then"
        elif self.selected is not None and not _is_class(self.selected):
            yield f"selected must be an integer >= 1, got {self.selected!r}"
        for name in ("always", "values", "pins"):
            if type(getattr(self, name)) is not bool:
                yield f"{name} must be True or False, got {getattr(self, name)!r}"

    def __str__(self) -> str:
        """Return one stable line."""
        flags = [name for name in ("always", "values", "pins") if getattr(self, name)]
        mode = self.mode if self.selected is None else f"{self.mode} {self.selected}"
        parts = [f"{self.layer}, threshold {self.threshold}, window {self.window}, mode {mode}"]
        return ", ".join(parts + flags)

    def faults_in(self, cores: Iterable[SpeckCore]) -> Iterator[str]:
        """Yield why the block cannot be connected to those cores of a program."""
        core = next((core for core in cores if core.name == self.layer), None)
        if core is None:
            yield f"the readout reads unknown core {self.layer!r}"
            return
        channels, height, width = core.output_shape
        if (height, width) != (1, 1):
            yield f"the readout needs one neuron a class, {self.layer!r} is a map {height}x{width}"
        if (channels - 1) % SPREAD:
            yield (
                f"the readout reads every {SPREAD}th channel: {channels} channels of "
                f"{self.layer!r} are not 1, 5, 9, ... (see with_readout)"
            )
        elif not _is_spread(core):
            yield (
                f"the readout reads every {SPREAD}th channel: channels of {self.layer!r} between "
                "them have weights, biases or membranes"
            )
        elif self.selected is not None and self.selected > _classes(core):
            yield f"class {self.selected} is selected, but {self.layer!r} has {_classes(core)}"


def _is_spread(core: SpeckCore) -> bool:
    between = np.arange(core.weight.shape[0]) % SPREAD != 0
    parts = (core.weight, core.bias, core.initial)
    return not any(part is not None and part[between].any() for part in parts)


def _classes(core: SpeckCore) -> int:
    return (int(core.weight.shape[0]) - 1) // SPREAD + 1


def _is_class(value: object) -> bool:
    return type(value) is int and value >= 1


def _either(values: Any) -> str:
    *first, last = map(str, values)
    return f"{', '.join(first)} or {last}"
