"""The vendor's configuration as plain data: nested dictionaries that mirror its attribute tree.

The field names are those of ``XyloConfiguration`` in ``samna.xyloCore2``, ``samna.xyloImu`` and
``samna.xyloAudio3`` in public recordings of these classes. The vendor's library was not available,
so its own ``validate_configuration`` was not run on these trees. Xylo 1 has the layout of
``xyloCore2`` without biases and with one switch for all clocks.

A field that is too small is never filled with a part of its value: a program that does not fit the
chip is refused, whatever asked for its configuration.

Source: Rockpool documentation and released behaviour; ``hardware_specs`` for each chip's module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.rules.program import RULES
from toolchain.chips.xylo.spec import XyloChip
from toolchain.diagnostics import DeployError

__all__ = ["configuration", "require_room"]


def configuration(
    program: XyloProgram,
    chip: XyloChip,
    *,
    operation_mode: str = "AcceleratedTime",
    clock_hz: float | None = None,
    hibernation: bool = False,
) -> dict[str, Any]:
    """Return the attribute tree of ``program``: JSON-able lists, integers and booleans.

    On Xylo 1 and Audio 2 the hidden layer is called ``reservoir`` and matrices have full height.
    On IMU and Audio 3 it is ``hidden``, ``input.weights`` contains the first columns, which the
    input can reach, and ``readout.weights`` the last rows, which can reach the outputs. Spikes come
    from the host: the sensors' inputs stay off. States of the outputs are monitored if the program
    reads them, except on Xylo 1, whose monitors are not known: its memories contain them.

    Args:
        program: the program.
        chip: the target.
        operation_mode: member of the vendor's enumeration. In ``"AcceleratedTime"`` steps run as
            fast as they can, in ``"RealTime"`` each takes the program's ``dt``.
        clock_hz: main clock in real time, Hz; None is the chip's default.
        hibernation: whether the core sleeps through steps without activity; outputs are the same.

    Raises:
        DeployError: the program does not fit the configuration; contains every finding.
        ValueError: a mode, clock or dt that the chip does not have, or hibernation where it has
            none.
    """
    require_room(program, chip)
    surface = _surface(chip)
    limits = chip.limits
    second = program.synapses > 1
    everywhere = limits.input_expansion.value >= limits.hidden_neurons.value
    reach = None if everywhere else int(limits.input_expansion.value)
    rows = 0 if everywhere else max(0, program.hidden - int(limits.output_expansion.value))
    tree: dict[str, Any] = {
        **_timing(program, chip, operation_mode, clock_hz),
        **_hibernation(chip, hibernation),
        "input": {
            "weights": _plain(program.weights_in[:, :reach, 0]),
            "weight_bit_shift": program.weight_shift_in,
        },
        surface.hidden: {
            "weights": _plain(program.weights_rec[..., 0]),
            "weight_bit_shift": program.weight_shift_rec,
            "aliasing": any(program.aliases),
            "neurons": [_hidden(program, chip, n) for n in range(program.hidden)],
        },
        "readout": {
            "weights": _plain(program.weights_out[rows:]),
            "weight_bit_shift": program.weight_shift_out,
            "neurons": [_output(program, n) for n in range(program.outputs)],
        },
    }
    if limits.bias_width is not None:
        tree["bias_enable"] = program.has_bias
    if limits.hidden_synapses.value > 1:
        tree["synapse2_enable"] = second
    if second:
        tree["input"]["syn2_weights"] = _plain(program.weights_in[:, :reach, 1])
        tree[surface.hidden]["syn2_weights"] = _plain(program.weights_rec[..., 1])
    tree |= surface.switches(program)
    tree["debug"] |= _monitored(program, surface)
    return tree


# ---- what does not fit ----


def require_room(program: XyloProgram, chip: XyloChip) -> None:
    """Refuse a program of which a part would be lost, cut or changed on ``chip``.

    Raises:
        DeployError: contains every finding.
    """
    found = [f for rule in RULES if rule.__name__ in ROOM for f in rule(program, chip)]
    if found:
        raise DeployError(f"this program does not fit the configuration of {chip.name}:", found)


ROOM = (
    "same_core",
    "input_channels",
    "hidden_neurons",
    "output_neurons",
    "synapses",
    "input_expansion",
    "output_expansion",
    "alias_targets",
    "biases",
    "weight_shifts",
    "widths",
)
"""Rules on faults that a configuration would not show. The other rules report those that it does
show, such as a fan-out that is too large or a threshold of 0.
"""


# ---- time ----


def _timing(
    program: XyloProgram, chip: XyloChip, mode: str, clock_hz: float | None
) -> dict[str, Any]:
    """Return the mode and, in real time, the clock cycles of a step, rounded down."""
    modes = _surface(chip).modes
    if mode not in modes:
        raise ValueError(f"{chip.name} has operation modes {', '.join(modes)}, got {mode!r}")
    if mode != "RealTime":
        if clock_hz is not None:
            raise ValueError(f"clock_hz is for RealTime; in {mode} no field depends on it")
        return {"operation_mode": mode}
    dt = _real_dt(program, chip)
    usual = chip.clock.main_clock.to("Hz")
    clock = usual if clock_hz is None else chip.check_clock(clock_hz)
    if not chip.clock.makes(clock):
        raise ValueError(f"{chip.name} cannot set its main clock to {clock} Hz{_divider(chip)}")
    wrap = floor(dt * clock + 1e-6)  # the product of 0.009994 s and 50 MHz is a whole number
    if wrap < 1:
        raise ValueError(f"dt {dt:g} s is shorter than a cycle of {clock:g} Hz")
    return {"operation_mode": mode, "time_resolution_wrap": wrap}


def _real_dt(program: XyloProgram, chip: XyloChip) -> float:
    """Return the program's dt, s, if the chip can keep it."""
    if program.dt is None:
        raise ValueError("RealTime needs the length of a timestep; this program has no dt")
    step = chip.clock.real_time_step
    if step is not None and abs(program.dt / step.to("s") - 1) > 1e-9:
        raise ValueError(
            f"dt is {program.dt:g} s, in real time {chip.name} has {step.value:g} {step.unit} "
            f"({chip.cite(step)})"
        )
    return program.dt


