"""Simulators in an interpreter of their own: what they load, and where nothing can be kept."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.chips.compiled.test_cache import PACKAGE

ROOT = Path(__file__).parents[2]
PREPARE = """
import sys
from pathlib import Path
import numpy as np
import toolchain
from tests.chips.speck.networks import chain
from tests.chips.xylo.programs import quiet
from toolchain.chips import speck, xylo

def simulate_speck(program=chain((1, 2, 2), {"outputs": 3, "kernel": 1})):
    return speck.simulate(program, np.ones((2, 5, 1, 2, 2), int)).spikes.shape

def simulate_xylo(program=quiet(hidden=1000, weights_in=np.full((1, 1000, 1), 9))):
    return xylo.simulate(program, np.ones((1, 500, 1), np.uint8)).spikes.shape
"""


def in_a_process(code, **options):
    """Return what a new interpreter prints."""
    command = [sys.executable, "-c", PREPARE + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert not done.returncode, done.stderr
    return done.stdout


def test_simulating_imports_neither_torch_nor_a_framework():
    modules = in_a_process("simulate_speck(); simulate_xylo(); print(*sys.modules)", cwd=ROOT)
    heavy = {"torch", "sinabs", "rockpool", "snntorch", "norse", "samna", "nir", "xylosim"}
    assert not heavy & set(modules.split())


def test_where_no_compiled_code_can_be_kept_it_is_compiled_anew(tmp_path):
    """Speck's kernel is run for all, as Xylo's takes thrice as long to compile in the same way."""
    source, copy = PACKAGE, tmp_path / "toolchain"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    # files in the way of folders: permissions would not stop an administrator
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()
    nowhere = tmp_path / "nowhere"
    nowhere.touch()
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    env |= {
        "HOME": str(nowhere),
        "XDG_CACHE_HOME": str(nowhere),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
    }
    code = """
from toolchain.chips.compiled.code_files import FUNCTIONS
print(Path(toolchain.__file__).parents[1], simulate_speck())
print({(use.compiled, use.folder) for function in FUNCTIONS for use in function.uses.values()})
"""
    wanted = f"{tmp_path} (2, 5, 3, 2, 2)\n{{(True, None)}}\n"
    assert in_a_process(code, env=env, cwd=tmp_path) == wanted
    assert nowhere.read_bytes() == b""
