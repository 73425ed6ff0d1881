"""Program fields of a Xylo Audio 2 configuration file, read and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.xylo.emit.vendor_document import ConfigDocument, MatrixPart, NeuronPart
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.spec import XyloChip

__all__ = ["MONITORS", "program_faults", "program_of", "tree_of"]

MONITORS = (
    "monitorNeuronVMem",
    "monitorNeuronISyn",
    "monitorNeuronISyn2",
    "monitorNeuronSpike",
)
"""Keys of ``debug`` whose only known form means that no neurons are monitored."""
REGISTERS = {
    "threshold": "threshold",
    "dash_mem": "v_mem_decay",
    "dash_syn": "i_syn_decay",
    "bias": "v_mem_bias",
}
"""Fields of a program, for hidden and output neurons, and the key of a neuron in the file."""


# ---- a file as a program ----


def program_of(document: ConfigDocument, chip: XyloChip) -> XyloProgram:
    """Return the program in a file that has no ``program_faults``."""
    entry, inner, last = document.input, document.reservoir, document.readout
    targets = [neuron.alias_target.data for neuron in inner.neurons]
    second = document.synapse2_enable
    fields: dict[str, Any] = {
        **_registers(inner.neurons, ""),
        **_registers(last.neurons, "_out"),
        "dash_syn_2": [neuron.i_syn2_decay for neuron in inner.neurons],
        "weights_in": _stack(entry.weights, entry.syn2_weights if second else None),
        "weights_rec": _stack(inner.weights, inner.syn2_weights if second else None),
        "weights_out": _array(last.weights),
        "aliases": tuple(() if target is None else (target,) for target in targets),
        "weight_shift_in": entry.weight_bit_shift,
        "weight_shift_rec": inner.weight_bit_shift,
        "weight_shift_out": last.weight_bit_shift,
    }
    return XyloProgram(
        chip=chip.name,
        core=chip.integer_core,
        dt=None,
        **fields,
        max_input_spikes=int(chip.limits.input_spikes.value),
        max_hidden_spikes=int(chip.limits.hidden_spikes.value),
        max_output_spikes=int(chip.limits.output_spikes.value),
    )


def _registers(neurons: Sequence[NeuronPart], suffix: str) -> dict[str, list[int]]:
    return {
        f"{field}{suffix}": [getattr(neuron, key) for neuron in neurons]
        for field, key in REGISTERS.items()
    }


def _array(matrix: MatrixPart) -> Array:
    return np.asarray(matrix.values).reshape(matrix.shape)


def _stack(first: MatrixPart, second: MatrixPart | None) -> Array:
    """Return the matrices as ``(pre, post, synapses)``."""
    return np.stack([_array(m) for m in (first, second) if m is not None], axis=-1)


def program_faults(document: ConfigDocument, chip: XyloChip) -> Iterator[str]:
    """Yield the reasons why the file is not a program of this chip."""
    yield from _sizes(document, chip)
    yield from _shifts(document, chip)
    yield from _biases(document, chip)
    yield from _unused(document)


def _unused(document: ConfigDocument) -> Iterator[str]:
    """Yield weights of a synapse that is switched off; a program has no field for them."""
    if document.synapse2_enable:
        return
    for where, matrix in (
        ("input.syn2_weights", document.input.syn2_weights),
        ("reservoir.syn2Weights", document.reservoir.syn2_weights),
    ):
        if any(matrix.values):
            yield f"{where}: has weights, but synapse2Enable is false"


def _sizes(document: ConfigDocument, chip: XyloChip) -> Iterator[str]:
    for where, what, size, limit in (
        (
            "input.weights.dimensions.value0",
            "channels",
            document.input.weights.shape[0],
            "input_channels",
        ),
        ("reservoir.neurons", "neurons", len(document.reservoir.neurons), "hidden_neurons"),
        ("readout.neurons", "neurons", len(document.readout.neurons), "output_neurons"),
    ):
        most = getattr(chip.limits, limit).value
        if size > most:
            yield f"{where}: {chip.name} has {most} {what}, got {size}"


def _shifts(document: ConfigDocument, chip: XyloChip) -> Iterator[str]:
    top = 2 ** int(chip.limits.weight_shift_width.value) - 1
    for where in ("input", "reservoir", "readout"):
        shift = getattr(document, where).weight_bit_shift
        if shift > top:
            yield f"{where}.weightBitShift: must be in 0..{top}, got {shift}"


def _biases(document: ConfigDocument, chip: XyloChip) -> Iterator[str]:
    assert chip.limits.bias_width is not None
    half = 2 ** (int(chip.limits.bias_width.value) - 1)
    for part in ("reservoir", "readout"):
        for n, neuron in enumerate(getattr(document, part).neurons):
            if not -half <= neuron.v_mem_bias < half:
                where = f"{part}.neurons[{n}].vMemBias"
                yield f"{where}: must be in {-half}..{half - 1}, got {neuron.v_mem_bias}"


# ---- a program as a file ----


def tree_of(program: XyloProgram) -> dict[str, Any]:
    """Return the file's content as plain data, without the settings."""
    second = (program.weights_in, program.weights_rec)
    if program.synapses == 1:
        second = (np.zeros_like(program.weights_in), np.zeros_like(program.weights_rec))
    return {
        "synapse2Enable": program.synapses > 1,
        "input": {
            "weightBitShift": program.weight_shift_in,
            "weights": _matrix(program.weights_in[..., 0]),
            "syn2_weights": _matrix(second[0][..., -1]),
        },
        "reservoir": {
            "weightBitShift": program.weight_shift_rec,
            "weights": _matrix(program.weights_rec[..., 0]),
            "syn2Weights": _matrix(second[1][..., -1]),
            "neurons": [_hidden(program, n) for n in range(program.hidden)],
        },
        "readout": {
            "weightBitShift": program.weight_shift_out,
            "weights": _matrix(program.weights_out),
            "neurons": [_neuron(program, n, "_out") for n in range(program.outputs)],
        },
        "debug": {name: {"nullopt": True} for name in MONITORS},
    }


def _matrix(weights: Array) -> dict[str, Any]:
    rows, columns = weights.shape
    return {
        "dimensions": {"value0": rows, "value1": columns},
        "offsets": {"value0": columns, "value1": 1},
        "values": weights.reshape(-1).tolist(),
    }


def _neuron(program: XyloProgram, n: int, suffix: str) -> dict[str, Any]:
    return {
        "threshold": int(getattr(program, f"threshold{suffix}")[n]),
        "vMemDecay": int(getattr(program, f"dash_mem{suffix}")[n]),
        "iSynDecay": int(getattr(program, f"dash_syn{suffix}")[n]),
        "vMemBias": int(getattr(program, f"bias{suffix}")[n]),
    }


def _hidden(program: XyloProgram, n: int) -> dict[str, Any]:
    targets = program.aliases[n]
    alias = {"nullopt": False, "data": targets[0]} if targets else {"nullopt": True}
    decay = int(program.dash_syn_2[n])
    return _neuron(program, n, "") | {"iSyn2Decay": decay, "aliasTarget": alias}
