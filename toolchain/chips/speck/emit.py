"""The configuration of a chip as plain data, named like the vendor's attributes.

Only fields that sinabs documents and sets are written; every other one, and every core that holds
no layer, keeps the vendor's default. The vendor's library was not at hand to check it against.
"""

from __future__ import annotations

from typing import Any

from toolchain.chips.speck.program import SpeckCore, SpeckProgram

__all__ = ["configuration"]


def configuration(program: SpeckProgram) -> dict[str, Any]:
    """Lists, integers and truth values, by the path of the vendor's attributes.

    ``cnn_layers`` is keyed by core id as text. Maps lie as [channel][x][y], so arrays are
    transposed. Input events are sent to the cores by name of their layer; the sensor is off.

    Raises:
        ValueError: layers without a core, or a kernel that is not square.

    Source: sinabs documentation, "Speck: hardware configuration"; Speck Dev Kit manual.
    """
    if homeless := [core.name for core in program.cores if core.core is None]:
        raise ValueError(f"not placed on a core: {', '.join(homeless)}")
    ids = {core.name: core.core for core in program.cores}
    return {
        "cnn_layers": {str(core.core): _core(core, ids) for core in program.cores},
        "dvs_layer": {"pass_sensor_events": False},
    }


def _core(core: SpeckCore, ids: dict[str, int | None]) -> dict[str, Any]:
    outputs, _, kernel, width = core.weight.shape
    if kernel != width:
        raise ValueError(f"{core.weight_name}: kernel {kernel}x{width} is not square")
    biases = [0] * outputs if core.bias is None else core.bias.tolist()
    return {
        "dimensions": {
            "input_shape": _shape(core.input_shape),
            "output_shape": _shape(core.output_shape),
            "kernel_size": kernel,
            "stride": {"x": core.stride[1], "y": core.stride[0]},
            "padding": {"x": core.padding[1], "y": core.padding[0]},
        },
        "weights": core.weight.swapaxes(2, 3).tolist(),
        "biases": biases,
        "leak_enable": any(biases),
        "neurons_initial_value": _initial(core),
        "threshold_high": core.threshold_high,
        "threshold_low": core.threshold_low,
        "return_to_zero": core.return_to_zero,
        "monitor_enable": core.monitor,
        "destinations": [
            {"layer": ids[target.layer], "enable": True, "pooling": target.pooling}
            for target in core.destinations
        ],
    }


def _shape(shape: tuple[int, int, int]) -> dict[str, Any]:
    channels, height, width = shape
    return {"feature_count": channels, "size": {"x": width, "y": height}}


def _initial(core: SpeckCore) -> list[Any]:
    channels, height, width = core.output_shape
    if core.initial is None:
        return [[[0] * height for _ in range(width)] for _ in range(channels)]
    return list(core.initial.swapaxes(1, 2).tolist())
