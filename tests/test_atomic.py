"""Files and folders are written whole or not at all, by one writer, with the process's modes."""

import os
import stat
from pathlib import Path

import pytest

import toolchain
from tests.oracles.artifacts import DATA, dense
from toolchain import Deployment, load_chip
from toolchain.atomic import write_file, write_folder
from toolchain.chips.xylo import write_config, write_ram_files
from toolchain.frontends.nir import save
from toolchain.hardware import Overlay, write_overlay

PACKAGE = Path(toolchain.__file__).parent


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def overlay(path):
    price = load_chip("xylo_a2").power.actions["cycle"].energy
    return write_overlay(
        Overlay.model_construct(
            chip="xylo_a2",
            note="",
            constants={"actions.cycle": price.model_copy(update={"source": "mine"})},
            sources={"mine": {"title": "own readings", "url": ""}},
        ),
        path,
    )


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_every_writer_gives_the_modes_of_the_process(tmp_path, umask):
    deployment = Deployment.load(DATA / "xylo_a2-channel")
    folders = [
        deployment.save(tmp_path / "saved"),
        write_ram_files(deployment.program, tmp_path / "ram"),
    ]
    files = [
        overlay(tmp_path / "mine.yaml"),
        save(dense((8, 4)), tmp_path / "net.nir"),
        write_config(deployment.program, tmp_path / "config.json"),
        *(path for folder in folders for path in folder.iterdir() if path.is_file()),
    ]
    assert {path.name: oct(mode(path)) for path in files} == {
        path.name: oct(0o666 & ~umask) for path in files
    }
    assert [mode(folder) for folder in folders] == [0o777 & ~umask] * 2
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_is_replaced_keeps_its_mode(tmp_path):
    path = write_file(tmp_path / "a", b"1")
    path.chmod(0o600)
    folder = write_folder(tmp_path / "b", {"x": b"1"})
    folder.chmod(0o700)
    assert mode(write_file(path, b"2")) == 0o600
    assert mode(write_folder(folder, {"y": b"2"})) == 0o700
    assert path.read_bytes() == b"2"
    assert [each.name for each in folder.iterdir()] == ["y"]


@pytest.mark.parametrize("fails", ["fsync", "replace", "rename"])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, fails):
    path = write_file(tmp_path / "a", b"1")
    folder = write_folder(tmp_path / "b", {"x": b"1"})

    def full(*_arguments):
        raise OSError("no space left")

    if fails == "fsync":
        monkeypatch.setattr("os.fsync", full)
    else:
        monkeypatch.setattr(f"pathlib.Path.{fails}", full)
    if fails != "rename":
        with pytest.raises(OSError, match="no space left"):
            write_file(path, b"2")
    if fails != "replace":
        with pytest.raises(OSError, match="no space left"):
            write_folder(folder, {"x": b"2"})
    monkeypatch.undo()
    assert path.read_bytes() == b"1"
    assert (folder / "x").read_bytes() == b"1"
    assert {each.name for each in tmp_path.iterdir()} == {"a", "b"}


def test_nothing_is_written_where_there_is_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "no" / "a", b"1")
    assert not [*tmp_path.iterdir()]


def test_only_one_module_writes_beside_and_renames():
    signs = ("os.fsync(", "mkstemp(", "mkdtemp(", "os.replace(")
    writers = {
        path.name
        for path in PACKAGE.rglob("*.py")
        if any(sign in path.read_text() for sign in signs)
    }
    assert writers == {"file.py"}


def test_a_link_stays_a_link_and_what_it_leads_to_is_written(tmp_path):
    for kind, write, read in (
        ("file", lambda path, text: write_file(path, text), Path.read_bytes),
        (
            "folder",
            lambda path, text: write_folder(path, {"f": text}),
            lambda p: (p / "f").read_bytes(),
        ),
    ):
        real, link = tmp_path / kind, tmp_path / f"to_{kind}"
        link.symlink_to(real)
        for text in (b"into nothing", b"over the old"):
            write(link, text)
            assert link.is_symlink()
            assert read(real) == text
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder", "to_file", "to_folder"}
