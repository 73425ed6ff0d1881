"""Memory images of a program and of a run, as text files for hardware tests.

The format is that of xylosim's own writer, byte for byte, for cores v1 and v2: lower-case
hexadecimal numbers of fixed width, two's complement, one a line; lines that start with ``//`` say
whose values follow.

    iwtram.ini, iwt2ram.ini               input weights of each channel, every neuron
    rforam.ini, rwtram.ini, rwt2ram.ini   targets and weights of each neuron's fan-out entries
    refocram.ini                          number of entries of each neuron
    owtram.ini                            output weights of each hidden neuron
    ndmram.ini, ndsram.ini, rds2ram.ini   decays; nthram.ini thresholds, nbram.ini biases (v2)
    raram.ini, rcram.ini                  alias target (fff: none), 2 for a source + 1 for a target
    basic_config.json                     sizes, shifts, timestep
    spk_in/inp_spks.txt                   the input, spike by spike
    spk_res, spk_out, isyn, isyn2, vmem   one file a timestep

Unexpected behaviour of that writer:

- ``ON`` in ``basic_config.json`` is the number of the last output *with a weight*, not the number
  of outputs. It is written the same here; all other files hold every output.
- ``N_SYNS`` is 2 only where a second synapse has a weight. Files of the second synapse are always
  there. The writer needs two decays a neuron: a program with one synapse is written as one whose
  second synapses have no weights.
- On core v2 timesteps in which the core sleeps are left out of the dumps of states and spikes, and
  those that follow take their numbers. The input keeps its own count.
- ``rcram.ini`` does not mark a neuron that is the target of several aliases.

Where it would write another program (the low digits of a number that is too
large, the first of several aliases), the program is refused. So is one without any output weight,
with which it fails.

A source's consecutive entries must not have the same target. Here each target of a source is one
entry with both weights, in ascending order, because matrices are dense: no two entries of a source
are alike, and no zero-weight dummy between them is ever needed. (The writer puts one in for lists
of synapses with several connections between two neurons; on core v1 it fails on them, on v2 it
never ends where they lead to the last neuron.)

Source: the files that xylosim 0.1.3 writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.atomic import write_folder
from toolchain.chips.xylo.program import XyloProgram
from toolchain.chips.xylo.simulate.raster import as_counts
from toolchain.chips.xylo.simulate.recording import XyloRecording
from toolchain.chips.xylo.simulate.run import simulate

__all__ = ["memory_files", "run_files", "write_ram_files"]

INPUT_DIGIT = 16
"""Channels that the one digit of ``wr IN`` can encode."""

NO_ALIAS = -1


def write_ram_files(
    program: XyloProgram,
    folder: str | os.PathLike[str],
    raster: npt.ArrayLike | None = None,
    recording: XyloRecording | None = None,
) -> Path:
    """Write the memory images of ``program`` to a new or empty ``folder`` and return it.

    Args:
        program: the program.
        folder: written completely or not at all; parent folders are created.
        raster: input ``(T, Nin)`` or ``(1, T, Nin)`` counts; with it, the input and the states
            and spikes of every timestep are written, too.
        recording: the result of ``simulate(..., record=True)`` for ``raster``; simulated from zero
            states unless given. Without ``raster``, states and spikes are written and no input.

    Raises:
        FileExistsError: ``folder`` exists and is not empty; it is not changed.
        ValueError: the format cannot store the program, every reason at once; a raster or recording
            of more than one sample, or of different lengths.

    >>> from toolchain.chips.xylo import XyloProgram
    >>> program = XyloProgram.from_specification(
    ...     "xylo_a2", weights_in=[[100, -1]], weights_out=[[1], [1]], dash_mem=4, dash_syn=2,
    ...     dash_mem_out=4, dash_syn_out=2, threshold=50, threshold_out=50,
    ... )
    >>> folder = write_ram_files(program, "ram", raster=[[1], [0]])
    >>> (folder / "iwtram.ini").read_text().splitlines()
    ['// iwt for IN0 ', '64', 'ff']
    >>> len(list((folder / "vmem").iterdir()))
    2
    """
    target = Path(folder).expanduser().absolute()
    if target.exists() and not (target.is_dir() and next(target.iterdir(), None) is None):
        raise FileExistsError(f"{target} already exists; it is not overwritten")
    files = memory_files(program)
    if raster is not None or recording is not None:
        files |= run_files(program, raster, recording)
    return write_folder(target, {name: text.encode("ascii") for name, text in files.items()})


def memory_files(program: XyloProgram) -> dict[str, str]:
    """Return the name and text of every file that depends on the program alone.

    Raises:
        ValueError: the format cannot store the program; the message lists every reason.
    """
    faults = list(_faults(program))
    if faults:
        raise ValueError("\n  ".join(["the RAM files cannot store this program:", *faults]))
    files = {
        "basic_config.json": _basic_config(program),
        "ndmram.ini": _lines([*program.dash_mem, *program.dash_mem_out], 1),
        "ndsram.ini": _lines([*program.dash_syn, *program.dash_syn_out], 1),
        "rds2ram.ini": _lines(program.dash_syn_2, 1),
        "nthram.ini": _lines([*program.threshold, *program.threshold_out], 4),
        **_dense_files(program),
        **_fan_out_files(program),
        **_alias_files(program),
    }
    if program.core == "v2":
        files["nbram.ini"] = _lines([*program.bias, *program.bias_out], 2)
    return files


def run_files(
    program: XyloProgram, raster: npt.ArrayLike | None, recording: XyloRecording | None = None
) -> dict[str, str]:
    """Return the name and text of the files of a run: input, states and spikes."""
    files = {}
    if raster is not None:
        counts = as_counts(program, raster)
        _require_one_sample("raster", len(counts))
        if recording is None:
            recording = simulate(program, counts, record=True)
        if recording.spikes.shape[:2] != counts.shape[:2]:
            raise ValueError(
                f"the raster is (sample, timestep) {counts.shape[:2]}, the recording "
                f"{recording.spikes.shape[:2]}"
            )
        files["spk_in/inp_spks.txt"] = _input_spikes(counts[0])
    if recording is not None:
        files |= _state_files(program, recording)
    return files


# ---- what the format cannot hold ----


def _faults(program: XyloProgram) -> Iterator[str]:
    if program.inputs > INPUT_DIGIT:
        yield f"input: needs {program.inputs} channels, one digit encodes {INPUT_DIGIT}"
    if program.hidden > 0xFFF:
        yield f"network: needs {program.hidden} hidden neurons, 3 digits encode {0xFFF}"
    if not program.weights_out.any():
        yield (
            "network: no output has a weight; the format takes their number from the last one "
            "that has"
        )
    fan_out = program.fan_out()
    for p in program.populations:
        ids = slice(p.start, p.stop)
        bias = (program.bias if p.role == "hidden" else program.bias_out)[ids]
        wide = bias[(bias < -128) | (bias > 127)]
        if len(wide):
            yield f"{p.name}: needs biases up to {np.abs(wide).max()}, 2 digits encode -128..127"
        if p.role == "output":
            continue
        if fan_out[ids].max(initial=0) > 0xFF:
            yield f"{p.name}: needs {fan_out[ids].max()} entries per neuron, 2 digits encode {0xFF}"
        aliases = max(map(len, program.aliases[ids]), default=0)
        if aliases > 1:
            yield f"{p.name}: needs {aliases} alias targets per neuron, the format has 1"


# ---- the program ----


def _basic_config(program: XyloProgram) -> str:
    second = any(w.shape[2] > 1 and w[..., 1].any() for w in _synaptic(program))
    config: dict[str, Any] = {
        "IN": program.inputs,
        "RSN": program.hidden,
        "ON": int(np.flatnonzero(program.weights_out.any(axis=0))[-1]) + 1,
        "IWBS": program.weight_shift_in,
        "RWBS": program.weight_shift_rec,
        "OWBS": program.weight_shift_out,
        "time_resolution_wrap": 0,
        "DT": program.dt,
        "N_SYNS": 2 if second else 1,
        "RA": any(program.aliases),
    }
    if program.core == "v2":
        config["BIAS"] = program.has_bias
    return json.dumps(config)


def _synaptic(program: XyloProgram) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    return program.weights_in, program.weights_rec


def _dense_files(program: XyloProgram) -> dict[str, str]:
    first, second = _both(program.weights_in)
    return {
        "iwtram.ini": _blocks("// iwt for IN{} ", first, 2),
        "iwt2ram.ini": _blocks("// iwt2 for IN{} ", second, 2),
        "owtram.ini": _blocks("// owt for RSN{} ", program.weights_out, 2),
    }


def _fan_out_files(program: XyloProgram) -> dict[str, str]:
    """Return one entry for each target that a neuron reaches on any synapse, targets ascending."""
    reached = np.asarray(program.weights_rec.any(axis=2))
    targets = [np.flatnonzero(row) for row in reached]
    first, second = _both(program.weights_rec)
    used = list(enumerate(targets))
    return {
        "refocram.ini": _lines([len(t) for t in targets], 2),
        "rforam.ini": _blocks("// rfo of RSN{} ", targets, 3),
        "rwtram.ini": _blocks("// rwt of RSN{} ", [first[n, t] for n, t in used], 2),
        "rwt2ram.ini": _blocks("// rwt2 of RSN{} ", [second[n, t] for n, t in used], 2),
    }


def _both(
    weights: npt.NDArray[np.int8],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Return the weights onto first and second synapses, zeros where there are none."""
    if weights.shape[2] == 1:
        return weights[..., 0], np.zeros_like(weights[..., 0])
    return weights[..., 0], weights[..., 1]


