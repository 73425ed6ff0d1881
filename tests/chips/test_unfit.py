"""A network that fits in no case is refused before its calibration is looked at."""

from dataclasses import replace

import numpy as np
import pytest

from tests.chips.speck.graphs import iaf
from tests.chips.xylo.graphs import lif, readout, sequence
from toolchain import DeployError, deploy, load_chip
from toolchain.chips.load import family_of
from toolchain.chips.rules.trial import Trial
from toolchain.chips.speck import SpeckOptions
from toolchain.chips.speck.lower.integers import lower
from toolchain.chips.speck.rules.program import SIZES
from toolchain.hardware import SpecBase
from toolchain.ir import Conv2d, Graph, Input, Output


def maps(side=8, layers=2, kernel=3, scale=0.4):
    """Convolutions on maps of one size."""
    rng, nodes = np.random.default_rng(0), {"input": Input(shape=(2, side, side))}
    for n in range(layers):
        weight = rng.normal(0.1, scale, (2, 2, kernel, kernel))
        nodes |= {f"conv{n}": Conv2d(weight=weight, padding=(1, 1))}
        nodes |= {f"if{n}": iaf((2, side, side))}
    return Graph.chain({**nodes, "output": Output()}, dt=1e-3)


CASES = {
    "map": (maps(side=80), "speck2f", {}),
    "cores": (maps(layers=10), "speck2f", {}),
    "weights of 0": (maps(side=80, scale=1e-9), "speck2f", {}),
    "core of the user": (maps(), "speck2f", {"options": SpeckOptions(placement={"if0": 99})}),
    "hidden": (sequence(4, 1001, 3), "xylo_a2", {}),
    "input": (sequence(40, 8, 3), "xylo_a3", {}),
    "fan-out": (sequence(4, 70, 70, 3), "xylo_a2", {"quantizer": "global"}),
    "reset": (sequence(4, 8, 3, hidden=lambda n: lif(n, reset="value")), "xylo_a2", {}),
    "readout": (sequence(4, 1001, 3, output=readout), "xylo_a2", {}),
}


def refusal(case, calibration):
    graph, chip, settings = CASES[case]
    with pytest.raises(DeployError) as refused:
        deploy(graph, chip, calibration=calibration, **settings)
    return refused.value


@pytest.mark.parametrize("case", CASES)
def test_the_same_is_found_before_any_calibration_is_looked_at(case):
    graph = CASES[case][0]
    no_counts = np.full((1, 2, *graph.shape(graph.input)), -1)
    given, none = refusal(case, no_counts), refusal(case, None)
    assert given.diagnostics == none.diagnostics


@pytest.mark.parametrize("graph", [maps(), sequence(4, 8, 3)])
def test_the_calibration_of_a_network_that_may_fit_is_looked_at(graph):
    chip = "speck2f" if len(graph.shape(graph.input)) == 3 else "xylo_a2"
    with pytest.raises(ValueError, match="got -1 at sample 0"):
        deploy(graph, chip, calibration=np.full((1, 2, *graph.shape(graph.input)), -1))


def test_the_rules_on_sizes_read_no_integer():
    chip = load_chip("speck2f")
    wide = maps(side=80, layers=10).map(
        Conv2d, lambda _, node: replace(node, weight=np.ones(node.weight.shape, int))
    )
    program = lower(wide, chip)
    other = replace(
        program,
        cores=tuple(
            replace(core, weight=-core.weight, bias=[0, 9], threshold_high=7, threshold_low=-3)
            for core in program.cores
        ),
    )
    found, same = (
        [*Trial(subject=each, chip=chip, rules=SIZES).findings()] for each in (program, other)
    )
    assert {finding.rule for finding in found} == {"output_size", "core_count"}
    assert [f.message for f in found] == [f.message for f in same]


def changed(chip: SpecBase, **values: int) -> SpecBase:
    """The chip under another name, with other limits."""
    limits = {
        name: getattr(chip.limits, name).model_copy(update={"value": value})
        for name, value in values.items()
    }
    return chip.model_copy(
        update={"name": "other", "limits": chip.limits.model_copy(update=limits)}
    )


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize(
    ("graph", "name", "limits"),
    [
        (maps(), "speck2f", {"input_size": 9, "output_size": 9, "channels": 5, "destinations": 1}),
        (
            sequence(4, 8, 3),
            "xylo_a3",
            {"input_channels": 5, "output_neurons": 3, "fan_out": 9, "fan_out_memory": 99},
        ),
    ],
)
def test_integers_depend_on_the_stated_limits_alone(graph, name, limits, calibrated):
    chip = load_chip(name)
    spikes = np.random.default_rng(1).poisson(0.2, (2, 12, *graph.shape(graph.input)))
    one, other = (
        family_of(each).quantize(graph, spikes if calibrated else None, "auto")[0]
        for each in (chip, changed(chip, **limits))
    )
    assert str(one) == str(other)
