"""Settings for blocks of the chip that are not simulated.

With any of them the results of the chip differ from the simulation. They are therefore not part
of a program: they are arguments of ``configuration``, and by default all are off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from toolchain.chips.speck.program import SpeckProgram
from toolchain.chips.speck.spec import SpeckChip
from toolchain.diagnostics import Diagnostic, Severity

__all__ = ["DECIMATOR", "Extras", "has_blocks"]

DECIMATOR = {2: 0, 4: 1, 8: 2, 16: 3, 32: 4, 128: 5, 256: 6, 512: 7}
"""The vendor's code by N, where one spike of N passes; 64 has no code.

Source: Speck Dev Kit Datasheet tab. 4.
"""

SLOW_CLOCK = range(14, 18)
"""Exponents n: the clock ticks once in 2**n camera events.

Source: Speck Dev Kit Datasheet, sec. 3.2.6.
"""

BLOCKS = ("samna.speck2e", "samna.speck2f")
"""Modules of the chips that are known to have these blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """Settings of blocks that are not part of a program; see the module.

    Attributes:
        decimate: by name of a layer, N where one of N spikes leaves the core; a key of
            ``DECIMATOR``. Which one, and whether each neuron is counted alone, is not published.
        balance: names of layers that drop the events that arrive while they are busy.
        slow_clock_divider: the slow clock ticks once in ``2**n`` raw events of the camera, n from
            14 to 17; with None the board drives it. With a divider, biases act at no fixed rate.
        factory: fields of ``factory_config`` by the vendor's names, written unchecked.

    Raises:
        ValueError: an N or a divider that the chip does not have.
    """

    decimate: Mapping[str, int] = field(default_factory=dict)
    balance: tuple[str, ...] = ()
    slow_clock_divider: int | None = None
    factory: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "balance", tuple(self.balance))
        for name, number in self.decimate.items():
            if number not in DECIMATOR:
                raise ValueError(
                    f"the decimator of {name!r} must pass one spike of "
                    f"{', '.join(map(str, DECIMATOR))}, got {number!r}"
                )
        if self.slow_clock_divider not in (None, *SLOW_CLOCK):
            raise ValueError(
                f"slow_clock_divider must be {SLOW_CLOCK[0]} to {SLOW_CLOCK[-1]}, "
                f"got {self.slow_clock_divider!r}"
            )

    def findings(self, program: SpeckProgram, chip: SpeckChip) -> Iterator[Diagnostic]:
        """Yield an error for each unknown layer and each block that the chip may not have."""
        names = {core.name for core in program.cores}
        asked = [
            *((name, "an output decimator") for name in self.decimate),
            *((name, "a congestion balancer") for name in self.balance),
        ]
        for name, _ in asked:
            if name not in names:
                yield _error(name, "is not a layer of the program")
        if has_blocks(chip):
            return
        if self.slow_clock_divider is not None:
            asked.append(("network", "a slow clock of its own"))
        if self.factory:
            asked.append(("network", "factory settings"))
        for name, block in asked:
            yield _error(name, f"needs {block}, which {chip.name} is not known to have")

    def of_core(self, name: str) -> dict[str, Any]:
        """Return the fields of a core's configuration, for a chip that has these blocks."""
        number = self.decimate.get(name)
        fields: dict[str, Any] = {
            "input_congestion_balancer_enable": name in self.balance,
            "output_decimator_enable": number is not None,
            "leak_internal_slow_clk_enable": self.slow_clock_divider is not None,
        }
        if number is not None:
            fields["output_decimator_interval"] = DECIMATOR[number]
        return fields

    def of_factory(self) -> dict[str, Any]:
        """Return the fields of ``factory_config``."""
        if self.slow_clock_divider is None:
            return dict(self.factory)
        return {**self.factory, "internal_slow_clk_divider": self.slow_clock_divider}


def has_blocks(chip: SpeckChip) -> bool:
    """Return whether the chip is known to have these blocks."""
    return chip.vendor_module in BLOCKS


def _error(where: str, message: str) -> Diagnostic:
    return Diagnostic(rule="extras", severity=Severity.ERROR, where=where, message=message)
