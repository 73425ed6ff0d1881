"""The specifications are found from a wheel and from the source tree, wherever one stands."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parents[2]
ASK = (
    "import toolchain.chips.load as l, toolchain.chips.chip_files as f;"
    "print(l.load_chip('xylo').name, len(l.list_chips()), f._folder())"
)


def answer(path, cwd):
    """What ``ASK`` prints with ``path`` importable."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, "-W", "error", "-c", ASK]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what a build needs, so that the source tree stays clean."""
    copy = tmp_path_factory.mktemp("source")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for stand_in in ("README.md", "LICENSE"):  # their content does not matter here
        (copy / stand_in).write_text(stand_in, encoding="utf-8")
    for folder in ("toolchain", "hardware_specs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def unpacked(command, cwd, folder):
    """Where the wheel that ``command`` leaves in ``folder`` was unpacked."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    return unpacked(build, source, folder)


def test_a_wheel_carries_the_specifications(wheel, tmp_path):
    name, number, folder = answer(wheel, tmp_path)
    assert (name, number) == ("xylo_a2", "9")
    assert Path(folder) == wheel / "toolchain" / "hardware_specs"


def test_a_wheel_puts_nothing_beside_the_package(wheel):
    top = {path.name for path in wheel.iterdir() if path.suffix != ".dist-info"}
    assert top == {"toolchain"}


def test_the_source_tree_is_found_from_anywhere(tmp_path):
    name, number, folder = answer(ROOT, tmp_path)
    assert (name, number) == ("xylo_a2", "9")
    assert Path(folder) == ROOT / "hardware_specs"


def test_an_editable_install_finds_the_source_tree(source, tmp_path):
    build = f"import setuptools.build_meta as b; b.build_editable({str(tmp_path)!r})"
    site = unpacked([sys.executable, "-c", build], source, tmp_path)
    # the project may itself be installed as editable here, and its finder would answer first
    install = (
        "import site, sys\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in f.__module__]\n"
        "for name in [name for name in sys.modules if name.startswith('__editable__')]:\n"
        "    del sys.modules[name]\n"
        f"sys.path.insert(0, {str(site)!r})\n"
        f"site.addsitedir({str(site)!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", install + ASK],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    name, number, folder = done.stdout.split()
    assert (name, number) == ("xylo_a2", "9")
    assert Path(folder) == source / "hardware_specs"


def test_every_package_is_listed_for_the_wheel():
    tomllib = pytest.importorskip("tomllib")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = settings["tool"]["setuptools"]["packages"]
    there = {"toolchain", *find_packages(str(ROOT), include=["toolchain.*"])}
    assert set(listed) == there | {"toolchain.hardware_specs"}


def test_reading_the_package_does_not_load_the_slow_libraries(tmp_path):
    slow = ("pint", "ruamel.yaml", "torch", "numba")
    code = f"import sys, toolchain.hardware; print([m for m in {slow} if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
