"""Chip files by name: built in, from installed packages, and from the user's own folder.

Built-in files are in ``hardware_specs`` at the top of the source tree; in a wheel they are in
``toolchain/hardware_specs``. The user's folder is named by the environment variable
``SNN_TOOLCHAIN_CHIPS``, else it is ``chips`` in the platform's configuration folder of
snn-toolchain. A file that uses the name, an alias or a vendor id of a built-in chip is skipped with
a warning that names both.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from toolchain.chips import plugins
from toolchain.chips.plugins import warn_skipped
from toolchain.diagnostics import ChipFileError
from toolchain.hardware.yaml_file import YamlDocument, read_yaml

__all__ = [
    "ChipFile",
    "built_in_files",
    "built_in_names",
    "chip_files",
    "document_of",
    "find_chip_file",
    "raw_field",
]

CHIPS = "snn_toolchain.chips"
FOLDER = "SNN_TOOLCHAIN_CHIPS"
"""Environment variable that names the folder of the user's own chip files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipFile:
    """A chip file that ``load_chip`` finds by name, or that is given by its path.

    Attributes:
        name: name of the chip.
        path: path of the file.
        origin: package or folder of the file, as text for messages; empty for built-in files.
        listed: False for a file that is given by its path, whose names need not be unique.
    """

    name: str
    path: Path
    origin: str = ""
    listed: bool = True

    @property
    def title(self) -> str:
        """Name and origin for messages, for instance ``xylo_a2 (built in)``."""
        return f"{self.name} ({self.origin or 'built in'})"


def find_chip_file(name: str) -> ChipFile:
    """Return the file of a chip from its name, alias or vendor id.

    Raises:
        ValueError: unknown chip (the message lists the known ones and suggests the closest).

    >>> find_chip_file("xylo").title
    'xylo_a2 (built in)'
    """
    lower, files = name.lower(), chip_files()
    if lower in files:
        return files[lower]
    if lower in built_in_names():
        return built_in_names()[lower]
    others = _other_names(files)
    if lower in others:
        return others[lower]
    names = [*files, *built_in_names(), *others]
    close = difflib.get_close_matches(lower, names, n=1)
    hint = f", did you mean {close[0]!r}?" if close else "."
    aliases = sorted(
        alias for file in built_in_files().values() for alias in _names(file, "aliases")
    )
    raise ValueError(
        f"unknown chip {name!r}{hint} Known chips: {', '.join(sorted(files))};"
        f" aliases: {', '.join(aliases)}; vendor ids and paths of chip files are accepted too."
    )


def chip_files() -> dict[str, ChipFile]:
    """Return every chip file by name; a file whose name is in use is skipped with a warning.

    Names are compared in lower case.
    """
    files = dict(built_in_files())
    for file in (*_plugin_files(), *_own_files()):
        name = file.name.lower()
        taken = files.get(name) or built_in_names().get(name)
        if taken is None:
            files[name] = file
        else:
            warn_skipped(file.title, f"its name is already used by {taken.title}")
    return files


@cache
def built_in_files() -> Mapping[str, ChipFile]:
    """Return the chip files of the toolchain itself, by name."""
    names = plugins.BUILT_IN[CHIPS]
    return MappingProxyType(
        {name: ChipFile(name=name, path=_folder() / f"{name}.yaml") for name in names}
    )


@cache
def _folder() -> Path:
    package = Path(__file__).parents[1]
    packed = package / "hardware_specs"
    return packed if packed.is_dir() else package.parent / "hardware_specs"


@cache
def _plugin_files() -> tuple[ChipFile, ...]:
    """Return the chip files that installed packages register."""
    found = []
    for name, plugin in plugins.find(CHIPS).items():
        if name in plugins.BUILT_IN[CHIPS]:
            continue
        folder = plugins.folder_of(plugin)
        if folder is None or not (folder / f"{name}.yaml").is_file():
            warn_skipped(f"plug-in {plugin.title}", f"no file {name}.yaml in {plugin.value}")
            continue
        path = folder / f"{name}.yaml"
        found.append(ChipFile(name=name, path=path, origin=f"of {plugin.package}"))
    return tuple(found)