def _divider(chip: XyloChip) -> str:
    divided = chip.clock.divided_clock
    return "" if divided is None else f"; it has {divided.value:g} / (2 (w + 1)) {divided.unit}"


def _hibernation(chip: XyloChip, wanted: bool) -> dict[str, Any]:
    if chip.hibernation:
        return {"enable_hibernation_mode": wanted}
    if wanted:
        raise ValueError(f"{chip.name} has no hibernation")
    return {}


# ---- what differs between the chips ----


@dataclass(frozen=True, slots=True)
class Surface:
    """Names that only one vendor module has.

    Attributes:
        hidden: name of the hidden layer.
        modes: members of its enumeration of operation modes.
        switches: other fields that it needs before it runs.
        monitor: value of a monitor of the output neurons' states; None where none is known.
    """

    hidden: str
    modes: tuple[str, ...]
    switches: Callable[[XyloProgram], dict[str, Any]]
    monitor: Callable[[XyloProgram], Any] | None = None


def _monitored(program: XyloProgram, surface: Surface) -> dict[str, Any]:
    """Return the monitors of the states that the program reads; membranes are always among them."""
    if program.readout == "spikes" or surface.monitor is None:
        return {}
    names = ["monitor_neuron_v_mem"]
    if program.readout == "i_syn":
        names.append("monitor_neuron_i_syn")
    return {name: surface.monitor(program) for name in names}


def _range(program: XyloProgram) -> dict[str, int]:
    """Return the range of the output neurons, which follow the hidden ones."""
    return {"start": program.hidden, "end": program.hidden + program.outputs}


def _ids(program: XyloProgram) -> list[int]:
    """Return the ids of the output neurons."""
    return [*range(program.hidden, program.hidden + program.outputs)]


def _xylo_1(program: XyloProgram) -> dict[str, Any]:
    """Return one clock switch for all stages."""
    del program
    return {"debug": {"clock_enable": True, "ram_power_enable": True}}


def _audio_2(program: XyloProgram) -> dict[str, Any]:
    """Return the clock of each stage that the program uses."""
    return {
        "debug": {
            "isyn_clock_enable": True,
            "isyn2_clock_enable": program.synapses > 1,
            "ra_clock_enable": True,
            "bias_clock_enable": program.has_bias,
            "hm_clock_enable": True,
            "ram_power_enable": True,
        }
    }


def _imu(program: XyloProgram) -> dict[str, Any]:
    """Select spikes from the host; update the state of the outputs every step."""
    del program
    return {"imu_if_input_enable": False, "debug": {"always_update_omp_stat": True}}


def _audio_3(program: XyloProgram) -> dict[str, Any]:
    """Select spikes from the host."""
    del program
    return {"input_source": "SpikeEvents", "debug": {"always_update_omp_stat": True}}


MODES = ("Manual", "AcceleratedTime", "RealTime")
SURFACES = {
    "samna.xylo": Surface("reservoir", MODES, _xylo_1),
    "samna.xyloCore2": Surface("reservoir", MODES, _audio_2, _range),
    "samna.xyloImu": Surface("hidden", MODES, _imu, _range),
    "samna.xyloAudio3": Surface("hidden", (*MODES, "Recording"), _audio_3, _ids),
}


def _surface(chip: XyloChip) -> Surface:
    if chip.vendor_module not in SURFACES:
        raise ValueError(
            f"the configuration of {chip.vendor_module} is not known, only those of "
            f"{', '.join(SURFACES)}"
        )
    return SURFACES[chip.vendor_module]


# ---- parts ----


def _plain(array: Array) -> list[Any]:
    return list(np.asarray(array).tolist())


def _hidden(program: XyloProgram, chip: XyloChip, n: int) -> dict[str, Any]:
    neuron: dict[str, Any] = {
        "i_syn_decay": int(program.dash_syn[n]),
        "v_mem_decay": int(program.dash_mem[n]),
        "threshold": int(program.threshold[n]),
        "alias_target": program.aliases[n][0] if program.aliases[n] else None,
    }
    if chip.limits.hidden_synapses.value > 1:
        neuron["i_syn2_decay"] = int(program.dash_syn_2[n])
    if program.has_bias:
        neuron["v_mem_bias"] = int(program.bias[n])
    return neuron


def _output(program: XyloProgram, n: int) -> dict[str, Any]:
    neuron = {
        "i_syn_decay": int(program.dash_syn_out[n]),
        "v_mem_decay": int(program.dash_mem_out[n]),
        "threshold": int(program.threshold_out[n]),
    }
    if program.has_bias:
        neuron["v_mem_bias"] = int(program.bias_out[n])
    return neuron
