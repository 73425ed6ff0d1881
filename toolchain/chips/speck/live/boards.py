"""The boards of Speck chips.

Source: sinabs documentation for the boards' type names.
"""

from __future__ import annotations

from typing import Any

from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.synsense.boards import Board, BoardKind, Boards
from toolchain.chips.synsense.vendor import Classes

__all__ = ["BOARDS", "find_boards", "to_samna"]

BOARDS = Boards(
    family=SpeckChip,
    title="Speck",
    classes=Classes(roots=("SpeckConfiguration", "DynapcnnConfiguration")),
    kinds={
        "samna.speck2e": BoardKind(devices=("Speck2eTestBoard", "Speck2eDevKit")),
        "samna.speck2f": BoardKind(devices=("Speck2fModuleDevKit", "Speck2fDevKit")),
    },
)
"""samna has no boards of DynapCNN since its release 0.46; board names of Speck 2c-mini and 2d-mini
are not documented.
"""

to_samna = BOARDS.to_samna


def find_boards(chip: str | SpeckChip, *, samna: Any = None) -> tuple[Board, ...]:
    """Return the free boards of ``chip``; empty if there are none.

    Args:
        chip: the chip, or its name.
        samna: the vendor's library; by default the installed one.

    Raises:
        VendorError: samna is not installed, a stub or too different, or no board of the chip is
            known.

    >>> from types import SimpleNamespace
    >>> info = SimpleNamespace(device_type_name="Speck2fDevKit")
    >>> device = SimpleNamespace(get_unopened_devices=lambda: [info])
    >>> samna = SimpleNamespace(device=device)  # stand-in for the vendor's library
    >>> [board.name for board in find_boards("speck2f", samna=samna)]
    ['Speck2fDevKit:0']
    """
    return BOARDS.find(chip, samna=samna)
