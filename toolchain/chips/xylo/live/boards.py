"""The boards of Xylo chips.

Source: Rockpool documentation and released behaviour for the boards' type names and their least
versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.chips.synsense.boards import Board, BoardKind, Boards
from toolchain.chips.synsense.vendor import Classes
from toolchain.chips.xylo.spec import XyloChip

__all__ = ["BOARDS", "XyloKind", "check_versions", "find_boards", "to_samna"]


@dataclass(frozen=True, slots=True, kw_only=True)
class XyloKind(BoardKind):
    """Board type of a chip, and how a run on it ends.

    Attributes:
        time: attribute of events that contains their timestep.
        reset: fields of the configuration that zero all states when it is applied.
        stops: True if ``TriggerProcessing`` ends a run; if not, a spike one step later does.
        input_registers: to be cleared of that spike.
    """

    time: str
    stops: bool
    reset: tuple[str, ...] = ()
    input_registers: range = range(0)


OLDER = {"fxtree": "0.11.5", "unifirm": "1.1.3"}
BOARDS = Boards(
    family=XyloChip,
    title="Xylo",
    classes=Classes(
        roots=("XyloConfiguration",),
        items={
            "reservoir.neurons": "ReservoirNeuron",
            "hidden.neurons": "HiddenNeuron",
            "readout.neurons": "OutputNeuron",
            "debug.monitor_neuron_v_mem": "NeuronRange",
            "debug.monitor_neuron_i_syn": "NeuronRange",
        },
    ),
    kinds={
        "samna.xyloCore2": XyloKind(
            devices=("XyloA2TestBoard",),
            getters=("get_model", "get_xylo_model"),  # recorded with the longer name only
            least=OLDER,
            time="timestamp",
            stops=False,
            reset=("clear_network_state",),
            input_registers=range(0x11, 0x15),
        ),
        "samna.xyloImu": XyloKind(
            devices=("XyloImuTestBoard",), least=OLDER, time="timestep", stops=True
        ),
        "samna.xyloAudio3": XyloKind(
            devices=("XyloAudio3TestBoard",),
            least={"fxtree": "0.12.2", "unifirm": "1.6.0", "samna": "0.39.6"},
            time="timestep",
            stops=True,
        ),
    },
)

to_samna = BOARDS.to_samna


def find_boards(chip: str | XyloChip, *, samna: Any = None) -> tuple[Board, ...]:
    """Return the free boards of ``chip``, possibly none.

    Args:
        chip: the chip, or a name of it.
        samna: the vendor's library; the installed one unless given.

    Raises:
        VendorError: samna is absent, a stub, or incomplete; no board of the chip is known.

    >>> from types import SimpleNamespace
    >>> devices = [SimpleNamespace(device_type_name="XyloAudio3TestBoard")]
    >>> device = SimpleNamespace(get_unopened_devices=lambda: devices)
    >>> samna = SimpleNamespace(device=device)  # in place of the vendor's library
    >>> [board.name for board in find_boards("xylo_a3", samna=samna)]
    ['XyloAudio3TestBoard:0']
    >>> find_boards("xylo_a2", samna=samna)
    ()
    """
    return BOARDS.find(chip, samna=samna)


def check_versions(chip: str | XyloChip, versions: Mapping[str, str]) -> None:
    """Refuse versions that are older than those known to work with the boards of ``chip``.

    Args:
        chip: the chip, or a name of it.
        versions: of ``fxtree``, ``unifirm`` (the board's firmware) and ``samna``, as the vendor's
            tools print them; any of these.

    Raises:
        VendorError: versions that are too old or invalid, all at once.
        ValueError: a part with another name.

    >>> from toolchain.diagnostics import VendorError
    >>> check_versions("xylo_a3", {"samna": "0.40.0", "unifirm": "1.6.0"})
    >>> try:
    ...     check_versions("xylo_a3", {"samna": "0.38.1"})
    ... except VendorError as error:
    ...     print(error)
    xylo_a3: samna is 0.38.1, needs 0.39.6 or later
    """
    BOARDS.check_versions(chip, versions)
