"""Programs to and from the files that the vendor's library writes for Xylo Audio 2.

``config.to_json()`` of the vendor's library writes such a file and ``from_json()`` reads it;
neither is needed here. A file contains more than a program, switches of the chip and of its debug
bus: these are ``Settings``, so that a genuine file read and written again is the same, byte for
byte. It contains less, too: no ``dt``, no names of layers. The layout is known for Audio 2 only,
from one file; ``vendor_document`` lists the forms that this file does not show.
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
    read_tree,
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

__all__ = [
    "AUDIO_2",
    "DEFAULTS",
    "Settings",
    "VendorConfig",
    "dumps",
    "loads",
    "parse",
    "parse_tree",
    "read_config",
    "write_config",
]

Settings: TypeAlias = Mapping[str, Any]
"""Values of a file that are not part of the program, by the path of their key:
``{"operationMode": 0, "debug.ramPowerEnable": True}``. The numbers of the operation modes are the
vendor's; the genuine file has 0.
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
"""Values of the genuine file: the vendor's defaults, except for the network."""


class VendorConfig(NamedTuple):
    """Program and settings of a file."""

    program: XyloProgram
    settings: Settings


def read_config(path: str | os.PathLike[str]) -> VendorConfig:
    """Return the program and the settings in a file.

    Raises:
        ArtifactError: no file, too large, or not a configuration of Xylo Audio 2; lists the faults.

    >>> from toolchain.chips.xylo import XyloProgram, read_config, write_config
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> path = write_config(program, "config.json", {"operationMode": 1})
    >>> again, settings = read_config(path)
    >>> again.weights_in.tolist(), settings["operationMode"]
    ([[[100], [100]]], 1)
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path}: is not a file")
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
    """Write ``dumps(...)`` to ``path`` and return it; an existing file is replaced.

    The file is written next to ``path`` and then renamed, so that no program reads half of it.

    Raises: as :func:`dumps`, and OSError.

    >>> from toolchain.chips.xylo import XyloProgram
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, 100]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> path = write_config(program, "config.json")
    >>> path.name, [line.strip() for line in path.read_text().splitlines()[1:4]]
    ('config.json', ['"value0": {', '"operationMode": 0,', '"synapse2Enable": false,'])
    """
    return write_file(Path(path), dumps(program, chip, settings).encode())


def loads(text: str) -> XyloProgram:
    """Return the program in a file's text, with all hidden neurons as one population, without dt.

    Raises:
        ArtifactError: not a configuration of Xylo Audio 2; lists faults with the path of their key.
    """
    return parse(text).program


def parse(text: str) -> VendorConfig:
    """Return the program and the settings in a file's text.

    Raises: as :func:`loads`.
    """
    return _config_of(read_document(text))


def parse_tree(data: Any) -> VendorConfig:
    """Return the program and the settings in the parsed JSON of a file.

    Raises: as :func:`loads`.
    """
    return _config_of(read_tree(data))


def _config_of(document: ConfigDocument) -> VendorConfig:
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
    """Return the text of the vendor's file for ``program``.

    Args:
        program: the program. The file has no field for its dt and the names of its layers.
        chip: its chip; None looks it up by ``program.chip``.
        settings: settings that differ from ``DEFAULTS`` and from the stages that the program needs,
            for example those of a file that was read.

    Raises:
        DeployError: the program does not fit the file; contains every finding.
        ValueError: a chip whose files have another layout, which is unknown, or a program that
            reads states.
        ArtifactError: settings that are unknown, invalid, or switch off a stage that the program
            needs.
    """
    found = load_chip(program.chip) if chip is None else chip
    if not isinstance(found, XyloChip) or found.vendor_module != MODULE:
        raise ValueError(f"the layout of {found.name}'s files is not known, only {AUDIO_2}'s is")
    require_room(program, found)
    if program.readout != "spikes":
        raise ValueError(
            "the form of monitored neurons in this file is not known, so the outputs' states would "
            "not be read; replace(program, readout='spikes') has the same registers"
        )
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
    """Return the stages that the program needs."""
    return {
        "biasEnable": program.has_bias,
        "reservoir.aliasing": any(program.aliases),
        "debug.isyn2ClockEnable": program.synapses > 1,
        "debug.biasClockEnable": program.has_bias,
    }


def _switched_off(program: XyloProgram, settings: Settings) -> Iterator[str]:
    """Yield settings without which the chip would compute another result."""
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
            yield f"{name}: is false, but the network needs it"


def _settings(document: ConfigDocument) -> dict[str, Any]:
    """Return every value of the file that is not part of the program."""
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
