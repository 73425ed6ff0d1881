"""Files of others, to check against: no part of the project, which passes without them.

They are looked for in the folder that ``SNN_TEST_DATA`` names, else in ``shared/data`` beside the
checkout.
"""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[2] / "shared" / "data"
FOLDER = Path(os.environ.get("SNN_TEST_DATA", BESIDE))


def genuine(name, origin):
    """The path of that file, which is from ``origin``; skips the test where it is not there."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"no {name} ({origin}) in $SNN_TEST_DATA")
    return path
