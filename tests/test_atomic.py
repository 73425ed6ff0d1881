"""Files and folders are written whole or not at all, by one writer, with the process's modes."""

import errno
import os
import stat
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

import toolchain
from tests.file_calls import Killed, count, each_call, error_of, failing, failing_at, killed_at
from tests.oracles.artifacts import DATA, dense
from toolchain import Deployment, load_chip
from toolchain.atomic import exchange, read_folder, write_file, write_folder
from toolchain.atomic.left_over import lock
from toolchain.atomic.names import temporary_path
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
    (folder / "x").chmod(0o640)
    replacement = {"x": b"2", "y": b"2"}
    assert mode(write_folder(folder, replacement, lambda _: ["x"])) == 0o700
    assert mode(folder / "x") == 0o640
    assert path.read_bytes() == b"2"
    assert sorted(each.name for each in folder.iterdir()) == ["x", "y"]


OLD = {"index": b"a b/c", "a": b"1", "b/c": b"2"}
NEW = {"index": b"a d", "a": b"3", "d": b"4"}
READ_ONLY = {"stat", "lstat", "fstat", "scandir", "close", "flock"}


@pytest.fixture(params=["exchange", "two renames"])
def protocol(request, monkeypatch):
    """Replacement of a folder with the exchange of names, and on systems that have none."""
    if request.param == "two renames":
        monkeypatch.setattr(exchange, "renameat2", lambda: None)
    elif exchange.renameat2() is None:
        pytest.skip("this system cannot exchange names")


def listed(index):
    return index.decode().split()


def read(folder):
    return read_folder(folder, "index", listed, most_bytes=99)


def owned(folder):
    index = read_folder(folder, "index", lambda _: (), most_bytes=99)["index"]
    return ["index", *listed(index)]


def write(folder, files):
    return write_folder(folder, files, owned)


def beside(folder):
    return sorted(path.name for path in folder.parent.iterdir())


def changes(folder):
    """The numbers of the calls with which a replacement changes the disk."""
    write(folder, OLD)
    names = count(lambda: write(folder, NEW))
    return [number for number, name in enumerate(names) if name not in READ_ONLY]


@pytest.mark.usefixtures("protocol")
def test_killed_before_any_call_it_leaves_the_old_folder_or_the_new_one(tmp_path):
    folder = tmp_path / "folder"
    numbers = changes(folder)
    assert len(numbers) > 15
    found = []
    for number in numbers:
        write(folder, OLD)
        with each_call(killed_at(number)), pytest.raises(Killed):
            write(folder, NEW)
        found.append(read(folder))
        # what was left is removed by the next writer
        write(folder, OLD)
        assert beside(folder) == ["folder"]
    switch = found.index(NEW)
    assert found == [OLD] * switch + [NEW] * (len(found) - switch)


@pytest.mark.usefixtures("protocol")
def test_a_call_that_fails_leaves_the_old_folder_and_nothing_else(tmp_path):
    folder = tmp_path / "folder"
    for number in changes(folder):
        write(folder, OLD)
        with each_call(failing_at(number)):
            fault = error_of(lambda: write(folder, NEW))
        if fault is None:  # the replaced folder could not be removed
            assert read(folder) == NEW
        else:
            assert fault.errno == errno.ENOSPC
            assert read(folder) == OLD
            assert beside(folder) == ["folder"]