def _own_files() -> Iterator[ChipFile]:
    """Yield the chip files in the user's own folder, read again on every call."""
    folder = _own_folder()
    for path in sorted(folder.glob("*.yaml")) if _is_folder(folder) else ():
        yield ChipFile(name=path.stem, path=path, origin=f"{path.name} in the user's chip folder")


def _own_folder() -> Path:
    if given := os.environ.get(FOLDER):
        return _given_folder(given)
    import platformdirs  # only where no folder is given

    return platformdirs.user_config_path("snn-toolchain", appauthor=False) / "chips"


@cache  # so that one warning is enough
def _given_folder(given: str) -> Path:
    folder = Path(given).expanduser()  # a shell leaves ~ in quotes as it is
    if not _is_folder(folder):
        warn_skipped(f"{FOLDER}={given}", "the folder does not exist")
    return folder


def _is_folder(path: Path) -> bool:
    """Return False for a missing folder, and for one in a folder that may not be read."""
    try:
        return path.is_dir()
    except OSError:
        return False


@cache
def built_in_names() -> Mapping[str, ChipFile]:
    """Return the built-in chip files by alias and vendor id."""
    return MappingProxyType(
        {other: file for file in built_in_files().values() for other in _others(file)}
    )


def _other_names(files: Mapping[str, ChipFile]) -> dict[str, ChipFile]:
    """Return all other chip files by alias and vendor id, without importing their families."""
    found: dict[str, ChipFile] = {}
    for file in files.values():
        if file.name in built_in_files():
            continue
        try:
            others = _others(file)
        except ChipFileError as fault:
            warn_skipped(file.title, fault)
            continue
        for other in others:
            taken = files.get(other) or found.setdefault(other, file)
            if taken is not file:
                warn_skipped(f"{other!r}, a name of {file.title},", f"it is one of {taken.title}")
    return found


def _others(file: ChipFile) -> tuple[str, ...]:
    return (*_names(file, "aliases"), *_names(file, "vendor_ids"))


def _names(file: ChipFile, field: str) -> tuple[str, ...]:
    """Return a list of names from the content of a file, in lower case, without validation."""
    names = raw_field(file, field)
    return tuple(str(name).lower() for name in names) if isinstance(names, list | tuple) else ()


def raw_field(file: ChipFile, field: str) -> Any:
    """Return a field from the content of a file, without validation; None if it is missing.

    Raises:
        ChipFileError: the file cannot be read.
    """
    if not file.origin and field in _heading(file.path):
        return _heading(file.path)[field]
    data = document_of(file).data
    return data.get(field) if isinstance(data, dict) else None


_HEADING = re.compile(r"^(?:(family): (\w+)|(aliases|vendor_ids): \[((?:\w+(?:, )?)*)\])$", re.M)
"""The lines of a chip file that are needed to find it; all of YAML takes 50 ms a file."""


@cache
def _heading(path: Path) -> Mapping[str, str | tuple[str, ...]]:
    """Return those of the fields family, aliases and vendor ids that are on a line of their own."""
    found: dict[str, str | tuple[str, ...]] = {}
    for word, value, names, values in _HEADING.findall(path.read_text(encoding="utf-8")):
        found |= {word: value} if word else {names: tuple(filter(None, values.split(", ")))}
    return MappingProxyType(found)


@cache
def _built_in_document(path: Path) -> YamlDocument:
    """Return the content of a built-in file, read once."""
    return read_yaml(path)


def document_of(file: ChipFile) -> YamlDocument:
    """Return the raw content of a chip file.

    Raises:
        ChipFileError: the file cannot be read.
    """
    return read_yaml(file.path) if file.origin else _built_in_document(file.path)
