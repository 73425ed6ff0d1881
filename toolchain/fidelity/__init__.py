"""What changed between the float network and the chip, with its size: questions, no rewriting.

``findings`` tells a user of the changes that matter, ``differences`` finds all of them for the
ledger, ``effects`` measures what they do on calibration samples, ``book`` makes the ledger.
"""

from toolchain.fidelity.book import Book, entered
from toolchain.fidelity.differences import accepted, rounded, written_otherwise
from toolchain.fidelity.effects import Heard, heard
from toolchain.fidelity.findings import changes, measured

__all__ = [
    "Book",
    "Heard",
    "accepted",
    "changes",
    "entered",
    "heard",
    "measured",
    "rounded",
    "written_otherwise",
]
