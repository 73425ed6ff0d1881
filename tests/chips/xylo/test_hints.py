"""Every hint is followed here by hand, and the finding is gone; one step less does not do."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.chips.xylo.graphs import lif, readout, sequence, wired
from tests.chips.xylo.programs import as_program, quiet
from tests.oracles.xylo_networks import random_network, random_raster
from toolchain import DeployError, deploy
from toolchain.chips.load import load_chip
from toolchain.chips.xylo import Population, simulate
from toolchain.chips.xylo.rules import edits
from toolchain.chips.xylo.rules.paths import never_fires, never_read
from toolchain.chips.xylo.rules.program import RULES, check
from toolchain.diagnostics import Severity

A2, IMU, A3 = map(load_chip, ("xylo_a2", "xylo_imu", "xylo_a3"))


def hints(program, chip, rule):
    """The hints of the one finding of that rule."""
    (finding,) = (f for f in check(program, chip) if f.rule == rule)
    return finding.hint.split("; or ") if finding.hint else []


def found(program, chip, rule):
    return rule in {f.rule for f in check(program, chip)}


def plain(rng, *sizes, inputs=4, outputs=3, chain=True, most=127):
    """Layers of these sizes, each with weights to the next, as a specification."""
    hidden = sum(sizes)
    into = np.zeros((inputs, hidden, 1), int)
    between = np.zeros((hidden, hidden, 1), int)
    out = np.zeros((hidden, outputs), int)
    starts = np.cumsum([0, *sizes])

    def weights(*shape):
        return rng.integers(1, most + 1, shape) * rng.choice([-1, 1], shape)

    into[:, : sizes[0]] = weights(inputs, sizes[0], 1)
    out[starts[-2] :] = weights(sizes[-1], outputs)
    for k in range(len(sizes) - 1 if chain else 0):
        block = (slice(starts[k], starts[k + 1]), slice(starts[k + 1], starts[k + 2]))
        between[block] = weights(sizes[k], sizes[k + 1], 1)
    populations = [
        Population(name=f"fc{k}", role="hidden", start=int(starts[k]), stop=int(starts[k + 1]))
        for k in range(len(sizes))
    ]
    populations.append(Population(name="out", role="output", start=0, stop=outputs))
    return {
        "inputs": inputs,
        "hidden": hidden,
        "outputs": outputs,
        "weights_in": into,
        "weights_rec": between,
        "weights_out": out,
        "threshold": np.full(hidden, 200),
        "threshold_out": np.full(outputs, 200),
        "populations": tuple(populations),
    }


def shrunk(spec, layer, size):
    """The specification with ``size`` neurons in one layer, put together anew."""
    sizes = {p.name: p.stop - p.start for p in spec["populations"] if p.role == "hidden"}
    keep, start, populations = [], 0, []
    for p in spec["populations"]:
        if p.role == "output":
            populations.append(p)
            continue
        left = size if p.name == layer else sizes[p.name]
        keep += range(p.start, p.start + left)
        populations.append(replace(p, start=start, stop=start + left))
        start += left
    return spec | {
        "hidden": len(keep),
        "weights_in": spec["weights_in"][:, keep],
        "weights_rec": spec["weights_rec"][keep][:, keep],
        "weights_out": spec["weights_out"][keep],
        "threshold": spec["threshold"][keep],
        "populations": tuple(populations),
    }


# ---- fewer neurons ----


@pytest.mark.parametrize(
    ("rule", "chip", "sizes", "layer", "kept"),
    [
        ("hidden_neurons", A2, (30, 980, 10), "fc1", 960),
        ("hidden_neurons", IMU, (128, 300, 128), "fc1", 240),
        ("fan_out", A2, (20, 90, 10), "fc1", 64),
        ("fan_out_memory", A3, (120, 180, 90), "fc1", 151),
        ("input_expansion", A3, (140, 20), "fc0", 128),
        ("output_expansion", IMU, (20, 140), "fc1", 128),
    ],
)
def test_a_layer_of_the_size_told_fits_and_one_neuron_more_does_not(rule, chip, sizes, layer, kept):
    spec = plain(np.random.default_rng(0), *sizes)
    size = int(layer[2:])
    text = f"{layer!r} {sizes[size]} -> {kept} neurons fits"
    assert text in hints(quiet(**spec), chip, rule)
    assert not found(quiet(**shrunk(spec, layer, kept)), chip, rule)
    assert found(quiet(**shrunk(spec, layer, kept + 1)), chip, rule)


def test_no_layer_is_named_where_cutting_one_is_not_enough():
    spec = plain(np.random.default_rng(0), 600, 1100, chain=False)
    assert not any("neurons fits" in hint for hint in hints(quiet(**spec), IMU, "hidden_neurons"))


def test_neurons_without_effect_are_offered_first_and_the_outputs_stay():
    rng = np.random.default_rng(1)
    spec = plain(rng, 30, 40, chain=True, most=60)
    spec["weights_out"][35:60] = 0  # never read
    spec["weights_in"] = abs(spec["weights_in"])
    spec["weights_in"][:, :10] *= -1  # never fire
    chip = chip_with(hidden_neurons=40)
    text = (
        "it fits without 35 of 70 hidden neurons that never fire or are never read, with the "
        "same outputs"
    )
    assert hints(quiet(**spec), chip, "hidden_neurons") == [
        "the program fits xylo_a3 or xylo_imu",
        text,
        "'fc1' 40 -> 10 neurons fits",
    ]
    keep = [*range(10, 30), *range(30, 35), *range(60, 70)]
    smaller = spec | {
        "hidden": 35,
        "weights_in": spec["weights_in"][:, keep],
        "weights_rec": spec["weights_rec"][keep][:, keep],
        "weights_out": spec["weights_out"][keep],
        "threshold": spec["threshold"][keep],
        "populations": (),
    }
    assert not found(quiet(**smaller), chip, "hidden_neurons")
    raster = rng.integers(0, 4, (5, 40, 4))
    want = simulate(quiet(**spec), raster).spikes
    assert want.any()
    np.testing.assert_array_equal(simulate(quiet(**smaller), raster).spikes, want)


def test_channels_without_weights_are_offered_to_go():
    weights = np.ones((20, 2, 1), int)
    weights[[3, 7, 8, 9]] = 0
    assert hints(quiet(inputs=20, weights_in=weights), A2, "input_channels") == [
        "it fits without the 4 channels that reach nothing"
    ]
    kept = quiet(inputs=16, weights_in=np.delete(weights, [3, 7, 8, 9], axis=0))
    assert not found(kept, A2, "input_channels")
    weights[4:] = 1
    assert hints(quiet(inputs=20, weights_in=weights), A2, "input_channels") == []


def chip_with(chip=A2, **limits):
    """The chip with other limits."""
    fields = {
        name: getattr(chip.limits, name).model_copy(update={"value": value})
        for name, value in limits.items()
    }
    return chip.model_copy(update={"limits": chip.limits.model_copy(update=fields)})


# ---- fewer connections ----


def test_pruning_as_told_leaves_the_strongest_targets_of_each_neuron():
    rng = np.random.default_rng(2)
    spec = plain(rng, 10, 90, 5)
    spec["weights_rec"][0, 10:20] = 0
    weights = spec["weights_rec"].copy()
    removed = []
    for row in weights[:10, :, 0]:
        while np.count_nonzero(row) > 64:
            weakest = np.flatnonzero(row)[np.abs(row[row != 0]).argmin()]
            removed.append(abs(row[weakest]))
            row[weakest] = 0
    assert hints(quiet(**spec), A2, "fan_out")[1] == (
        "prune up to 26 of each neuron's smallest weights between hidden layers: the largest "
        f"removed is {max(removed)} of 127"
    )
    pruned = quiet(**spec | {"weights_rec": weights})
    assert not found(pruned, A2, "fan_out")
    assert pruned.fan_out().max() == 64


def test_pruning_by_memory_takes_the_smallest_of_all():
    spec = plain(np.random.default_rng(3), 120, 300, 20)
    flat = np.abs(spec["weights_rec"]).ravel()
    many = np.count_nonzero(flat) - 31744
    found_hints = hints(quiet(**spec), A3, "fan_out_memory")
    bound = np.sort(flat[flat > 0])[many - 1]
    assert found_hints[0] == (
        f"prune the {many:,} smallest weights between hidden layers: the largest removed is "
        f"{bound} of 127"
    ).replace(",", " ")
    weights = np.where(np.abs(spec["weights_rec"]) <= bound, 0, spec["weights_rec"])
    assert not found(quiet(**spec | {"weights_rec": weights}), A3, "fan_out_memory")
    weights = np.where(np.abs(spec["weights_rec"]) < bound, 0, spec["weights_rec"])
    assert found(quiet(**spec | {"weights_rec": weights}), A3, "fan_out_memory")


def test_a_connection_counts_by_the_larger_of_its_two_weights():
    weights = np.zeros((4, 4, 2), int)
    weights[0, :, 0] = 1, 2, 3, -128
    weights[0, :, 1] = 100, 1, 0, 0
    program = quiet(hidden=4, synapses=2, weights_rec=weights)
    assert hints(program, chip_with(fan_out=2), "fan_out")[1] == (
        "prune up to 2 of each neuron's smallest weights between hidden layers: the largest "
        "removed is 3 of 127"
    )


# ---- another chip ----


@pytest.mark.parametrize(
    ("chip", "rule", "graph"),
    [
        ("xylo_a2", "fan_out", sequence(4, 30, 80, 3)),
        ("xylo_a2", "output_neurons", sequence(4, 30, 30, 12)),
        ("xylo_imu", "hidden_neurons", sequence(4, 40, 440, 20, 3)),
        ("xylo_imu", "output_expansion", sequence(4, 200, 3)),
        (
            "xylo_a2",
            "output_neurons",
            wired(
                3,
                {"late": lif(20), "fed": lif(30), "middle": lif(90), "out": readout(10)},
                [
                    ("input", "fed", np.ones((30, 3))),
                    ("fed", "middle", np.ones((90, 30))),
                    ("middle", "late", np.ones((20, 90))),
                    ("late", "out", np.ones((10, 20))),
                ],
            ),
        ),
    ],
)
def test_a_chip_that_the_program_fits_takes_the_network(chip, rule, graph):
    with pytest.raises(DeployError) as refusal:
        deploy(graph, chip=chip)
    finding = next(f for f in refusal.value.diagnostics if f.rule == rule)
    first = finding.hint.split("; or ")[0]
    names = re.fullmatch(r"the program fits (.*)", first).group(1).split(" or ")
    for name in ("xylo_a2", "xylo_a3", "xylo_imu"):
        if name in names:
            deploy(graph, chip=name)
        else:
            with pytest.raises(DeployError):
                deploy(graph, chip=name)


def test_where_no_chip_takes_all_those_with_enough_of_one_thing_are_named():
    program = quiet(outputs=33, hidden=700)
    assert hints(program, IMU, "hidden_neurons")[0] == "xylo_a2 or xylo_a3 has enough of these"
    assert hints(program, IMU, "output_neurons") == []
    for chip in (A2, A3):
        assert {f.rule for f in check(program, chip) if f.severity is Severity.ERROR} == {
            "output_neurons"
        }


def test_nobody_is_sent_to_a_chip_without_biases():
    program = quiet(outputs=12, bias_out=np.ones(12, int))
    assert hints(program, A2, "output_neurons") == ["the program fits xylo_a3 or xylo_imu"]
    assert edits.moved(program, load_chip("xylo_1")) is None


# ---- another order ----


def test_neurons_numbered_as_told_are_within_reach_and_do_the_same():
    rng = np.random.default_rng(4)
    spec = plain(rng, 100, 50, 30, most=40)
    order = rng.permutation(180)
    spec |= {
        "weights_in": abs(spec["weights_in"][:, order]),
        "weights_rec": spec["weights_rec"][order][:, order],
        "weights_out": spec["weights_out"][order],
        "populations": (),
    }
    program = quiet(**spec)
    text = "it fits with neurons renumbered, those fed by the input first and those read out last"
    for rule in ("input_expansion", "output_expansion"):
        assert text in hints(program, A3, rule)
    reached = spec["weights_in"].any(axis=(0, 2))
    reading = spec["weights_out"].any(axis=1)
    ids = [*np.flatnonzero(reached), *np.flatnonzero(~reached & ~reading), *np.flatnonzero(reading)]
    numbered = quiet(
        **spec
        | {
            "weights_in": spec["weights_in"][:, ids],
            "weights_rec": spec["weights_rec"][ids][:, ids],
            "weights_out": spec["weights_out"][ids],
        }
    )
    assert check(numbered, A3) == ()
    np.testing.assert_array_equal(edits.by_neuron(program).weights_rec, numbered.weights_rec)
    raster = rng.integers(0, 3, (4, 30, 4))
    want = simulate(program, raster, record=True)
    assert want.spikes.any()
    assert not sum(want.saturations.values())
    np.testing.assert_array_equal(simulate(numbered, raster).spikes, want.spikes)


def test_layers_that_hand_their_spikes_on_are_not_numbered_anew():
    weights = np.zeros((1, 200, 1), int)
    weights[0, 150] = 1
    program = quiet(hidden=200, weights_in=weights, aliases=((1,), *((),) * 199))
    assert not any("numbered" in hint for hint in hints(program, A3, "input_expansion"))


# ---- other numbers in the registers ----


def test_two_currents_of_which_each_neuron_uses_one_are_one_without_any_difference():
    rng = np.random.default_rng(5)
    tried = 0
    while tried < 20:
        net = random_network(rng, "v2", most_hidden=10)
        if net["weights_in"].shape[2] == 1:
            continue
        second = rng.random(net["weights_in"].shape[1]) < 0.5
        for name in ("weights_in", "weights_rec"):
            net[name] = net[name] * np.stack([~second, second], axis=1)
        program = as_program(net)
        text = "no neuron uses two currents: with one, the network is the same"
        assert text in hints(program, IMU, "synapses")
        single = as_program(
            net
            | {
                "weights_in": np.where(second, *np.moveaxis(net["weights_in"], 2, 0)[::-1])[
                    ..., None
                ],
                "weights_rec": np.where(second, *np.moveaxis(net["weights_rec"], 2, 0)[::-1])[
                    ..., None
                ],
                "dash_syn": np.where(second, net["dash_syn_2"], net["dash_syn"]),
            }
        )
        assert not found(single, IMU, "synapses")
        np.testing.assert_array_equal(edits.one_current(program).weights_in, single.weights_in)
        raster = random_raster(rng, net, 40)[None]
        want, got = (simulate(p, raster, record=True) for p in (program, single))
        np.testing.assert_array_equal(got.spikes, want.spikes)
        np.testing.assert_array_equal(got.v_mem, want.v_mem)
        tried += 1


def test_a_neuron_that_uses_both_currents_keeps_them():
    weights = np.ones((1, 2, 2), int)
    assert hints(quiet(synapses=2, weights_in=weights), IMU, "synapses") == [
        "the program fits xylo_a2 or xylo_a3"
    ]


@pytest.mark.parametrize("name", ["in", "rec", "out"])
def test_a_smaller_shift_of_larger_weights_is_the_same(name):
    rng = np.random.default_rng(6)
    net = random_network(rng, "v2", most_hidden=10)
    for matrix in ("in", "rec", "out"):
        net[f"weights_{matrix}"] = net[f"weights_{matrix}"] // 8
        net[f"weight_shift_{matrix}"] = 0
    net[f"weight_shift_{name}"] = 9
    program = as_program(net)
    assert f"weights_{name} times 4 with weight_shift_{name} 7 are the same numbers" in hints(
        program, A2, "weight_shifts"
    )
    same = as_program(
        net | {f"weights_{name}": net[f"weights_{name}"] * 4, f"weight_shift_{name}": 7}
    )
    assert not found(same, A2, "weight_shifts")
    raster = random_raster(rng, net, 60)[None]
    want, got = (simulate(p, raster, record=True) for p in (program, same))
    np.testing.assert_array_equal(got.spikes, want.spikes)
    np.testing.assert_array_equal(got.i_syn, want.i_syn)


def test_a_bias_fits_at_the_scale_told_and_not_at_twice_that():
    spec = {
        "weights_in": np.array([[[100], [7]]]),
        "weights_rec": np.array([[[10], [20]], [[30], [-5]]]),
        "threshold": np.array([3000, 90]),
        "bias": np.array([500, -3]),
    }
    assert hints(quiet(**spec), A2, "biases") == [
        "weights, thresholds and biases of hidden divided by 4 and rounded fit"
    ]

    def divided(factor):
        return quiet(**{name: np.rint(value / factor) for name, value in spec.items()})

    assert not found(divided(4), A2, "biases")
    assert found(divided(2), A2, "biases")
    layer = quiet(**spec).populations[0]
    np.testing.assert_array_equal(
        edits.rescaled(quiet(**spec), layer, 4).weights_rec, divided(4).weights_rec
    )


def test_a_scale_that_makes_a_threshold_0_is_not_offered():
    spec = {"threshold": np.array([1, 500]), "bias": np.array([500, 0])}
    assert hints(quiet(**spec), A2, "biases") == []


def test_only_the_layer_that_is_too_large_is_scaled():
    rng = np.random.default_rng(7)
    program = quiet(**plain(rng, 5, 6))
    for layer in program.populations:
        changed = edits.rescaled(program, layer, 8)
        ids = slice(layer.start, layer.stop)
        if layer.role == "output":
            np.testing.assert_array_equal(changed.weights_out, np.rint(program.weights_out / 8))
            np.testing.assert_array_equal(changed.threshold, program.threshold)
            np.testing.assert_array_equal(changed.weights_in, program.weights_in)
            continue
        want = program.weights_rec.astype(float)
        want[:, ids] = np.rint(want[:, ids] / 8)
        np.testing.assert_array_equal(changed.weights_rec, want)
        np.testing.assert_array_equal(changed.weights_out, program.weights_out)
        assert set(changed.threshold[ids]) == {25}
        assert changed.threshold.sum() == 200 * 11 - 175 * (layer.stop - layer.start)


def test_a_threshold_of_1_is_offered_where_nothing_drives_the_neuron():
    weights = np.array([[[0], [-5], [3]]])
    low = quiet(hidden=3, weights_in=weights, threshold=np.array([0, -2, 9]))
    assert hints(low, A2, "thresholds") == [
        "these neurons have no positive input: with threshold 1 they never fire"
    ]
    raised = replace(low, threshold=np.array([1, 1, 9]))
    assert not found(raised, A2, "thresholds")
    run = simulate(raised, np.full((1, 50, 1), 3), record=True)
    assert not run.hidden_spikes[..., :2].any()
    driven = quiet(hidden=3, weights_in=weights, threshold=np.array([0, -2, 0]))
    assert hints(driven, A2, "thresholds") == []


def test_dash_1_is_heard():
    fields = {"weights_in": np.array([[[90]]]), "threshold": np.array([20])}
    deaf = quiet(hidden=1, dash_syn=np.array([0]), **fields)
    assert hints(deaf, A2, "decays") == [
        ("dash 1 is the shortest decay that keeps a part of the state")
    ]
    program = quiet(hidden=1, dash_syn=np.array([1]), **fields)
    assert not found(program, A2, "decays")
    once = np.array([[[1], [0], [0]]])
    assert not simulate(deaf, once, record=True).hidden_spikes.any()
    assert simulate(program, once, record=True).hidden_spikes.any()


# ---- aliases ----


def test_a_loop_without_the_alias_that_closes_it_is_none():
    aliases = ((2,), (), (3,), (0,))
    assert hints(quiet(hidden=4, aliases=aliases), A2, "alias_loops") == [
        "remove the alias that closes it"
    ]
    opened = quiet(hidden=4, aliases=((2,), (), (3,), ()))
    assert check(opened, A2) == tuple(f for f in check(opened, A2) if "alias" not in f.rule)


def test_two_ways_round_that_one_cut_does_not_open_have_no_hint():
    aliases = ((1,), (2, 0), (0,))
    chip = chip_with(alias_targets=2)
    assert hints(quiet(hidden=3, aliases=aliases), chip, "alias_loops") == []


@pytest.mark.parametrize(
    ("aliases", "fired", "counts"),
    [
        (((0,), (), ()), 0, [2, 0, 0]),
        (((1,), (0,), ()), 0, [2, 1, 0]),
        (((1,), (2,), (0,)), 1, [1, 1, 1]),
        (((), (0,), ()), 1, [1, 1, 0]),
        (((2,), (0,), ()), 1, [1, 1, 0]),
        (((1,), (2,), ()), 0, [1, 1, 1]),
    ],
)
def test_what_aliases_do_is_what_the_rules_say_of_them(aliases, fired, counts):
    # the same counts as xylosim 0.1.3, both cores
    weights = np.zeros((3, 3, 1), int)
    weights[fired, fired] = 100
    program = quiet(
        inputs=3, hidden=3, weights_in=weights, threshold=np.full(3, 40),
        dash_syn=np.full(3, 1), dash_mem=np.full(3, 3), aliases=aliases,
    )  # fmt: skip
    raster = np.zeros((1, 2, 3), int)
    raster[0, 0, fired] = 1
    assert simulate(program, raster, record=True).hidden_spikes[0, 0].tolist() == counts


# ---- time ----


def test_the_step_told_is_long_enough_and_one_digit_less_is_not():
    program = quiet(**plain(np.random.default_rng(8), 60, 60), dt=1e-4)
    (hint,) = hints(program, A2, "real_time")
    dt = float(re.fullmatch(r"dt of (\S+) s or longer", hint).group(1))
    assert not found(replace(program, dt=dt), A2, "real_time")
    assert found(replace(program, dt=dt * 0.99), A2, "real_time")


def test_the_step_of_the_sensor_is_the_one_of_real_time():
    assert hints(quiet(dt=1e-3), IMU, "real_time_step") == ["dt of 0.005 s"]
    assert not found(quiet(dt=0.005), IMU, "real_time_step")


# ---- all of them ----


def test_what_is_left_out_as_idle_changes_no_output():
    rng = np.random.default_rng(9)
    dropped = 0
    for _ in range(60):
        net = random_network(rng, "v2", most_hidden=14)
        net["aliases"] = [[] for _ in net["aliases"]]
        for name in ("weights_in", "weights_rec", "weights_out"):
            net[name] = net[name] * (rng.random(net[name].shape) < 0.2)
        program = as_program(net)
        idle = never_fires(program)[0] | never_read(program)
        smaller = edits.without_neurons(program, idle)
        if smaller is None:
            continue
        dropped += int(idle.sum())
        raster = random_raster(rng, net, 50)[None]
        want = simulate(program, raster).spikes
        np.testing.assert_array_equal(simulate(smaller, raster).spikes, want)
    assert dropped > 100


def test_findings_with_hints_are_the_rules_own():
    rng = np.random.default_rng(10)
    program = quiet(**plain(rng, 20, 90, 10))
    before = str(program)
    bare = [f for rule in RULES for f in rule(program, A2)]
    assert [replace(f, hint="") for f in check(program, A2)] == bare
    assert check(program, A2) == check(program, A2)
    assert str(program) == before


def test_a_chip_in_its_own_words_is_never_the_one_that_was_asked():
    for chip in (A2, A3, IMU):
        for f in check(quiet(outputs=40, hidden=1200), chip):
            assert not re.search(rf"\b{chip.name}\b.*(enough|fits)", f.hint)
