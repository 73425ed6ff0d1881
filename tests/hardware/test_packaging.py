"""Wheel, source distribution and editable install hold every file, and find the specifications."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from toolchain import __version__

ROOT = Path(__file__).parents[2]
ASK = (
    "import toolchain.chips.load as l, toolchain.chips.chip_files as f;"
    "print(l.load_chip('xylo').name, len(l.list_chips()), f._folder())"
)
JUNK = shutil.ignore_patterns("__pycache__", ".*", "out", "build", "dist", "*.egg-info")
# git ignores it, and so does a build
GENERATED = {"__pycache__", "out", "build", "dist"}


def run(code, cwd, path=None):
    """Return the words that ``code`` prints with ``path`` importable."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # the folder's files are compared
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what a build needs, so that the source tree stays clean."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, copy)
    for folder in ("toolchain", "hardware_specs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=JUNK)
    return copy


def built(source, folder, kind):
    """Return the file that the build backend of ``source`` leaves in ``folder``."""
    code = f"import hatchling.build as b; print(b.build_{kind}({str(folder)!r}))"
    return folder / run(code, source)[-1]


def unpacked(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    """The folder into which a wheel was unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    return unpacked(built(source, folder, "wheel"), folder / "site")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The names of the files in a source distribution, from its top."""
    archive = built(ROOT, tmp_path_factory.mktemp("sdist"), "sdist")
    with tarfile.open(archive) as files:
        return {name.split("/", maxsplit=1)[1] for name in files.getnames()}


def files_of(folder):
    """The files below ``folder`` that are not generated, relative to the source tree."""
    for path in folder.rglob("*"):
        place = path.relative_to(ROOT)
        if path.is_file() and not GENERATED & set(place.parts) and path.suffix != ".pyc":
            yield place.as_posix()


def test_a_wheel_carries_the_specifications(wheel, tmp_path):
    name, number, folder = run(ASK, tmp_path, wheel)
    assert (name, number) == ("xylo_a2", "9")
    assert Path(folder) == wheel / "toolchain" / "hardware_specs"


def test_a_wheel_holds_the_files_of_the_package_and_the_specifications_alone(wheel):
    there = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    specifications = {f"toolchain/{name}" for name in files_of(ROOT / "hardware_specs")}
    specifications.discard("toolchain/hardware_specs/README.md")
    information = {name for name in there if name.split("/")[0].endswith(".dist-info")}
    assert "toolchain/py.typed" in there
    assert there - information == specifications | set(files_of(ROOT / "toolchain"))


def test_the_version_is_that_of_the_package(wheel):
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    assert f"\nVersion: {__version__}\n" in metadata.read_text(encoding="utf-8")


def test_a_plain_install_brings_neither_torch_nor_matplotlib(wheel):
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    lines = metadata.read_text(encoding="utf-8").splitlines()
    optional = ("Requires-Dist: torch", "Requires-Dist: matplotlib")
    needed = sorted(line for line in lines if line.startswith(optional))
    assert [line.split(";")[1].strip() for line in needed] == [
        *["extra == 'demo'", "extra == 'report'", "extra == 'test'"],
        *["extra == 'demo'", "extra == 'test'", "extra == 'torch'"],
    ]


def test_a_source_distribution_holds_all_that_its_tests_read(sdist):
    folders = ("benchmarks", "docs", "examples", "hardware_specs", "tests", "toolchain")
    wanted = {name for folder in (*folders, "validation") for name in files_of(ROOT / folder)}
    wanted |= {path.name for path in ROOT.glob("*.md")}
    wanted |= {"CITATION.cff", "LICENSE", "Makefile", "constraints.txt", "pyproject.toml"}
    wanted |= {".ci/run", ".gitignore"}
    assert not wanted - sdist


def test_the_source_tree_is_found_from_anywhere(tmp_path):
    name, number, folder = run(ASK, tmp_path, ROOT)
    assert (name, number) == ("xylo_a2", "9")
    assert Path(folder) == ROOT / "hardware_specs"


def test_an_editable_install_is_a_path_to_the_source_tree(source, tmp_path):
    site = unpacked(built(source, tmp_path, "editable"), tmp_path / "site")
    (link,) = site.glob("*.pth")
    assert link.read_text(encoding="utf-8").split() == [str(source)]
    assert not (site / "toolchain").exists()
    # before the project that may be installed here
    name, number, folder = run(ASK, tmp_path, link.read_text(encoding="utf-8").strip())
    assert (name, number) == ("xylo_a2", "9")
    assert Path(folder) == source / "hardware_specs"


def test_reading_the_package_does_not_load_the_slow_libraries(tmp_path):
    slow = ("pint", "ruamel.yaml", "torch", "numba")
    code = f"import sys, toolchain.hardware; print([m for m in {slow} if m in sys.modules])"
    assert run(code, tmp_path, ROOT) == ["[]"]
