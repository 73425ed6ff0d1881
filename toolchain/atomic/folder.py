"""Atomic writing of a folder.

The files are written to a temporary folder beside the target, which then takes its name. A folder
that is replaced is checked again under its new name, and gets its own back if another program has
put a file into it. Modes are those of the replaced folder and files, else the defaults of the
process. A symbolic link to the folder is kept.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from toolchain.atomic.exchange import exchange
from toolchain.atomic.file import flush_folder, write_new
from toolchain.atomic.left_over import Kind, abandoned, entries, lock, parents, remove, unlock
from toolchain.atomic.names import OLD, TEMPORARY, left_over, resolve, restore, temporary_path

__all__ = ["write_folder"]

ATTEMPTS = 1000
"""Attempts to replace a folder that other processes replace at the same time."""
REPLACED = f"was replaced by other processes during each of {ATTEMPTS} attempts"
TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.ENOENT}
"""Errors of a rename if another process has written or removed a name meanwhile."""

Owned = Callable[[Path], Collection[str]]


def write_folder(folder: Path, files: Mapping[str, bytes], owned: Owned | None = None) -> Path:
    """Write a folder with ``files`` atomically, replacing an existing folder.

    Missing parents are created, also those of file names with a slash. If several processes write
    one folder, the last one wins.

    Args:
        folder: the folder to write; missing, empty, or one that may be replaced.
        files: content by file name.
        owned: returns the names of the files in a folder that may be replaced with it, or raises
            an error if the folder may not be replaced. Without it, none may.

    Raises:
        FileExistsError: ``folder`` contains anything but the files that ``owned`` lists; it is
            unchanged.
        OSError: it cannot be written, or not flushed to disk; an existing folder is unchanged.

    >>> folder = write_folder(Path("results"), {"log/a.txt": b"1"})
    >>> (folder / "log" / "a.txt").read_bytes()
    b'1'
    """
    place = resolve(folder)
    target = _Target(place, [*files], owned)
    target.check()
    with _parents(place.parent):
        restore(place)
        target.remove_left_overs()
        with target.temporary() as fresh:
            target.write(fresh, files)
            target.put(fresh)
    return folder


@contextmanager
def _parents(folder: Path) -> Iterator[None]:
    """Create missing folders; they are removed if the block fails."""
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    try:
        for each in reversed(missing):
            with suppress(FileExistsError):
                each.mkdir()
                flush_folder(each.parent)
        yield
    except BaseException:
        for each in missing:
            with suppress(OSError):
                each.rmdir()
        raise


class _Target:
    """Folder to write.

    Attributes:
        place: its path, without links.
        names: names of the files to write.
        owned: as in ``write_folder``.
    """

    def __init__(self, place: Path, names: Collection[str], owned: Owned | None) -> None:
        self.place = place
        self.names = names
        self.owned = owned

    def check(self) -> list[str] | None:
        """Return the files in the folder, None if it is missing; an error if it is not owned."""
        for _ in range(ATTEMPTS):
            before = _identity(self.place)
            if before is None:
                return None
            try:
                return self._files(self.place, self._owned)
            except (OSError, ValueError):
                # another process may have replaced the folder between two checks
                if before == _identity(self.place):
                    raise
        raise OSError(errno.EBUSY, REPLACED, str(self.place))

    def _owned(self, folder: Path) -> Collection[str]:
        if self.owned is None:
            raise FileExistsError(errno.EEXIST, "exists and is not empty", str(folder))
        return self.owned(folder)

    def _written(self, folder: Path) -> Collection[str]:
        """Return the names of files that a temporary folder may contain."""
        names = [*self.names]
        if self.owned is not None:
            with suppress(OSError, ValueError):
                names += self.owned(folder)
        return dict.fromkeys(names)

    def _files(self, folder: Path, owned: Owned) -> list[str]:
        """Return the files in ``folder``, in the order of ``owned``, which has to list them."""
        if next(entries(folder), None) is None:
            return []
        names = owned(folder)
        folders, found = parents(names), set()
        for name, kind in entries(folder):
            if name not in {Kind.FILE: names, Kind.FOLDER: folders}.get(kind, ()):
                text = f"contains {name!r}, which was not written with it"
                raise FileExistsError(errno.EEXIST, text, str(folder))
            found.add(name)
        return [name for name in names if name in found]

    def remove_left_overs(self) -> None:
        """Remove the temporary folders of writers that were killed."""
        found: dict[Path, str] = {}
        with suppress(PermissionError):
            found = left_over(self.place)
        for path, kind in found.items():
            with suppress(OSError, ValueError):
                if kind == TEMPORARY:
                    self._remove_abandoned(path)
                elif os.path.lexists(self.place):
                    # its name would make it the content of the target if that were missing
                    self._remove_abandoned(path.rename(temporary_path(self.place)))

    def _remove_abandoned(self, path: Path) -> None:
        with abandoned(path) as is_abandoned:
            if is_abandoned:
                names = self._files(path, self._written)
                # under a new name, no other writer sees it incomplete
                remove(path.rename(temporary_path(self.place)), names)

    def remove(self, folder: Path) -> None:
        """Remove a temporary folder, unless it contains files of other programs."""
        with suppress(OSError, ValueError):
            remove(folder, self._files(folder, self._written))

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """Create a temporary folder; whatever has its name at the end is removed."""
        path, descriptor = self._created()
        try:
            yield path
        finally:
            try:
                self.remove(path)
            finally:
                unlock(descriptor)

    def _created(self) -> tuple[Path, int]:
        for _ in range(ATTEMPTS):
            path = temporary_path(self.place)
            # private until it has the mode of the folder that it replaces
            path.mkdir(0o700 if os.path.lexists(self.place) else 0o777)
            descriptor = lock(path)
            if descriptor is not None:
                return path, descriptor
            # before the lock, another writer can take it for abandoned
            with suppress(OSError):
                path.rmdir()
        raise OSError(errno.EBUSY, REPLACED, str(self.place))

    def write(self, fresh: Path, files: Mapping[str, bytes]) -> None:
        """Write the files into the temporary folder and flush them to disk."""
        inside = sorted(parents(files))
        for name in inside:
            (fresh / name).mkdir()
        for name, data in files.items():
            write_new(fresh / name, data)
            _keep_mode(self.place / name, fresh / name)
        for name in (*inside, ""):
            flush_folder(fresh / name)
        _keep_mode(self.place, fresh)

    def put(self, fresh: Path) -> None:
        """Give the temporary folder the name of the target, and remove what had it before."""
        identity = _identity(fresh)
        is_working = _is_working(self.place)
        replaced = self._replace(fresh)
        try:
            flush_folder(self.place.parent)
        except OSError:
            if _identity(self.place) == identity:
                self._undo(fresh, replaced)
            raise
        if is_working:  # else the process would work in the folder that was replaced
            with suppress(OSError):
                os.chdir(self.place)
        if replaced is not None:
            self.remove(replaced)

    def _replace(self, fresh: Path) -> Path | None:
        """Return the path that the replaced folder has now; None if there was none."""
        for _ in range(ATTEMPTS):
            names = self.check()
            try:
                if names is not None:
                    return self._swap(fresh, names)
                fresh.rename(self.place)
            except OSError as fault:
                # unless another process has written or removed the target since the check
                if fault.errno not in TAKEN or not os.path.lexists(fresh):
                    raise
                self.remove_left_overs()
            else:
                return None
        raise OSError(errno.EBUSY, REPLACED, str(self.place))

    def _swap(self, fresh: Path, names: Collection[str]) -> Path:
        """Exchange the temporary folder and the target; return the path of the replaced folder.

        Args:
            fresh: the temporary folder.
            names: the files in the target.

        Raises:
            OSError: another program has put a file into the target, or the names cannot be changed;
                the target has its name again, or another process has written it.
        """

        def written(folder: Path) -> Collection[str]:
            return dict.fromkeys([*names, *self._written(folder)])

        if exchange(fresh, self.place):
            try:
                self._files(fresh, written)
            except FileNotFoundError:
                pass  # another writer has removed it already
            except BaseException:
                exchange(fresh, self.place)
                raise
            return fresh
        return self._rename_twice(fresh, written)

    def _rename_twice(self, fresh: Path, written: Owned) -> Path:
        old = temporary_path(self.place, OLD)
        self.place.rename(old)
        try:
            self._files(old, written)
            fresh.rename(self.place)
        except BaseException as fault:
            if not os.path.lexists(self.place):
                with suppress(OSError):
                    old.rename(self.place)
            elif isinstance(fault, FileExistsError) and fault.filename == str(old):
                text = f"was written by another process; files of others in it are now in {old}"
                raise OSError(errno.EBUSY, text, str(self.place)) from None
            raise
        with suppress(OSError):
            old = old.rename(temporary_path(self.place))
        return old

    def _undo(self, fresh: Path, replaced: Path | None) -> None:
        """Give the names back after the target could not be flushed to disk."""
        with suppress(OSError):
            if replaced is None:
                self.place.rename(fresh)
            elif not (replaced == fresh and exchange(fresh, self.place)):
                self.place.rename(fresh)
                replaced.rename(self.place)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return device and number of a folder or file; None if it is missing."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _is_working(folder: Path) -> bool:
    """Return True if it is the working directory of the process."""
    try:
        return folder.samefile(Path())
    except OSError:
        return False


def _keep_mode(old: Path, fresh: Path) -> None:
    """Give ``fresh`` the mode of ``old``, if that is there and of the same type."""
    try:
        before, now = old.lstat(), fresh.lstat()
    except OSError:
        return
    if stat.S_IFMT(before.st_mode) == stat.S_IFMT(now.st_mode) and before.st_mode != now.st_mode:
        fresh.chmod(stat.S_IMODE(before.st_mode))