def _alias_files(program: XyloProgram) -> dict[str, str]:
    targets = [ids[0] if ids else NO_ALIAS for ids in program.aliases]
    marks = [2 * (t != NO_ALIAS) + (n in targets) for n, t in enumerate(targets)]
    return {"raram.ini": _lines(targets, 3), "rcram.ini": _lines(marks, 1)}


# ---- a run ----


def _input_spikes(counts: npt.NDArray[np.uint8]) -> str:
    """Return the input: ``idle`` and steps since the last spike, then one line a spike."""
    lines, last = [], 0
    for step in np.flatnonzero(counts.any(axis=1)).tolist():
        lines.append(f"// time step {step}")
        if step > last:
            lines.append(f"idle {step - last}")
        last = step
        for channel, number in enumerate(counts[step].tolist()):
            lines += [f"wr IN{channel:x}"] * number
    return "".join(f"{line}\n" for line in lines)


def _state_files(program: XyloProgram, recording: XyloRecording) -> dict[str, str]:
    """Return one file a state and timestep in which the core was awake."""
    _require_one_sample("recording", len(recording.spikes))
    hidden = {name: getattr(recording, name) for name in ("hidden_spikes", "v_mem", "i_syn")}
    out = {name: getattr(recording, name) for name in ("v_mem_out", "i_syn_out")}
    if any(states is None for states in (hidden | out).values()):
        raise ValueError("the recording has no states: simulate with record=True")
    sizes = (hidden["v_mem"].shape[2], recording.spikes.shape[2])
    if sizes != (program.hidden, program.outputs):
        raise ValueError(
            f"the recording has {sizes[0]} hidden and {sizes[1]} output neurons, the program "
            f"{program.hidden} and {program.outputs}"
        )
    second = recording.i_syn_2
    dumps = {
        "spk_res/rspkram": (hidden["hidden_spikes"][0], 2),
        "spk_out/ospkram": (recording.spikes[0], 2),
        "isyn/nscram": (np.hstack([hidden["i_syn"][0], out["i_syn_out"][0]]), 4),
        "isyn2/nsc2ram": (np.zeros_like(hidden["i_syn"][0]) if second is None else second[0], 4),
        "vmem/nmpram": (np.hstack([hidden["v_mem"][0], out["v_mem_out"][0]]), 4),
    }
    asleep = recording.hibernation
    awake = np.ones(recording.spikes.shape[1], bool) if asleep is None else ~asleep[0]
    return {
        f"{name}_{number}.txt": _lines(values, digits)
        for name, (states, digits) in dumps.items()
        for number, values in enumerate(states[awake])
    }


def _require_one_sample(what: str, samples: int) -> None:
    if samples != 1:
        raise ValueError(f"the files hold one sample, the {what} has {samples}")


# ---- text ----


def _lines(values: Iterable[int], digits: int) -> str:
    """Return one number a line, of its low digits in two's complement."""
    mask = 16**digits - 1
    return "".join(f"{int(value) & mask:0{digits}x}\n" for value in values)


def _blocks(header: str, rows: Iterable[Iterable[int]], digits: int) -> str:
    """Return the rows, each after a comment line with its number."""
    return "".join(f"{header.format(n)}\n{_lines(row, digits)}" for n, row in enumerate(rows))
