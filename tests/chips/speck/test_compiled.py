"""Compiled code that is kept on disk belongs to the sources it was compiled from."""

import hashlib
from pathlib import Path

import pytest

from toolchain.chips.speck.simulate import event_kernel, kernel, scan

ROOM = Path(kernel.__file__).parent
CACHE = "../../compiled/cache.py"


@pytest.mark.parametrize(
    ("module", "inlined"),
    [
        (scan, [CACHE, "lanes.py"]),
        (kernel, [CACHE, "lanes.py", "tables.py"]),
        (event_kernel, [CACHE, "kernel.py", "lanes.py", "tables.py"]),
    ],
)
def test_a_compiled_file_changes_with_what_it_inlines(module, inlined):
    """numba compiles again when the contents of the one file change, and only then."""
    sources = b"".join((ROOM / name).read_bytes() for name in inlined)
    assert hashlib.sha256(sources).hexdigest()[:12] == module.INLINED
