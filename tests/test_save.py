"""Saving writes where nothing can be lost, and says why where it does not write."""

import errno
import json
import os
from pathlib import Path

import pytest

from tests.file_calls import each_call, failing
from tests.oracles.artifacts import DATA
from toolchain import Deployment, load
from toolchain.archive import Archive, archive_path, write_archive
from toolchain.atomic.names import temporary_path
from toolchain.diagnostics import ArtifactError

pytestmark = pytest.mark.usefixtures("no_rubbish")
REFUSED = "is not replaced, nothing was written: "


FILES = {"config.json": b"{}", "program.safetensors": b"1"}


def save(folder):
    """Write a small archive, as ``Deployment.save`` does with its files."""
    return write_archive(folder, FILES, {"made_with": {}})


@pytest.fixture
def no_rubbish(tmp_path):
    yield
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


@pytest.fixture
def saved(tmp_path):
    return save(tmp_path / "net")


def files(folder):
    """The content of every file below a folder; None for other entries."""
    return {
        path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))
    }


def test_a_deployment_is_saved_in_the_place_of_an_older_one(tmp_path):
    deployment = Deployment.load(DATA / "xylo_a2-channel")
    saved = deployment.save(tmp_path / "net")
    before = files(saved)
    assert deployment.save(saved) == saved
    assert files(saved) == before
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    for read in (Deployment.load, load):
        # as by a process that was killed between two renames
        saved.rename(temporary_path(saved, "old"))
        assert read(saved)
        assert saved.is_dir()
    for given in (None, ""):
        with pytest.raises(ArtifactError, match="need the path of a folder"):
            deployment.save(given)


MANIFESTS = {
    '{"name": "an extension", "manifest_version": 3}': "manifest.json is not one of a saved",
    "[]": "manifest.json is not a JSON object",
    "{": "manifest.json Expecting",
    "": "manifest.json Expecting",
    '{"format": "snn-deployment/2"}': "manifest.json is not one of a saved deployment",
    '{"format": "snn-deployment/x", "sha256": {}}': "manifest.json is not one of a saved",
    '{"format": "another/2", "sha256": {}}': "manifest.json is not one of a saved deployment",
    '{"format": ["snn-deployment/2"], "sha256": {}}': "manifest.json is not one of a saved",
    '{"format": "snn-deployment/2", "sha256": {}}': "contains 'thesis.txt'",
    '{"format": "snn-deployment/2", "sha256": {"../thesis.txt": ""}}': "contains 'thesis.txt'",
}


@pytest.mark.parametrize("manifest", [*MANIFESTS, None])
def test_a_folder_of_others_is_left_alone(tmp_path, manifest):
    (tmp_path / "thesis.txt").write_text("years of work")
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    before = files(tmp_path)
    reason = (
        "is no saved deployment, it has no manifest.json"
        if manifest is None
        else MANIFESTS[manifest]
    )
    with pytest.raises(ArtifactError, match=REFUSED + reason):
        save(tmp_path)
    assert files(tmp_path) == before


def put(kind, path):
    """Write something of somebody else at ``path``."""
    if path.exists():
        path.unlink()
    path.parent.mkdir(exist_ok=True)
    {
        "file": lambda: path.write_text("years of work"),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to("elsewhere"),
        "pipe": lambda: os.mkfifo(path),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "name", "shown"),
    [
        ("file", "notes.txt", "notes.txt"),
        ("file", "of\x1b[2J", r"of\\x1b\[2J"),
        ("file", "mine/notes.txt", "mine"),
        ("folder", "mine", "mine"),
        ("folder", "config.json", "config.json"),
        ("link", "config.json", "config.json"),
        ("link", "latest", "latest"),
        ("pipe", "config.json", "config.json"),
    ],
)
def test_an_artifact_with_something_of_others_in_it_is_left_alone(saved, kind, name, shown):
    put(kind, saved / name)
    before = files(saved)
    with pytest.raises(ArtifactError, match=f"{REFUSED}contains '{shown}'") as caught:
        save(saved)
    assert "\x1b" not in str(caught.value)
    assert files(saved) == before


