"""Programs to and from the files that the vendor's library writes for Xylo Audio 2.

``config.to_json()`` of the vendor's library gives such a file and ``from_json()`` takes it; neither
is needed here. A file holds more than a program, switches of the chip and of its debug bus: these
are ``Settings``, so that a genuine file read and written again is the same, byte for byte. It holds
less, too: no ``dt``, no names of layers. The layout is known for Audio 2 only, from one file;
see ``vendor_document`` for what that file does not show.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from toolchain.atomic import write_file
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.emit.tree import require_room
from toolchain.chips.xylo.emit.vendor_document import (
    MOST_CHARACTERS,
    ConfigDocument,
    read_document,
    refuse,
    write_document,
)
from toolchain.chips.xylo.emit.vendor_program import (
    MONITORS,
    program_faults,
    program_of,
    tree_of,
)
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import ArtifactError

__all__ = ["Settings", "VendorConfig", "dumps", "loads", "parse", "read_config", "write_config"]

Settings: TypeAlias = Mapping[str, Any]
"""What a file holds besides the program, by the way to its key: ``{"operationMode": 0,
"debug.ramPowerEnable": True}``. The numbers of the operation modes are the vendor's; the genuine
file has 0.
"""

AUDIO_2 = "xylo_a2"
MODULE = "samna.xyloCore2"

DEFAULTS: Settings = {
    "operationMode": 0,
    "directFetchStateRam": False,
    "enableHibernationMode": False,
    "clearNetworkState": False,
    "timeResolutionWrap": 0,
    "hibernationModeTimeResolutionWrap": 0,
    "debug.keepInterrupt": False,
    "debug.alwaysUpdateOmpStat": False,
    "debug.enableRstPadPull": True,
    "debug.rstPadPullSelect": False,
    "debug.ramWakeUpSettleTime": 0,
    "debug.ramPowerEnable": True,
    "debug.monitors.value0": 0,
    "debug.monitors.value1": 0,
    "debug.monitors.value2": 0,
    "debug.monitors.value3": 0,
    "debug.isynClockEnable": True,
    "debug.raClockEnable": True,
    "debug.hmClockEnable": True,
    "debug.inputWriteSelect": 0,
    "debug.inputReadSelect": 0,
    "debug.inputSelectEnable": False,
    "debug.ramManualSleepControl": 0,
    "debug.ramAutoSleepControl": 0,
    "debug.ramLightSleep": False,
    "debug.ramDeepSleep": False,
    "debug.debugStatusUpdateEnable": False,
    "debug.monitorDebugEnable": False,
    "debug.peInternalSelect": 3,
    "debug.peFsmSelect": 7,
    "debug.peEngineSelect": 7,
    "debug.peAccessRamFsmSelect": 31,
    "debug.memShellRamArbiterSelect": 31,
    "debug.readTimingSelect": 1,
    "debug.writeTimingSelect": 1,
}
"""As in the genuine file, which has the vendor's own in everything but the network."""


class VendorConfig(NamedTuple):
    """A file's content."""

    program: XyloProgram
    settings: Settings


def read_config(path: str | os.PathLike[str]) -> VendorConfig:
    """The program and the settings in a file.

    Raises:
        ArtifactError: no file, too large, or no configuration of Xylo Audio 2; lists the faults.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path}: is no file")
    try:
        with path.open("rb") as file:
            data = file.read(MOST_CHARACTERS + 1)
        return parse(data.decode("utf-8"))
    except OSError as fault:
        raise ArtifactError(f"{path}: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise ArtifactError(f"{path}: is not UTF-8 text") from None
    except ArtifactError as fault:
        raise ArtifactError(f"{path}: {fault}") from None


def write_config(
    program: XyloProgram,
    path: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    chip: XyloChip | None = None,
) -> Path:
    """Write ``dumps(...)`` to ``path`` and return it; a file that is there is replaced.

    The file is written beside its place and renamed into it: no one sees half of it.

    Raises: as :func:`dumps`, and OSError.
    """
    return write_file(Path(path), dumps(program, chip, settings).encode())


def loads(text: str) -> XyloProgram:
    """The program in a file's text, with all hidden neurons as one population and without dt.

    Raises:
        ArtifactError: no configuration of Xylo Audio 2; lists faults with the way to their key.
    """
    return parse(text).program


def parse(text: str) -> VendorConfig:
    """The program and the settings in a file's text.

    Raises: as :func:`loads`.
    """
    document = read_document(text)
    chip = load_chip(AUDIO_2)
    assert isinstance(chip, XyloChip)
    if faults := list(program_faults(document, chip)):
        refuse(faults)
    program, settings = program_of(document, chip), _settings(document)
    if faults := list(_switched_off(program, settings)):
        refuse(faults)
    return VendorConfig(program, settings)


def dumps(
    program: XyloProgram, chip: XyloChip | None = None, settings: Settings | None = None
) -> str:
    """The text of the vendor's file for ``program``.

    Args:
        program: what is loaded. Its dt and the names of its layers have no place in the file.
        chip: its chip; None looks it up by ``program.chip``.
        settings: what is to differ from ``DEFAULTS`` and from the stages that the program needs,
            perhaps those of a file that was read.

    Raises:
        DeployError: the file has no room for the program; holds every finding.
        ValueError: a chip whose files have another layout, which is not known.
        ArtifactError: settings that are unknown, wrong, or switch off what the program needs.
    """
    found = load_chip(program.chip) if chip is None else chip
    if not isinstance(found, XyloChip) or found.vendor_module != MODULE:
        raise ValueError(f"the layout of {found.name}'s files is not known, only {AUDIO_2}'s is")
    require_room(program, found)
    merged = {**DEFAULTS, **_stages(program), **(settings or {})}
    if unknown := sorted(merged.keys() - DEFAULTS.keys() - _stages(program).keys(), key=str):
        refuse([f"{name}: is not a setting" for name in unknown])
    tree = tree_of(program)
    for name, value in merged.items():
        *parents, key = name.split(".")
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[key] = value
    text = write_document(tree)
    if faults := list(_switched_off(program, merged)):
        refuse(faults)
    return text


# ---- settings ----


def _stages(program: XyloProgram) -> dict[str, Any]:
    """What runs because the program needs it."""
    return {
        "biasEnable": program.has_bias,
        "reservoir.aliasing": any(program.aliases),
        "debug.isyn2ClockEnable": program.synapses > 1,
        "debug.biasClockEnable": program.has_bias,
    }


def _switched_off(program: XyloProgram, settings: Settings) -> Iterator[str]:
    """Settings without which the chip would compute something else."""
    needed = {
        "biasEnable": program.has_bias,
        "debug.biasClockEnable": program.has_bias,
        "reservoir.aliasing": any(program.aliases),
        "debug.raClockEnable": any(program.aliases),
        "debug.isynClockEnable": True,
        "debug.isyn2ClockEnable": program.synapses > 1,
        "debug.hmClockEnable": settings["enableHibernationMode"],
        "debug.ramPowerEnable": True,
    }
    for name, need in needed.items():
        if need and not settings[name]:
            yield f"{name}: is false, the network needs it"


def _settings(document: ConfigDocument) -> dict[str, Any]:
    """Every leaf of the file that is no part of the program."""
    tree = document.model_dump(by_alias=True, exclude={"input", "readout", "synapse2_enable"})
    tree["reservoir"] = {"aliasing": document.reservoir.aliasing}
    for name in MONITORS:
        del tree["debug"][name]
    return dict(_leaves(tree, ""))


def _leaves(tree: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
