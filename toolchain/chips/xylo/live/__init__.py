"""Boards: ``boards`` finds them, ``session`` loads a program, runs it and measures power.

Every example needs the vendor's library ``samna``, most of them a board.
"""

from toolchain.chips.synsense.boards import Board
from toolchain.chips.xylo.live.boards import check_versions, find_boards
from toolchain.chips.xylo.live.session import LiveRun, read_power, run

__all__ = ["Board", "LiveRun", "check_versions", "find_boards", "read_power", "run"]
