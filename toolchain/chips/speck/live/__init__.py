"""Boards: ``boards`` finds them, ``session`` loads a program, runs it and reads power.

>>> RAILS
('io', 'ram', 'logic', 'pixel_digital', 'pixel_analog')
"""

from toolchain.chips.speck.live.boards import find_boards
from toolchain.chips.speck.live.session import RAILS, LiveRun, read_power, run
from toolchain.chips.synsense.boards import Board

__all__ = ["RAILS", "Board", "LiveRun", "find_boards", "read_power", "run"]
