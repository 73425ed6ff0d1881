"""The clocked simulation of one sample."""

from __future__ import annotations

import numpy as np

from toolchain.chips.speck.simulate import kernel
from toolchain.chips.speck.simulate.buffers import BatchRun
from toolchain.chips.speck.simulate.frame import frame

__all__ = ["LIMITS", "clocked"]

LIMITS = (np.int16(2**15 - 1), np.int32(2**31 - 1), np.int64(2**62))
"""The largest magnitude of each type of membranes, narrowest and fastest first."""


def clocked(run: BatchRun, sample: int) -> None:
    """Simulate a sample step by step, in 16 bits; restart with more if a sum overflows."""
    events = run.samples.events(sample)
    for limit in LIMITS:
        state = run.state(sample, limit.dtype)
        if kernel.run(run.samples.steps, limit, frame(run.packed.tables, state, events)):
            run.finish(sample, state)
            return
    raise AssertionError("64 bits hold every sum")
