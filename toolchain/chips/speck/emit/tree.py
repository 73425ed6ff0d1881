"""The configuration of a chip as plain data, named like the vendor's attributes.

Only fields that sinabs, the vendor's manual or published programs for these boards set are
written; every other field, and every core without a layer, keeps the vendor's default. The
vendor's library was not available, so its ``validate_configuration`` has not checked these trees.

The table of outputs and the targets of input events have no field in the vendor's tree; they are
under ``NOTES``.

Source: sinabs documentation, "Speck: hardware configuration"; Speck Dev Kit Datasheet, sec. 3.2.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from toolchain.chips.load import load_chip
from toolchain.chips.speck.emit.extras import Extras, has_blocks
from toolchain.chips.speck.outputs import readout_table
from toolchain.chips.speck.program import Array, Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck.readout import LAYER_ID, MODES, Readout
from toolchain.chips.speck.rules.program import RULES
from toolchain.chips.speck.sensor import plain
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.synsense.vendor import NOTES
from toolchain.diagnostics import DeployError, Severity

__all__ = ["configuration", "slow_clock_hz"]

CONFIGURED = (
    "assigned_core",
    "bias_range",
    "destinations",
    "input_pooling",
    "readout_block",
    "readout_destinations",
    "readout_size",
    "sensor",
    "sensor_destinations",
    "square_kernel",
    "threshold_range",
    "weight_range",
)
"""Rules for what a configuration has no field for, so that it would be lost. A value that has a
field but exceeds a limit, such as a stride of 3, is left to the other rules.
"""

ADDRESSING = 3
"""Code for readout input of 1 x 1 maps with 16 channels. Source: Speck Dev Kit Datasheet tab. 5."""


def configuration(
    program: SpeckProgram, chip: SpeckChip | None = None, *, extras: Extras | None = None
) -> dict[str, Any]:
    """Return lists, integers and booleans, by the path of the vendor's attributes.

    The keys of ``cnn_layers`` are core ids as text. Maps are [channel][x][y], so arrays are
    transposed. Without a sensor in the program its pixels are off, and input events are sent to
    the cores listed in ``notes``.

    Args:
        program: a placed program.
        chip: the target; by default the chip that the program names.
        extras: settings of blocks that are not simulated; by default all are off.

    Raises:
        DeployError: a part of the program has no field; the error has every finding.
        ValueError: layers that are not placed, or a program for a chip of another family.
    """
    if unplaced := [core.name for core in program.cores if core.core is None]:
        raise ValueError(f"not placed on a core: {', '.join(unplaced)}")
    chip = _chip(program) if chip is None else chip
    extras = Extras() if extras is None else extras
    _require_fields(program, chip, extras)
    ids = {core.name: core.core for core in program.cores}
    tree: dict[str, Any] = {
        "cnn_layers": {
            str(core.core): {
                **_core(core, _destinations(program, core, ids, chip)),
                **(_kill_bits(core) if chip.kill_bits else {}),
                **(extras.of_core(core.name) if has_blocks(chip) else {}),
            }
            for core in program.cores
        },
        **_sensor(program, ids, own_clock=extras.slow_clock_divider is not None),
    }
    if chip.readout:
        tree["readout"] = _readout(program.readout, extras)
    if extras.of_factory():
        tree["factory_config"] = extras.of_factory()
    return {**tree, NOTES: _notes(program, ids)}


def slow_clock_hz(program: SpeckProgram) -> float | None:
    """Return the slow-clock frequency, Hz, that the simulated biases and readout assume.

    None if the program does not need it, or has no dt.
    """
    needed = program.readout is not None or any(map(_leaks, program.cores))
    return 1 / program.dt if needed and program.dt is not None else None


def _chip(program: SpeckProgram) -> SpeckChip:
    chip = load_chip(program.chip)
    if not isinstance(chip, SpeckChip):
        raise ValueError(f"{chip.name} is a {chip.family} chip, this program is for Speck")
    return chip


def _require_fields(program: SpeckProgram, chip: SpeckChip, extras: Extras) -> None:
    rules = [rule for rule in RULES if rule.__name__ in CONFIGURED]
    found = [f for rule in rules for f in rule(program, chip) if f.severity is Severity.ERROR]
    found += extras.findings(program, chip)
    if found:
        raise DeployError(
            f"the configuration of {chip.name} has no field for a part of this program:", found
        )


def _sensor(
    program: SpeckProgram, ids: dict[str, int | None], *, own_clock: bool
) -> dict[str, Any]:
    sensor = program.sensor
    if sensor is None:
        return {"dvs_layer": {"pass_sensor_events": False}}
    layer = {
        "merge": sensor.merge,
        "mirror": {"x": sensor.mirror_x, "y": sensor.mirror_y},
        "mirror_diagonal": sensor.swap,
        "origin": _xy(sensor.origin),
        "cut": _xy(sensor.cut),
        "pooling": _xy(sensor.pooling),
        "pass_sensor_events": sensor.pixel_array,
        "destinations": [{"layer": ids[t.layer], "enable": True} for t in program.inputs],
    }
    if sensor.filter is None:
        return {"dvs_layer": layer}
    settings = plain(sensor.filter)
    return {
        "dvs_layer": layer,
        "dvs_filter": {
            **settings,
            "filter_size": _xy(sensor.filter.filter_size),
            "internal_slow_clk": own_clock,
        },
    }


def _core(core: SpeckCore, destinations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "dimensions": {
            "input_shape": _shape(core.input_shape),
            "output_shape": _shape(core.output_shape),
            "kernel_size": core.weight.shape[2],
            "stride": _xy(core.stride),
            "padding": _xy(core.padding),
        },
        "weights": core.weight.swapaxes(2, 3).tolist(),
        "biases": [0] * len(core.weight) if core.bias is None else core.bias.tolist(),
        "leak_enable": _leaks(core),
        "neurons_initial_value": _start(core).swapaxes(1, 2).tolist(),
        "threshold_high": core.threshold_high,
        "threshold_low": core.threshold_low,
        "return_to_zero": core.return_to_zero,
        "monitor_enable": core.monitor,
        "destinations": destinations,
    }


def _leaks(core: SpeckCore) -> bool:
    return core.bias is not None and bool(core.bias.any())


def _start(core: SpeckCore) -> Array:
    return np.zeros(core.output_shape, np.int16) if core.initial is None else core.initial


def _destinations(
    program: SpeckProgram, core: SpeckCore, ids: dict[str, int | None], chip: SpeckChip
) -> list[dict[str, Any]]:
    """Return one entry for each destination of the chip; unused ones are disabled."""
    entries = [_destination(target, ids) for target in core.destinations]
    if program.readout is not None and program.readout.layer == core.name:
        entries.append({"layer": LAYER_ID, "enable": True, "pooling": 1})
    unused = int(chip.limits.destinations.value) - len(entries)
    return entries + [{"enable": False} for _ in range(unused)]


def _destination(target: Destination, ids: dict[str, int | None]) -> dict[str, Any]:
    entry = {"layer": ids[target.layer], "enable": True, "pooling": target.pooling}
    return {**entry, "feature_shift": target.feature_shift} if target.feature_shift else entry


def _kill_bits(core: SpeckCore) -> dict[str, Any]:
    """Return the disable bits: set for weights and biases of 0, and for no neuron."""
    bias = np.zeros(len(core.weight), np.int16) if core.bias is None else core.bias
    alive = np.zeros(core.output_shape, bool)
    return {
        "weights_kill_bit": (core.weight == 0).swapaxes(2, 3).tolist(),
        "biases_kill_bit": (bias == 0).tolist(),
        "neurons_value_kill_bit": alive.swapaxes(1, 2).tolist(),
    }


def _readout(readout: Readout | None, extras: Extras) -> dict[str, Any]:
    if readout is None:
        return {"enable": False}
    fields = {
        "enable": True,
        "readout_configuration_sel": ADDRESSING,
        "output_mode_sel": MODES.index(readout.mode),
        "threshold": readout.threshold,
        "low_pass_filter_disable": readout.window == 1,
        "low_pass_filter32_not16": readout.window == 32,
        "override_threshold_max": readout.always,
        "monitor_enable": readout.values,
        "readout_pin_monitor_enable": readout.pins,
        "internal_slow_clk": extras.slow_clock_divider is not None,
    }
    if readout.selected is not None:
        fields["output_neuron_num"] = readout.selected
    return fields


def _notes(program: SpeckProgram, ids: dict[str, int | None]) -> dict[str, Any]:
    """Return the table of outputs, the targets of input events and the slow-clock frequency."""
    rows = [asdict(neuron) for neuron in readout_table(program)]
    return {
        "outputs": {name: [row[name] for row in rows] for name in rows[0]},
        "inputs": [{**asdict(target), "core": ids[target.layer]} for target in program.inputs],
        "slow_clock_hz": slow_clock_hz(program),
    }


def _xy(pair: tuple[int, int]) -> dict[str, int]:
    return {"x": pair[1], "y": pair[0]}


def _shape(shape: tuple[int, int, int]) -> dict[str, Any]:
    channels, height, width = shape
    return {"feature_count": channels, "size": {"x": width, "y": height}}
