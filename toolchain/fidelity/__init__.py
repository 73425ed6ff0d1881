"""Differences between the trained network and the chip, with their size; changes no graph.

``differences`` and ``rounding`` compare the graphs before and after a step, ``findings`` reports
the changes that matter to a user, ``zeros`` and ``reach`` those that make a network dead,
``effects`` measures the effect of all of them on calibration samples, ``on_data`` reports it,
``builder`` builds the ledger.
"""

from toolchain.fidelity.builder import LedgerBuilder, changes_of
from toolchain.fidelity.differences import accepted, exact_rewrites
from toolchain.fidelity.effects import Trace, trace
from toolchain.fidelity.findings import diagnostics_of
from toolchain.fidelity.reach import silenced
from toolchain.fidelity.rounding import rounded
from toolchain.fidelity.zeros import rounded_away

__all__ = [
    "LedgerBuilder",
    "Trace",
    "accepted",
    "changes_of",
    "diagnostics_of",
    "exact_rewrites",
    "rounded",
    "rounded_away",
    "silenced",
    "trace",
]
