"""A board that is open: configured, read and measured in the way that the library asks for.

Source: samna documentation (device models, power monitors).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolchain.chips.synsense.spec import SynSenseChip
from toolchain.chips.synsense.vendor import Classes, build_configuration, part
from toolchain.diagnostics import VendorError

__all__ = ["PAUSE_S", "BoardRun", "OpenBoard", "power_at_rest"]

PAUSE_S = 0.001
"""Between two looks for events, s."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoardRun:
    """What a board did.

    Attributes:
        board: its name.
        power_w: mean power of each measured channel during the run, W; empty unless asked for.
    """

    board: str
    power_w: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenBoard:
    """A board in use.

    Attributes:
        name: its type and its number among those of its type.
        chip: what it carries.
        vendor: the vendor's library.
        device: the library's object of the board.
        getter: its method for the library's object of the chip.
    """

    name: str
    chip: SynSenseChip
    vendor: Any
    device: Any
    getter: str

    @property
    def model(self) -> Any:
        """The library's object of the chip."""
        return part(self.device, self.getter)()

    @property
    def surface(self) -> Any:
        """The part of the library for the chip."""
        return part(self.vendor, self.chip.vendor_module.partition(".")[2])

    def configure(self, config: Mapping[str, Any], classes: Classes) -> None:
        """Configure the chip with ``config``.

        Raises:
            VendorError: the library refuses it, or lacks what is needed.
        """
        live = build_configuration(part(self.surface, "configuration"), config, self.chip, classes)
        valid, why = part(self.surface, "validate_configuration")(live)
        if not valid:
            raise VendorError(f"samna refuses the configuration: {why}")
        part(self.model, "apply_configuration")(live)

    def source_to(self, node: Any) -> Any:
        """Return the library's buffer of events to send to ``node``."""
        return part(self.vendor, "graph.source_to")(node)

    def sink_from(self, node: Any) -> Any:
        """Return the library's buffer of events that come from ``node``."""
        return part(self.vendor, "graph.sink_from")(node)

    @contextmanager
    def measured(
        self, rate_hz: float | None, channels: Mapping[int, str]
    ) -> Iterator[dict[str, float]]:
        """Fill the dictionary with mean power by name of the channel, W, at the end.

        Args:
            rate_hz: readings a second; None measures none.
            channels: their names by number; others are called by their number.
        """
        means: dict[str, float] = {}
        if rate_hz is None:
            yield means
            return
        monitor = part(self.device, "get_power_monitor")()
        sink = self.sink_from(part(monitor, "get_source_node")())
        part(monitor, "start_auto_power_measurement")(rate_hz)
        try:
            yield means
        finally:
            part(monitor, "stop_auto_power_measurement")()
        readings: dict[int, list[float]] = {}
        for event in sink.get_events():
            channel = int(part(event, "channel"))
            readings.setdefault(channel, []).append(float(part(event, "value")))
        for channel, values in sorted(readings.items()):
            means[channels.get(channel, f"channel {channel}")] = float(np.mean(values))


def power_at_rest(
    measured: AbstractContextManager[dict[str, float]], seconds: float
) -> dict[str, float]:
    """Return the mean power by channel over ``seconds`` in which nothing is sent, W."""
    with measured as power:
        time.sleep(seconds)
    return power
