"""Hints: what they propose was done, and the same rules are content afterwards."""

from dataclasses import replace

import numpy as np
import pytest

from tests.chips.speck.networks import chain, gesture, lenet
from toolchain.chips.load import load_chip
from toolchain.chips.rules.trial import Trial
from toolchain.chips.speck import Destination, simulate
from toolchain.chips.speck.lower.place import cores_that_fit, place
from toolchain.chips.speck.rules import edits
from toolchain.chips.speck.rules.program import ALL, check
from toolchain.diagnostics import Severity

CHIP, MINI = load_chip("speck2f"), load_chip("speck2d_mini")
LAST = {"outputs": 2, "kernel": None}


def hints_by_layer(program, chip=CHIP):
    """Hint of each error."""
    return {f.where: f.hint for f in check(program, chip) if f.severity is Severity.ERROR}


def errors(program):
    """Rule and layer of everything that stops the program, the placement included."""
    found = Trial(subject=program, chip=CHIP, rules=ALL).findings()
    return {(f.rule, f.where) for f in found if f.severity is Severity.ERROR}


def test_the_number_of_channels_in_a_hint_is_the_largest_that_fits():
    program = chain((64, 8, 8), {"outputs": 100, "kernel": 3}, LAST)
    assert hints_by_layer(program) == {
        "conv0": "conv0 on two cores, with 50 and 50 output channels, gives the same output; or "
        "100 -> 64 output channels fits core 5 or 6"
    }
    assert cores_that_fit(edits.with_outputs(program, "spk0", 64)["spk0"], CHIP) == [5, 6]
    assert cores_that_fit(edits.with_outputs(program, "spk0", 65)["spk0"], CHIP) == []


def test_an_outputs_channels_are_never_cut():
    program = chain((64, 3, 3), {"outputs": 1000, "kernel": 3})
    assert hints_by_layer(program) == {"conv0": ""}


def test_what_follows_a_smaller_layer_is_fitted_to_it():
    program = lenet()
    smaller = edits.with_outputs(program, "spk1", 8)
    assert smaller["spk2"].weight.shape[1] == 8
    strided = edits.with_stride(gesture(), "spk1", (1, 2))
    assert [core.input_shape[1:] for core in strided.cores][2:] == [
        (32, 16),
        (16, 8),
        (8, 4),
        (4, 2),
        (2, 1),
        (2, 1),
        (1, 1),
    ]
    assert (
        edits.with_stride(program, "spk1", (2, 2)) is None
    )  # nothing is left for the kernel behind
    pooled = edits.with_pooling(gesture(), "spk2", 4)
    assert [core.input_shape[1] for core in pooled.cores] == [128, 64, 16, 8, 4, 2, 1, 1, 1]
    assert pooled["spk7"].weight.shape == (128, 64, 1, 1)


def test_a_layer_that_merges_gets_no_pooling_that_would_part_its_sources():
    one = {"outputs": 1, "kernel": 1}
    program = chain((1, 8, 8), one, {**one, "stride": (2, 2)}, {**one, "input_shape": (1, 4, 4)})
    first = replace(
        program["spk0"],
        destinations=(*program["spk0"].destinations, Destination(layer="spk2", pooling=2)),
    )
    program = replace(program, cores=(first, *program.cores[1:]))
    assert edits.with_pooling(program, "spk2", 4) is None
    assert edits.with_stride(program, "spk1", (4, 4)) is None


def test_a_layer_on_two_cores_computes_the_same():
    rng = np.random.default_rng(5)
    first, second = rng.integers(-20, 60, (5, 2, 2, 2)), rng.integers(-20, 60, (2, 5, 2, 2))
    program = chain(
        (2, 6, 6),
        {"outputs": 5, "kernel": 2, "weight": first, "bias": [3, -1, 0, 2, 1], "pool": 2},
        {"outputs": 2, "kernel": 2, "weight": second},
    )
    parted = edits.split(program, "spk0")
    assert [core.weight.shape[0] for core in parted.cores] == [2, 3, 2]
    assert [core.name for core in parted.cores] == ["spk0", "spk0 (rest)", "spk1"]
    assert hints_by_layer(parted) == {}
    spikes = rng.poisson(0.5, (2, 20, 2, 6, 6))
    before, after = (simulate(p, spikes) for p in (program, parted))
    np.testing.assert_array_equal(before.outputs["spk1"], after.outputs["spk1"])
    assert before.outputs["spk1"].any()