def test_an_artifact_of_a_newer_release_is_left_alone(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest |= {"format": "snn-deployment/10", "made_with": {"snn-toolchain": "4.1\x1b[2J"}}
    (saved / "manifest.json").write_text(json.dumps(manifest))
    before = files(saved)
    message = (
        r"format snn-deployment/10, written by snn-toolchain 4.1\\x1b\[2J; this release writes"
    )
    with pytest.raises(ArtifactError, match=message):
        save(saved)
    assert files(saved) == before


def test_an_artifact_of_an_older_release_is_replaced(saved):
    before = files(saved)
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps({**manifest, "format": "snn-deployment/1"}))
    save(saved)
    assert files(saved) == before


def test_an_archive_with_folders_of_its_own_is_replaced(tmp_path):
    for text in (b"old", b"new"):
        write_archive(tmp_path / "saved", {"a/b/c.mem": text, "a/d": b""}, {})
    assert Archive(tmp_path / "saved").read("a/b/c.mem") == b"new"


def test_a_large_folder_of_others_is_refused_without_a_look_at_all_of_it(saved):
    for folder in (Path("/"), saved):
        (saved / "mine" / "more").mkdir(parents=True, exist_ok=True)
        listed = []
        with each_call(listed.append), pytest.raises(ArtifactError, match=REFUSED):
            save(folder)
        assert listed.count("scandir") <= 2


class InHome:
    """A path as other libraries define their own."""

    def __fspath__(self):
        return "~/net"


@pytest.mark.parametrize(
    "given",
    ["net", "./net/", "sub/../net", "~/net", InHome(), Path("net"), "latest", "dangling", "."],
    ids=lambda given: str(given) if isinstance(given, str) else type(given).__name__,
)
def test_every_way_to_give_a_folder_is_taken(tmp_path, monkeypatch, given):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "net"
    if given == ".":
        folder.mkdir()
    if given == "latest":
        folder.mkdir()
        (tmp_path / "latest").symlink_to("net")
    if given == "dangling":
        (tmp_path / "dangling").symlink_to("net")
    monkeypatch.chdir(folder if given == "." else tmp_path)
    for _ in range(2):
        path = save(given)
        assert path.is_absolute()
        assert path.samefile(folder)
        assert Path().samefile(folder if given == "." else tmp_path)
        assert (folder / "manifest.json").is_file()
        assert all(link.is_symlink() for link in tmp_path.iterdir() if link != folder)
    assert Archive(archive_path(given)).names == {*FILES}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "need the path of a folder, as str or os.PathLike, got None"),
        (3, "got 3"),
        (b"net", "got b'net'"),
        ("", "got ''"),
        ("a\0b", r"a\\x00b: a path cannot contain a zero character"),
        ("\ud800", r"\\ud800: the file system cannot encode this name"),
        ("~no-such-user/net", "this user has no home folder; give an absolute path"),
        ("n" * 300, "File name too long; choose another folder"),
        ("file", "file: cannot be written: is a file, need a folder; choose another folder"),
        ("file/net", "Not a directory; choose another folder"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_what_is_no_folder_is_refused_by_name(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("years of work")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ArtifactError, match=message):
        save(given)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "loop"}
    assert (tmp_path / "file").read_text() == "years of work"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "No space left on device; free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EIO, "Input/output error; choose another folder"),
        (errno.EROFS, "Read-only file system; choose a folder that you may write"),
        (errno.EACCES, "Permission denied; choose a folder that you may write"),
    ],
)
@pytest.mark.parametrize("call", ["mkdir", "fsync"])
def test_an_error_of_the_system_names_the_folder_and_the_reason(
    saved, tmp_path, call, code, message
):
    before = files(tmp_path)
    for folder in (saved, tmp_path / "sub" / "new"):
        with (
            each_call(failing(call, code)),
            pytest.raises(ArtifactError, match=f"{folder}: cannot be written: .*{message}"),
        ):
            save(folder)
    assert files(tmp_path) == before


def test_what_load_would_not_read_is_not_written(tmp_path):
    with pytest.raises(ArtifactError, match=r"needs 671.* bytes, an archive has at most 67108864"):
        write_archive(tmp_path / "net", {"x": bytes(2**26)}, {})
    assert not [*tmp_path.iterdir()]
