"""Machine code is found, made again or kept in memory, whatever the folders are like."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# root may write everywhere, unless it gives up the right to
ROOTS = getattr(os, "geteuid", lambda: 1)() == 0
LIMITED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if ROOTS else []

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.skipif(ROOTS and not shutil.which("setpriv"), reason="root ignores permissions"),
]

ONCE = ["toolchain: compiling the doubler once, about 2 s"]
COMPILED = {"value": 42, "compiled": True, "folder": "package/__pycache__", "lines": ONCE}
READ = {**COMPILED, "compiled": False, "lines": []}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Results of the processes of ``scenarios.py``."""
    folder = tmp_path_factory.mktemp("scenarios")
    child = [sys.executable, "-W", "error", str(Path(__file__).with_name("scenarios.py")), folder]
    settings = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    done = subprocess.run(
        [*LIMITED, *child], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**settings, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return {**json.loads(done.stdout), "stderr": done.stderr}


def test_a_function_is_compiled_once(found):
    assert found["first"] == COMPILED
    assert found["second"] == READ


def test_code_is_read_from_folders_that_cannot_be_written(found):
    """So is that of an image that was prepared with all rights and is read-only later."""
    assert found["read-only"] == READ
    assert found["another time of the source"] == READ


def test_damaged_code_is_compiled_again_and_mended(found):
    assert found["damaged"] == [COMPILED, READ] * 2


def test_code_of_another_numba_or_processor_or_source_is_not_used(found):
    assert found["another numba"] == found["another processor"] == COMPILED
    assert found["neither"] == READ
    assert found["files of all three"] == 3
    assert found["another source"] == {**COMPILED, "value": 63}
    assert not found["file of the old source"]


def test_processes_may_compile_at_once(found):
    assert found["at once"] == [{**COMPILED, "value": 63}] * 3
    assert found["after that"] == {**READ, "value": 63}
    assert not found["files left over"]


def test_an_interrupt_leaves_nothing_that_harms_later_calls(found):
    assert found["interrupted"] == {**COMPILED, "value": 63, "interrupts": 1}
    assert found["after an interrupt"] == {**READ, "value": 63}


def test_without_a_folder_code_is_compiled_in_memory_and_says_so(found):
    line = (
        "toolchain: compiling the doubler in memory, about 2 s in every process: no folder for its "
        "machine code can be written; set NUMBA_CACHE_DIR to one that can"
    )
    assert found["no folder"] == {**COMPILED, "value": 63, "folder": None, "lines": [line]}


def test_an_installation_that_cannot_be_written_uses_the_users_folder(found):
    folder = found["the user's folder"]["folder"]
    assert folder.startswith("home")
    assert found["the user's folder"] == {**COMPILED, "value": 63, "folder": folder}
    assert found["the user's folder again"] == {**READ, "value": 63, "folder": folder}


def test_short_compilations_say_nothing(found):
    assert found["short"] == {**COMPILED, "value": 84, "lines": []}


def test_the_line_is_on_stderr_unless_logging_is_set_up_otherwise(found):
    """One line of two functions with the same title; none in the process that silenced it."""
    assert found["stderr"].splitlines() == ONCE


def test_a_numba_without_the_private_option_compiles_the_same(found):
    assert found["without _nrt"] == 42