def test_half_of_a_layer_side_by_side_with_another_is_not_cut():
    program = edits.split(chain((2, 6, 6), {"outputs": 6, "kernel": 1}, LAST), "spk0")
    assert (
        edits.with_outputs(program, "spk0", 2) is None
    )  # channel 2 of what follows would be empty
    assert edits.with_outputs(program, "spk0 (rest)", 2)["spk1"].weight.shape[1] == 5


def test_a_copy_computes_the_same():
    rng = np.random.default_rng(2)
    kinds = [rng.integers(-20, 60, (3, 2, 2, 2)), *rng.integers(-20, 60, (4, 2, 3, 1, 1))]
    program = chain(
        (2, 6, 6),
        {"outputs": 3, "kernel": 2, "weight": kinds[0]},
        *[
            {"outputs": 2, "kernel": 1, "weight": kind, "input_shape": (3, 5, 5)}
            for kind in kinds[1:4]
        ],
    )
    targets = tuple(Destination(layer=f"spk{index}") for index in (1, 2, 3))
    cores = [replace(program.cores[0], destinations=targets)]
    cores += [replace(core, destinations=(), monitor=True) for core in program.cores[1:]]
    program = replace(program, cores=tuple(cores), outputs=("spk1", "spk2", "spk3"))
    assert hints_by_layer(program) == {
        "spk0": "a copy of conv0 and spk0 for spk3 gives the same output"
    }
    copied = edits.with_copy(program, "spk0", 2)
    assert [core.name for core in copied.cores] == ["spk0", "spk0 (copy)", "spk1", "spk2", "spk3"]
    assert hints_by_layer(copied) == {}
    spikes = rng.poisson(0.5, (2, 20, 2, 6, 6))
    before, after = (simulate(p, spikes) for p in (program, copied))
    for name in program.outputs:
        np.testing.assert_array_equal(before.outputs[name], after.outputs[name])
    assert before.outputs["spk3"].any()


def test_a_copy_is_not_proposed_where_its_source_has_no_destination_left():
    one = {"outputs": 1, "kernel": 1, "input_shape": (1, 4, 4)}
    program = chain((1, 4, 4), *[one] * 6)
    wiring = {"spk0": ("spk1", "spk5"), "spk1": ("spk2", "spk3", "spk4")}
    cores = tuple(
        replace(core, destinations=tuple(Destination(layer=n) for n in wiring.get(core.name, ())))
        for core in program.cores
    )
    assert hints_by_layer(replace(program, cores=cores)) == {"spk1": ""}


def test_biases_that_the_small_chips_have_no_room_for_are_told_with_a_larger_chip():
    program = chain((1, 32, 32), {"outputs": 20, "kernel": 3, "bias": [-2] * 20}, LAST)
    assert {f.where: f.message for f in place(program, MINI).findings} == {
        "spk0": "needs 512 kernel, 20 480 neuron and 20 bias words, no core of speck2d_mini has "
        "all of them; core 0 is the nearest, 20 bias words too small"
    }


@pytest.mark.parametrize("seed", range(4))
def test_after_what_a_hint_proposes_no_error_is_there_that_was_not(seed):
    rng = np.random.default_rng(seed)
    tried = 0
    for _ in range(15):
        layers = [
            {
                "outputs": int(rng.choice([8, 32, 100])),
                "kernel": int(rng.choice([3, 5])),
                "padding": (2, 2),
                "stride": (int(rng.choice([1, 1, 2])),) * 2,
            }
            for _ in range(rng.integers(1, 4))
        ]
        program = chain((2, 40, 40), *layers, {"outputs": 3, "kernel": 1})
        before = errors(program)
        for finding in check(program, CHIP):
            if "output channels fits core" in finding.hint:
                name = finding.where.replace("conv", "spk")
                most = int(finding.hint.split(" -> ")[1].split(" ")[0])
                after = errors(edits.with_outputs(program, name, most))
                assert after < before
                tried += 1
    assert tried