@pytest.mark.parametrize("fails", ["fsync", "replace", "write"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, fails):
    path = write_file(tmp_path / "a", b"1")
    if fails == "write":
        with file_size_limit(1000), pytest.raises(OSError, match="File too large"):
            write_file(path, bytes(5000))
    else:
        number = count(lambda: write_file(path, b"1")).index(fails)
        with each_call(failing_at(number)), pytest.raises(OSError, match="No space left"):
            write_file(path, b"2")
    assert path.read_bytes() == b"1"
    assert beside(path) == ["a"]


@contextmanager
def file_size_limit(size):
    """Let the system refuse to write files larger than ``size`` bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_leaves_no_folder_and_no_parents(tmp_path):
    with file_size_limit(1000), pytest.raises(OSError, match="File too large"):
        write_folder(tmp_path / "a" / "b" / "folder", {"x": bytes(5000)})
    assert not [*tmp_path.iterdir()]


@pytest.mark.usefixtures("protocol")
def test_files_that_others_add_while_a_folder_is_replaced_stay_in_it(tmp_path):
    folder = tmp_path / "folder"
    write(folder, OLD)
    write(folder, NEW)
    names = count(lambda: write(folder, NEW))
    # after the last look at the target
    number = names.index("renameat2" if "renameat2" in names else "rename")
    calls = []

    def add(name):
        calls.append(name)
        if len(calls) == number + 1:
            (folder / "notes").write_text("years of work")

    with each_call(add), pytest.raises(FileExistsError, match="contains 'notes'"):
        write(folder, {**NEW, "a": b"9"})
    assert (folder / "notes").read_text() == "years of work"
    assert read(folder) == NEW
    assert beside(folder) == ["folder"]


def test_a_temporary_folder_is_removed_only_if_it_is_ours_and_no_writer_is_at_it(tmp_path):
    folder = write(tmp_path / "folder", OLD)
    ours, used, notes = (temporary_path(folder) for _ in range(3))
    others = [tmp_path / ".folder.tmp.0123456789abcdef01234567", tmp_path / ".folder.backup"]
    for path in (ours, used, notes, *others):
        write(path, OLD)
    (notes / "notes").write_text("years of work")
    descriptor = lock(used)
    write(folder, NEW)
    assert beside(folder) == sorted(path.name for path in (folder, used, notes, *others))
    os.close(descriptor)
    write(folder, NEW)
    assert not used.exists()
    assert (notes / "notes").exists()


def test_a_folder_that_is_replaced_all_the_time_is_read_whole(tmp_path):
    folder = write(tmp_path / "folder", OLD)
    done = threading.Event()

    def replace():
        while not done.is_set():
            for files in (NEW, OLD):
                write(folder, files)

    writers = [threading.Thread(target=replace) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        found = [read(folder) for _ in range(100)]
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert all(files in (OLD, NEW) for files in found)
    assert beside(folder) == ["folder"]


def test_a_folder_that_was_left_between_two_renames_is_read_where_nothing_can_be_renamed(tmp_path):
    folder = write(tmp_path / "folder", OLD)
    folder.rename(temporary_path(folder, "old"))
    with each_call(failing("rename", errno.EROFS)):
        assert read(folder) == OLD
    assert beside(folder) != ["folder"]
    assert read(folder) == OLD
    assert beside(folder) == ["folder"]


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "b//c", "", "a\0", "\ud800", ".."])
def test_names_that_lead_out_of_a_folder_are_not_read(tmp_path, name):
    folder = write(tmp_path / "folder", OLD)
    with pytest.raises(OSError, match="is not the name of a file inside the folder"):
        read_folder(folder, "index", lambda _: [name], most_bytes=99)


def test_no_more_bytes_are_read_than_allowed(tmp_path):
    folder = write(tmp_path / "folder", OLD)
    assert read_folder(folder, "index", listed, most_bytes=7) == OLD
    with pytest.raises(OSError, match="makes the files larger than 6 bytes together"):
        read_folder(folder, "index", listed, most_bytes=6)


def test_the_working_directory_is_still_there_after_it_was_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        write(Path(), OLD)
        assert sorted(os.listdir()) == ["a", "b", "index"]  # noqa: PTH208


def test_a_name_of_the_greatest_length_is_written(tmp_path):
    folder = tmp_path / ("n" * 255)
    for files in (OLD, NEW):
        assert read(write(folder, files)) == files
    assert beside(folder) == [folder.name]


def test_a_temporary_file_that_a_killed_writer_left_is_removed_after_a_day(tmp_path):
    path = tmp_path / "a"
    left, fresh = temporary_path(path), temporary_path(path)
    for each in (left, fresh, tmp_path / ".a.tmp.0123456789abcdef01234567"):
        each.write_bytes(b"")
        os.utime(each, (0, 0))
    os.utime(fresh)
    write_file(path, b"1")
    assert beside(path) == sorted([".a.tmp.0123456789abcdef01234567", "a", fresh.name])


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
            lambda path, text: write_folder(path, {"f": text}, lambda _: ["f"]),
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
