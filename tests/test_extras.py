"""What works without the optional packages, and the message where one is missing."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.frontends.files.damaged_files import saved
from tests.oracles.artifacts import DATA
from toolchain.extras import needed_by

ROOT = Path(__file__).parents[1]
# A finder that comes first and has none of the optional packages, as in an environment without.
ABSENT = """
import sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in ("torch", "matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent)
"""


def without_extras(code, cwd):
    """What ``code`` prints where no optional package is installed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ABSENT + code],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_graphs_nir_files_and_artifacts_need_no_optional_package(tmp_path):
    smoke = ROOT / "tests" / "packages" / "smoke.py"
    code = f"import runpy; sys.argv = [{str(smoke)!r}, {str(DATA / 'xylo_a2-channel')!r}]\n"
    code += "runpy.run_path(sys.argv[0])"
    assert without_extras(code, tmp_path).strip() == str(ROOT / "toolchain" / "__init__.py")


MESSAGES = {
    "import toolchain.nn": "toolchain.nn needs torch: pip install 'snn-toolchain[torch]'",
    "from toolchain.nn.spiking import IAF": (
        "toolchain.nn needs torch: pip install 'snn-toolchain[torch]'"
    ),
    "import toolchain.synops": "toolchain.synops needs torch: pip install 'snn-toolchain[torch]'",
    "import toolchain.plots": (
        "toolchain.plots needs matplotlib: pip install 'snn-toolchain[report]'"
    ),
    "import toolchain; toolchain.extract(Net(), 1)": (
        "toolchain.extract needs torch: pip install 'snn-toolchain[torch]'"
    ),
    "import toolchain; toolchain.deploy(Net(), 'xylo', sample=1)": (
        "toolchain.extract needs torch: pip install 'snn-toolchain[torch]'"
    ),
    "import toolchain; toolchain.load('weights.pt', factory='nets:net', sample=1)": (
        "reading weights.pt needs torch: pip install 'snn-toolchain[torch]'"
    ),
}


def test_a_missing_package_is_named_with_the_extra_that_installs_it(tmp_path):
    import torch

    (tmp_path / "weights.pt").write_bytes(saved({"w": torch.ones(2)}))
    program = "class Net:\n    def forward(self, x):\n        return x\n"
    for code in MESSAGES:
        program += f"try:\n    {code}\nexcept ImportError as fault:\n    print(fault)\n"
    assert without_extras(program, tmp_path).splitlines() == [*MESSAGES.values()]


def test_a_missing_package_of_another_project_keeps_its_message():
    message = r"^No module named 'no_such_package'$"
    with pytest.raises(ModuleNotFoundError, match=message), needed_by("toolchain.nn"):
        importlib.import_module("no_such_package")
