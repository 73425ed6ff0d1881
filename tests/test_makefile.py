"""What the targets of the Makefile would run."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INDEX = "https://index.example/cpu"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def installs(target, *variables):
    """The pip commands of a target in a clean clone; nothing is run."""
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", target, *variables]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return re.findall(r"-m pip (?:--python \S+ )?install .*", done.stdout)


@pytest.mark.parametrize(("target", "extra"), [("demo", "demo"), ("test", "test")])
def test_the_targets_install_torch_by_their_extra(target, extra):
    (command,) = installs(target)
    assert command.endswith(f"-c constraints.txt -e '.[{extra}]'")
    assert "index" not in command


@pytest.mark.parametrize("target", ["demo", "test", "packages", "conformance", "oracles"])
def test_torch_index_is_given_to_every_install_that_brings_torch(target):
    commands = installs(target, f"TORCH_INDEX={INDEX}")
    with_torch = [command for command in commands if "-e '.[" in command]
    assert with_torch
    assert all(f" --extra-index-url {INDEX} " in command for command in with_torch)
    # what stays without dependencies brings no torch
    assert all("--no-deps" in command for command in commands if command not in with_torch)
