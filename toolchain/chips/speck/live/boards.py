"""The boards of Speck chips.

Source: sinabs documentation for the boards' type names.
"""

from __future__ import annotations

from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.synsense.boards import Boards, Kind
from toolchain.chips.synsense.vendor import Classes

__all__ = ["BOARDS", "find_boards", "to_samna"]

BOARDS = Boards(
    family=SpeckChip,
    title="Speck",
    classes=Classes(roots=("SpeckConfiguration", "DynapcnnConfiguration")),
    kinds={
        "samna.speck2e": Kind(devices=("Speck2eTestBoard", "Speck2eDevKit")),
        "samna.speck2f": Kind(devices=("Speck2fModuleDevKit", "Speck2fDevKit")),
    },
)
"""samna has no boards of DynapCNN since its release 0.46; board names of Speck 2c-mini and 2d-mini
are not documented.
"""

find_boards = BOARDS.find
to_samna = BOARDS.to_samna
