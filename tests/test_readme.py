"""What the README says is what happens."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """The fenced blocks of that language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_example_prints_what_is_printed_below_it(tmp_path):
    (code, *_), (printed, *_) = blocks("python"), blocks("text")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == printed
    assert (tmp_path / "out" / "example" / "manifest.json").is_file()


def test_the_folders_it_names_are_there():
    for folder in re.findall(r"^\| `(toolchain/\w+|hardware_specs)`", TEXT, re.MULTILINE):
        assert (ROOT / folder).is_dir()


def test_the_commands_it_names_are_targets():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`?make (\w+)", TEXT)) <= set(targets)
