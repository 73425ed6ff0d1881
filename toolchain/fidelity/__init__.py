"""Differences between the trained network and the chip, with their size; changes no graph.

``differences`` and ``rounding`` compare the graphs before and after a step, ``findings`` reports
the changes that matter to a user, ``effects`` measures the effect of all of them on calibration
samples, ``builder`` builds the ledger.
"""

from toolchain.fidelity.builder import LedgerBuilder, changes_of
from toolchain.fidelity.differences import accepted, exact_rewrites
from toolchain.fidelity.effects import Trace, trace
from toolchain.fidelity.findings import diagnostics_of, measured
from toolchain.fidelity.rounding import rounded

__all__ = [
    "LedgerBuilder",
    "Trace",
    "accepted",
    "changes_of",
    "diagnostics_of",
    "exact_rewrites",
    "measured",
    "rounded",
    "trace",
]
