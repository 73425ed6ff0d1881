"""The clocked simulation of one sample."""

from __future__ import annotations

import numpy as np

from toolchain.chips.speck.simulate import kernel
from toolchain.chips.speck.simulate.buffers import BatchRun

__all__ = ["clocked"]

_LIMITS = {np.int16: 2**15 - 1, np.int32: 2**31 - 1, np.int64: 2**62}
"""Types of membranes, narrowest and fastest first, with their largest magnitude."""


def clocked(run: BatchRun, sample: int) -> None:
    """Simulate a sample step by step, in 16 bits; restart with more if a sum overflows."""
    events = run.samples.events(sample)
    for dtype, limit in _LIMITS.items():
        state = run.state(sample, dtype)
        if kernel.run(run.samples.steps, events, limit, run.packed.tables, state):
            run.finish(sample, state)
            return
    raise AssertionError("64 bits hold every sum")
