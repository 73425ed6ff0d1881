"""One network over several chips, a row each: which of them takes it, and at what price."""

from toolchain.across_chips.rows import ChipComparison, ChipRow, most_telling, tightest
from toolchain.across_chips.run import compare_chips

__all__ = ["ChipComparison", "ChipRow", "compare_chips", "most_telling", "tightest"]
