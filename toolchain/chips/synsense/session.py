"""Access to an open board: configuration, event streams and power measurement.

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
"""Time between two polls for events, s."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoardRun:
    """Result of a run on a board.

    Attributes:
        board: name of the board.
        power_w: mean power of each measured channel during the run, W; empty if not measured.
    """

    board: str
    power_w: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenBoard:
    """An open board.

    Attributes:
        name: type of the board and its number among boards of this type.
        chip: chip on the board.
        vendor: the vendor's library.
        device: the library's object of the board.
        getter: name of the method of ``device`` that returns the library's object of the chip.
    """

    name: str
    chip: SynSenseChip
    vendor: Any
    device: Any
    getter: str

    @property
    def model(self) -> Any:
        """Chip object of the vendor's library."""
        return part(self.device, self.getter)()

    @property
    def surface(self) -> Any:
        """Module of the vendor's library for the chip."""
        return part(self.vendor, self.chip.vendor_module.partition(".")[2])

    def configure(self, config: Mapping[str, Any], classes: Classes) -> None:
        """Configure the chip with ``config``.

        Raises:
            VendorError: the library rejects the configuration, or is incompatible.
        """
        live = build_configuration(part(self.surface, "configuration"), config, self.chip, classes)
        valid, reason = part(self.surface, "validate_configuration")(live)
        if not valid:
            raise VendorError(f"samna rejects the configuration: {reason}")
        part(self.model, "apply_configuration")(live)

    def source_to(self, node: Any) -> Any:
        """Return a buffer of the library whose events are sent to ``node``."""
        return part(self.vendor, "graph.source_to")(node)

    def sink_from(self, node: Any) -> Any:
        """Return a buffer of the library that receives the events of ``node``."""
        return part(self.vendor, "graph.sink_from")(node)

    @contextmanager
    def measured(
        self, rate_hz: float | None, channels: Mapping[int, str]
    ) -> Iterator[dict[str, float]]:
        """Measure the mean power of each channel during the ``with`` block, W.

        The returned dictionary is filled at the end of the block, by channel name.

        Args:
            rate_hz: readings per second; None disables the measurement.
            channels: channel names by number; other channels are named by their number.
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
    """Return the mean power by channel, W, over ``seconds`` without input."""
    with measured as power:
        time.sleep(seconds)
    return power
