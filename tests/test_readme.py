"""What the README says is what happens."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.genuine import genuine

ROOT = Path(__file__).parent.parent
OF_THIS_TREE = {**os.environ, "PYTHONPATH": str(ROOT)}
"""Without it a script gets the package that is installed, which may be that of another folder."""
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


QUIET = """
import os, runpy, sys, warnings
import toolchain
warnings.simplefilter("ignore", toolchain.DeployWarning)
sys.argv = sys.argv[1:]
sys.path.insert(0, "examples")
runpy.run_path(os.path.abspath(sys.argv[0]), run_name="__main__")
"""
"""Runs a script without the warnings about its networks, which its table states too."""


def blocks(language):
    """The fenced blocks of that language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_example_prints_what_is_printed_below_it(tmp_path):
    (code, *_), (printed, *_) = blocks("python"), blocks("text")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=OF_THIS_TREE,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == printed
    assert (tmp_path / "out" / "example" / "manifest.json").is_file()


def marked(command):
    """The block that says which command printed it."""
    found = re.search(
        rf"<!-- {re.escape(command)} -->\n```text\n(.*?)^```\n<!-- end -->",
        TEXT,
        re.MULTILINE | re.DOTALL,
    )
    return found[1]


def words_and_numbers(text):
    """What of ``text`` is the same on every processor, and the numbers that may differ a little."""
    joined = re.sub(r"(?<=\d) (?=\d{3}\b)", "", text)
    number = r"(?<![\w.])\d+(?:\.\d+)?(?!\w)"
    return re.sub(number, "#", joined).split(), [float(each) for each in re.findall(number, joined)]


@pytest.mark.parametrize("networks", ["digits_speck digits_xylo", "braille"])
def test_the_tables_over_all_chips_are_those_of_a_fresh_run(tmp_path, networks):
    """Float32 training is not the same to the last digit on every processor."""
    if networks == "braille":
        genuine("braille_noDelay_noBias_subtract.nir", "the NIR paper's repository")
    command = f"examples/compare_chips.py --only {networks}"
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            QUIET,
            *command.split(),
            "--out",
            tmp_path,
        ],
        cwd=ROOT,
        env={**OF_THIS_TREE, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    printed = "\n".join(line for line in lines if not line.startswith("picture: "))
    words, numbers = words_and_numbers(printed)
    wanted, expected = words_and_numbers(marked(command))
    assert words == wanted
    assert numbers == pytest.approx(expected, rel=0.1)
    assert sorted(path.stem for path in tmp_path.iterdir()) == networks.split()


def test_the_folders_it_names_are_there():
    for folder in re.findall(r"^\| `(toolchain/\w+|hardware_specs)`", TEXT, re.MULTILINE):
        assert (ROOT / folder).is_dir()


def test_the_commands_it_names_are_targets():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`?make (\w+)", TEXT)) <= set(targets)
