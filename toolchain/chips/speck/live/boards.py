"""The boards of Speck chips.

Source: sinabs documentation for the boards' type names.
"""

from __future__ import annotations

from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.synsense.boards import BoardKind, Boards
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
"""samna knows none of DynapCNN's since its release 0.46, and none of Speck 2c-mini and 2d-mini was
seen.
"""

find_boards = BOARDS.find
to_samna = BOARDS.to_samna
