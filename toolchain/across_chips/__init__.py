"""Comparison of one network on several chips: fit, agreement, power and latency of each."""

from toolchain.across_chips.rows import ChipComparison, ChipRow, most_telling, tightest
from toolchain.across_chips.run import compare_chips

__all__ = ["ChipComparison", "ChipRow", "compare_chips", "most_telling", "tightest"]
