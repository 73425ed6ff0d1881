"""The vendor's configuration as plain data: nested dictionaries that mirror its attribute tree.

The field names are those of ``XyloConfiguration`` in ``samna.xyloCore2``, ``samna.xyloImu`` and
``samna.xyloAudio3`` as others' recordings of that surface show them. The vendor's library was not
at hand, so its own ``validate_configuration`` has not seen these trees.

Source: Rockpool documentation and released behaviour; ``hardware_specs`` for which module is whose.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from toolchain.chips.xylo.program import XyloProgram
from toolchain.hardware import XyloChip
from toolchain.ir import Array

__all__ = ["configuration"]


def configuration(program: XyloProgram, chip: XyloChip) -> dict[str, Any]:
    """The attribute tree of ``program``: JSON-able lists, integers and booleans.

    On Audio 2 the hidden layer is called ``reservoir`` and matrices have full height. On IMU and
    Audio 3 it is ``hidden``, ``input.weights`` holds the first columns the input can reach and
    ``readout.weights`` the last rows the outputs can reach. Spikes come from the host, steps run as
    fast as they can: the sensors' inputs and real time stay off.
    """
    second = program.synapses > 1
    full = chip.limits.input_expansion.value >= chip.limits.hidden_neurons.value
    reach = None if full else int(chip.limits.input_expansion.value)
    rows = 0 if full else max(0, program.hidden - int(chip.limits.output_expansion.value))
    surface = chip.vendor_module.rpartition(".")[2]
    hidden = "reservoir" if surface == "xyloCore2" else "hidden"
    tree: dict[str, Any] = {
        "bias_enable": program.has_bias,
        "enable_hibernation_mode": False,
        "operation_mode": "AcceleratedTime",
        "input": {
            "weights": _plain(program.weights_in[:, :reach, 0]),
            "weight_bit_shift": program.weight_shift_in,
        },
        hidden: {
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
    if chip.limits.hidden_synapses.value > 1:
        tree["synapse2_enable"] = second
    if second:
        tree["input"]["syn2_weights"] = _plain(program.weights_in[:, :reach, 1])
        tree[hidden]["syn2_weights"] = _plain(program.weights_rec[..., 1])
    return tree | SWITCHES[surface](program) if surface in SWITCHES else tree


def _audio_2(program: XyloProgram) -> dict[str, Any]:
    """The clock of each stage that the program uses."""
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
    """Spikes come from the host; the state of the outputs is brought up to date every step."""
    del program
    return {"imu_if_input_enable": False, "debug": {"always_update_omp_stat": True}}


def _audio_3(program: XyloProgram) -> dict[str, Any]:
    """Spikes come from the host."""
    del program
    return {"input_source": "SpikeEvents", "debug": {"always_update_omp_stat": True}}


SWITCHES = {"xyloCore2": _audio_2, "xyloImu": _imu, "xyloAudio3": _audio_3}
"""What else each surface needs before it runs, by the last part of the vendor's module."""


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
