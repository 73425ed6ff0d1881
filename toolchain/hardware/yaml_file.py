"""Reader of YAML 1.2 files as plain data with the line of each field, safe for untrusted files.

Refused: large or deep files, text that is not UTF-8, duplicate keys, anchors and aliases (they
multiply), tags (they construct), keys that are not text, and numbers in other than plain decimal
notation.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.diagnostics import ChipFileError
from toolchain.report import visible

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

__all__ = ["Location", "YamlDocument", "read_yaml"]

Location = tuple[str | int, ...]
"""Path to a field: keys, and positions in lists."""

_MAX_BYTES = 1_000_000
_MAX_DEPTH = 20


@dataclass(slots=True, kw_only=True)
class YamlDocument:
    """Content of a YAML file.

    Attributes:
        data: mappings as dict, lists as tuple, scalars as str, int, float, bool or None.
        lines: location of each field to its line, counted from 1.
        faults: (line, text) of fields that could not be read; of duplicate keys the first is used.
        unread: location of each field that is None in ``data`` because of a fault.
    """

    data: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)
    unread: set[Location] = field(default_factory=set)

    def line(self, location: Location) -> int:
        """Return the line of a field, or of the innermost existing field around it."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def read_yaml(path: Path) -> YamlDocument:
    """Return the file's content.

    Raises:
        ChipFileError: the file cannot be read, or is not YAML.
    """
    document = YamlDocument()
    document.data = _plain(_compose(_text(path), path), (), document)
    return document


def _shown(path: Path) -> str:
    return visible(str(path), one_line=True)


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():  # opening a pipe waits for its writer
        raise ChipFileError(f"{_shown(path)}: cannot be read: is not a file")
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ChipFileError(f"{_shown(path)}: cannot be read: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise ChipFileError(f"{_shown(path)}: is larger than {_MAX_BYTES} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ChipFileError(f"{_shown(path)}: line {line}: is not UTF-8 text") from error


def _compose(text: str, path: Path) -> Node | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError

    parser = YAML(typ="safe", pure=True)
    parser.max_depth = _MAX_DEPTH
    try:
        # leaving the block resets which warnings Python has shown: enter it only if needed
        with warnings.catch_warnings() if "&" in text else nullcontext():
            if "&" in text:  # every anchor is a fault anyway
                warnings.simplefilter("ignore", ReusedAnchorWarning)
            return parser.compose(text)  # type: ignore[no-any-return]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise ChipFileError(f"{_shown(path)}: {line}{error.problem or error.note}") from error
    except YAMLError as error:
        raise ChipFileError(f"{_shown(path)}: is not YAML: {error}") from error


def _plain(node: Node | None, at: Location, document: YamlDocument) -> Any:
    """Return the data of a node; its faults are added to ``document.faults``."""
    if node is None:
        return None
    line = node.start_mark.line + 1
    document.lines.setdefault(at, line)
    if node.anchor:
        document.faults.append((line, "anchors and aliases are not allowed; repeat the value"))
        document.unread.add(at)
        return None  # not followed: nested aliases expand exponentially
    kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
    if kind == "map":
        return _mapping(node, at, document)
    if kind == "seq":
        return tuple(_plain(item, (*at, i), document) for i, item in enumerate(node.value))
    try:
        return _scalar(kind, node)
    except ValueError as error:
        document.faults.append((line, str(error)))
        document.unread.add(at)
        return None


def _mapping(node: Node, at: Location, document: YamlDocument) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line, key = key_node.start_mark.line + 1, key_node.value
        if str(key_node.tag) != "tag:yaml.org,2002:str" or key_node.anchor:
            document.faults.append((line, "a key must be plain text"))
        elif key in data:
            first = document.lines[(*at, key)]
            document.faults.append((line, f"duplicate key {key!r}, first on line {first}"))
        else:
            document.lines[(*at, key)] = line
            data[key] = _plain(value_node, (*at, key), document)
    return data


def _scalar(kind: str, node: Node) -> Any:
    match kind:
        case "str":
            return node.value
        case "null":
            return None
        case "bool":
            return node.value.lower() == "true"
        case "int" | "float" if not set(node.value) - set("+-.0123456789eE"):
            return int(node.value) if kind == "int" else float(node.value)
        case "int" | "float":
            raise ValueError(f"{node.value} is not a plain decimal number")
    raise ValueError(f"tag {node.tag} is not allowed")
