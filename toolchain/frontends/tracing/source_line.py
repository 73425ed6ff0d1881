"""Line of the user's code that runs at the moment, for messages."""

from __future__ import annotations

import linecache
import sys
from types import FrameType

from toolchain.frontends.frameworks.kinds import framework_names

__all__ = ["source_line"]

_RECORDER = f"{__package__}.record"


def source_line() -> str:
    """Return ``file:line (text)`` of the innermost frame of the user inside the recorded run.

    Frames of torch, of this package and of the frameworks count as the user's call of them; inside
    a model that a framework itself defines, its own line is returned. Empty where there is none.
    """
    frame: FrameType | None = sys._getframe(2)
    inside = None
    while frame is not None and not _is_entry(frame):
        package = _package(frame)
        if package not in ("torch", "toolchain") and not frame.f_code.co_filename.startswith(
            "<froz"
        ):
            if package not in framework_names():
                return _describe(frame)
            inside = inside or frame
        frame = frame.f_back
    return _describe(inside) if inside is not None else ""


def _is_entry(frame: FrameType) -> bool:
    """Return True for the call that started the recorded run."""
    return frame.f_code.co_name == "record" and _name(frame) == _RECORDER


def _name(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _package(frame: FrameType) -> str:
    return _name(frame).split(".", maxsplit=1)[0]


def _describe(frame: FrameType) -> str:
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line).strip()
    return f"{file}:{line}" + (f" ({text})" if text else "")
