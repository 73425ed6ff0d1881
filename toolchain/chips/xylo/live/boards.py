"""The boards of Xylo chips.

Source: Rockpool documentation and released behaviour for the boards' type names and their least
versions.
"""

from __future__ import annotations

from dataclasses import dataclass

from toolchain.chips.synsense.boards import BoardKind, Boards
from toolchain.chips.synsense.vendor import Classes
from toolchain.chips.xylo.spec import XyloChip

__all__ = ["BOARDS", "XyloKind", "check_versions", "find_boards", "to_samna"]


@dataclass(frozen=True, slots=True, kw_only=True)
class XyloKind(BoardKind):
    """What is known of the board of a chip, and how a run on it ends.

    Attributes:
        time: attribute in which events carry their timestep.
        reset: fields of the configuration that zero all states when it is applied.
        stops: whether ``TriggerProcessing`` ends a run; if not, a spike one step later does.
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

check_versions = BOARDS.check_versions
find_boards = BOARDS.find
to_samna = BOARDS.to_samna
