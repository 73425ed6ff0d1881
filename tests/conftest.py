"""Before any test: one thread for torch, as tests run beside each other, and no deadlines."""

import os
import re
from pathlib import Path

from hypothesis import settings

# several processes with several spinning threads each are ten times slower than one thread each
os.environ.setdefault("OMP_NUM_THREADS", "1")

# how long an example takes depends on what else the machine does
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TESTS = Path(__file__).parent


def pytest_ignore_collect(collection_path, config):
    """Import no folder whose mark the selection leaves out: ``not fuzz`` stands for ``fuzz``."""
    left_out = re.findall(r"\bnot (\w+)", config.option.markexpr)
    folders = {TESTS / name for mark in left_out for name in (mark, f"{mark}s")}
    return True if collection_path in folders else None


LONGEST = ("test_readme.py", "test_examples.py")


def pytest_collection_modifyitems(items):
    """Start the longest tests first: started last, they let the other worker wait."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
