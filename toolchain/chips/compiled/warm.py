"""Compilation in advance: at installation, or while an image is built that is read-only later."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from toolchain.chips.load import families
from toolchain.report import Column, Described, Sheet, Table, Text

__all__ = ["CompiledCode", "CompiledFunction", "warm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledFunction:
    """Machine code of one function.

    Attributes:
        title: name of the function.
        signatures: number of its versions, one for each combination of types.
        compiled: number of those that had to be compiled; the others were read from files.
        seconds: wall time for both, s.
        folder: folder of its files; None if one of them could not be written.
    """

    title: str
    signatures: int
    compiled: int
    seconds: float
    folder: Path | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CompiledCode(Described):
    """Result of ``warm``: the machine code of all families.

    Attributes:
        functions: in the order of their definition.
        seconds: wall time of the call, s.
    """

    functions: tuple[CompiledFunction, ...]
    seconds: float

    @property
    def compiled(self) -> int:
        """Number of functions and types that had to be compiled."""
        return sum(function.compiled for function in self.functions)

    @property
    def kept(self) -> bool:
        """True if every process finds the machine code in files from now on."""
        return all(function.folder is not None for function in self.functions)

    def __repr__(self) -> str:
        """Return the numbers on one line."""
        return (
            f"CompiledCode({len(self.functions)} functions, {self.compiled} compiled, "
            f"kept={self.kept})"
        )

    def sheet(self) -> Sheet:
        """Return the description of the result, as plain data."""
        columns = (
            Column("function"),
            Column("versions", "right"),
            Column("compiled", "right"),
            Column("s", "right"),
        )
        rows = tuple(
            (f.title, str(f.signatures), str(f.compiled), f"{f.seconds:.2f}")
            for f in self.functions
        )
        return Sheet(
            (Table(columns=columns, rows=rows), Text((self._place(),))),
            title=f"machine code of the simulators and quantizers, {self.seconds:.1f} s",
        )

    def _place(self) -> str:
        if not self.kept:
            return (
                "not kept: no folder for the machine code can be written, so that each process "
                "compiles again; set NUMBA_CACHE_DIR to a folder that can be written"
            )
        folders = sorted({str(f.folder) for f in self.functions})
        return f"kept in {', '.join(folders)}"


def warm() -> CompiledCode:
    """Compile all that the simulators and quantizers of every installed family need.

    Without it each part is compiled by the first call that needs it, once on a machine for each
    version of the toolchain and of numba. Call it where waiting is expected, for instance while an
    image is built: the machine code is kept beside the installed package if that can be written,
    else in the user's cache folder, and found there even if the folder is read-only later.
    ``NUMBA_CACHE_DIR`` names another folder, for this call and for later ones.

    Returns:
        What was compiled, where it is kept, and how long it took; ``print`` shows it.

    >>> import toolchain
    >>> code = toolchain.warm()
    >>> all(function.signatures > 0 for function in code.functions)
    True
    """
    start = time.perf_counter()
    for family in families():
        family.warm()
    # late: a process without compiled families has not imported numba
    from toolchain.chips.compiled.code_files import FUNCTIONS

    functions = tuple(
        CompiledFunction(
            title=files.title,
            signatures=len(files.uses),
            compiled=sum(use.compiled for use in files.uses.values()),
            seconds=sum(use.seconds for use in files.uses.values()),
            folder=_folder([use.folder for use in files.uses.values()]),
        )
        for files in FUNCTIONS
        if files.uses
    )
    return CompiledCode(functions=functions, seconds=time.perf_counter() - start)


def _folder(folders: list[Path | None]) -> Path | None:
    return None if None in folders else folders[0]
