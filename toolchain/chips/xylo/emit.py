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
    ``readout.weights`` the last rows the outputs can reach.
    """
    second = program.synapses > 1
    full = chip.limits.input_expansion.value >= chip.limits.hidden_neurons.value
    reach = None if full else int(chip.limits.input_expansion.value)
    rows = 0 if full else max(0, program.hidden - int(chip.limits.output_expansion.value))
    hidden = "reservoir" if chip.vendor_module.endswith("xyloCore2") else "hidden"
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
            "neurons": [_hidden(program, n, second) for n in range(program.hidden)],
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
    return tree


def _plain(array: Array) -> list[Any]:
    return list(np.asarray(array).tolist())


def _hidden(program: XyloProgram, n: int, second: bool) -> dict[str, Any]:
    neuron: dict[str, Any] = {
        "i_syn_decay": int(program.dash_syn[n]),
        "v_mem_decay": int(program.dash_mem[n]),
        "threshold": int(program.threshold[n]),
        "alias_target": program.aliases[n][0] if program.aliases[n] else None,
    }
    if second:
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
