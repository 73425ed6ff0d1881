import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chips.speck import contract
from tests.chips.speck.graphs import branching, conv, iaf, one
from tests.oracles.speck_quantizers import assert_integers, graph_of, read
from toolchain import deploy
from toolchain.chips.load import load_chip
from toolchain.chips.speck.quantize import candidates as tries
from toolchain.chips.speck.quantize import joint, measure
from toolchain.chips.speck.quantize.alone import ScoredIntegers, respond
from toolchain.chips.speck.quantize.auto import auto, choose_outcome
from toolchain.chips.speck.quantize.guess import choose_on_guess, from_weights
from toolchain.chips.speck.quantize.layer import SpeckWords, apply_integers, integers, read_layers
from toolchain.chips.speck.quantize.refine import NetworkTrial, part_behind
from toolchain.chips.speck.quantize.report import agreements
from toolchain.chips.speck.simulate.run import simulate
from toolchain.chips.uncalibrated import findings_on_guess
from toolchain.diagnostics import Severity
from toolchain.ir import Conv2d, Graph, Input, Output, Sensor
from toolchain.runs.interpret import interpret
from toolchain.runs.recording import count_agreement

CHIP = load_chip("speck2f")
WORDS = SpeckWords.of(CHIP)
RECORDED = {case: rest for case, *rest in read()}


def weights(*values, bias=None):
    """A 1 x 1 convolution, one output channel."""
    return Conv2d(weight=np.reshape(values, (1, -1, 1, 1)), bias=bias)


def layer_of(weight, neuron=None):
    return one(neuron, weight, shape=(weight.weight.shape[1], 2, 2))


def quantized(graph, method="auto", calibration=None):
    """The integers, and the findings by rule and layer."""
    done, found = contract.quantize(graph, CHIP, calibration, method)
    return done, {(f.rule, f.where): f for f in found}


def counts(shape, rate=0.2, seed=0):
    return np.random.default_rng(seed).poisson(rate, shape)


def on_chip(graph, spikes):
    """Output spikes, in the shape of the float network's."""
    return measure.quantized_outputs(graph, spikes, CHIP)


def agreement(graph, done, spikes):
    wanted = measure.float_outputs(graph, measure.trace_layers(graph, spikes))
    return count_agreement(wanted, on_chip(done, spikes))


# ---- common ----


@pytest.mark.parametrize("case", RECORDED)
def test_common_makes_the_integers_recorded_from_sinabs(case):
    layer, wanted = RECORDED[case]
    done, _ = contract.quantize(graph_of(layer), CHIP, None, "common")
    assert_integers(done, wanted)


@pytest.mark.parametrize("case", RECORDED)
def test_common_without_a_floor_is_common_with_one_that_limits_nothing(case):
    layer, _ = RECORDED[case]
    floored = {**layer, "floor": -layer["threshold"]}
    without = {name: value for name, value in layer.items() if name != "floor"}
    one_, other = (quantized(graph_of(each), "common")[0] for each in (floored, without))
    assert other["neurons"].v_min is None
    for name in ("weight", "bias"):
        np.testing.assert_array_equal(getattr(one_["conv"], name), getattr(other["conv"], name))
    assert one_["neurons"].v_threshold == other["neurons"].v_threshold


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            layer_of(weights(0.25, -0.5)),
            "weights limit its scale to 256: weights use 128 of 128 levels",
        ),
        (
            layer_of(weights(0.25, -0.5, bias=[-2.0])),
            "bias limits its scale to 63.5: weights use 32 of 127 levels",
        ),
        (
            layer_of(weights(1e-3, -5e-4)),
            "threshold limits its scale to 3.277e+04: weights use 33 of 127 levels",
        ),
        (
            layer_of(weights(0.25), {"v_min": -1024.0}),
            "floor limits its scale to 32: weights use 8 of 127 levels",
        ),
        (
            layer_of(weights(0.25), {"v_init": 1024.0}),
            "state limits its scale to 32: weights use 8 of 127 levels",
        ),
    ],
)
def test_common_says_which_word_limits_a_scale(graph, message):
    _, found = quantized(graph, "common")
    assert found["levels", "conv"].message == message


def test_a_bias_of_127_steps_costs_common_nothing_and_a_larger_one_does():
    for bias, levels in ((1.0, 127), (2.0, 64)):
        done, _ = quantized(layer_of(weights(1.0, bias=[bias])), "common")
        assert done["conv"].weight.max() == levels
        assert done["conv"].bias == 127


# ---- auto, from the weights alone ----


def test_auto_gives_a_bias_sixteen_bits():
    done, found = quantized(layer_of(weights(0.25, -0.5, bias=[-2.0])))
    assert done["conv"].weight.ravel().tolist() == [63, -126]
    assert done["conv"].bias == -504
    assert found["levels", "conv"].message == (
        "weights limit its scale to 252: weights use 126 of 127 levels"
    )


@pytest.mark.parametrize("unit", [1.0, 0.375, 0.1])
@pytest.mark.parametrize("calibrated", [True, False])
def test_auto_takes_numbers_exactly_where_one_scale_makes_them_integers(unit, calibrated):
    rng = np.random.default_rng(0)
    whole_weights = rng.integers(-40, 41, (3, 2, 3, 3))
    neuron = {"v_threshold": unit * 57, "v_min": -unit * 30}
    layer = one(neuron, Conv2d(weight=unit * whole_weights), shape=(2, 4, 4))
    done, _ = quantized(layer, "auto", counts((2, 20, 2, 4, 4)) if calibrated else None)
    factor = 127 // np.abs(whole_weights).max()
    np.testing.assert_array_equal(done["conv"].weight, factor * whole_weights)
    assert int(done["spk"].v_threshold) == factor * 57
    assert int(done["spk"].v_min) == -factor * 30


@pytest.mark.parametrize(("bias", "word"), [(32767 / 127.49, "weights"), (259.0, "bias")])
def test_auto_keeps_a_bias_within_sixteen_bits(bias, word):
    done, found = quantized(layer_of(weights(1.0, bias=[bias])))
    assert abs(int(done["conv"].bias[0])) <= 32767
    assert found["levels", "conv"].message.startswith(f"{word} limit")


@pytest.mark.parametrize("floor", [None, -1.0, -1000.0])
def test_no_floor_limits_the_scale_of_auto(floor):
    done, _ = quantized(layer_of(weights(0.25, -0.5), {"v_min": floor}))
    assert done["conv"].weight.ravel().tolist() == [63, -126]
    assert done["spk"].v_threshold == 252
    wanted = {None: None, -1.0: -252, -1000.0: -32768}[floor]
    assert done["spk"].v_min == wanted


@pytest.mark.parametrize(("floor", "word"), [(-1e-3, -1), (0.0, 0)])
def test_a_floor_below_zero_stays_below_zero(floor, word):
    done, _ = quantized(layer_of(weights(0.25, -0.5), {"v_min": floor}))
    assert done["spk"].v_min == word


def test_auto_prefers_a_scale_that_makes_the_threshold_whole():
    done, _ = quantized(layer_of(weights(1.789286, -0.9)))  # 127 / 1.789 = 70.98
    assert done["spk"].v_threshold == 71
    assert done["conv"].weight.ravel().tolist() == [127, -64]


@pytest.mark.parametrize("threshold", [1e-3, 0.01, 1.0, 3e4])
def test_a_threshold_stays_in_its_word(threshold):
    done, _ = quantized(layer_of(weights(1.0, 0.5), {"v_threshold": threshold, "v_min": None}))
    assert 1 <= done["spk"].v_threshold <= 32767


# ---- auto, on data ----


@pytest.mark.parametrize("seed", range(12))
def test_on_calibration_auto_is_never_worse_than_common(seed):
    graph = branching(np.random.default_rng(seed), biases=seed % 2 == 1)
    spikes = counts((3, 40, *graph.shape("input")), seed=seed)
    known, _ = quantized(graph, "common")
    done, _ = quantized(graph, "auto", spikes)
    assert agreement(graph, done, spikes) >= agreement(graph, known, spikes)


def test_on_spikes_it_never_heard_auto_is_better_than_common_for_most_networks():
    better = worse = 0
    for seed in range(12, 24):
        graph = branching(np.random.default_rng(seed), biases=seed % 2 == 1)
        spikes = counts((10, 40, *graph.shape("input")), seed=seed)
        done, known = quantized(graph, "auto", spikes[:4])[0], quantized(graph, "common")[0]
        mine, theirs = (agreement(graph, each, spikes[4:]) for each in (done, known))
        better, worse = better + (mine > theirs), worse + (mine < theirs)
    assert better >= 2 * worse


def test_the_same_data_give_the_same_integers_and_leave_the_input_alone():
    graph = branching(np.random.default_rng(5), biases=True)
    spikes = counts((2, 30, *graph.shape("input")))
    before = str(graph)
    first, second = (contract.quantize(graph, CHIP, spikes, "auto") for _ in range(2))
    assert str(first[0]) == str(second[0])
    assert first[1] == second[1]
    assert str(graph) == before


def test_a_weight_that_nothing_reaches_is_cut_and_that_is_said():
    rng = np.random.default_rng(0)
    weight = rng.normal(0.2, 0.3, (4, 4, 3, 3))
    weight[0, 3, 0, 0] = 40.0
    graph = layer_of(Conv2d(weight=weight, padding=1))
    spikes = counts((4, 60, 4, 2, 2))
    spikes[:, :, 3] = 0
    done, found = quantized(graph, "auto", spikes)
    message = found["levels", "conv"].message
    assert "; 1 of 144 is clipped (percentile 99.31)" in message
    known, _ = quantized(graph, "common")
    assert agreement(graph, done, spikes) > agreement(graph, known, spikes)


def test_a_bias_that_ruins_common_is_kept_by_auto():
    rng = np.random.default_rng(0)
    weight = rng.normal(0.3, 0.2, (3, 2, 1, 1))
    graph = layer_of(Conv2d(weight=weight, bias=[-20.0, 0.05, 0.1]))
    spikes = counts((3, 60, 2, 2, 2), 0.5)
    done, _ = quantized(graph, "auto", spikes)
    known, _ = quantized(graph, "common")
    assert np.abs(known["conv"].weight).max() < 8
    assert np.abs(done["conv"].weight).max() > 100
    assert agreement(graph, done, spikes) > 0.98 > agreement(graph, known, spikes)


@pytest.mark.parametrize("neuron", [{"v_min": None}, {"reset": "value"}, {"v_init": 0.5}])
def test_auto_hears_every_kind_of_neuron_that_speck_has(neuron):
    weight = conv(3, 2, 2, np.random.default_rng(3))
    graph = one(neuron, weight, shape=(2, 5, 5))
    spikes = counts((2, 40, 2, 5, 5))
    done, found = quantized(graph, "auto", spikes)
    assert agreement(graph, done, spikes) > 0.95
    assert "on the float network's spikes its counts agree to" in found["levels", "conv"].message


@pytest.mark.parametrize("form", [{"groups": 2}, {"dilation": 2}, {"groups": 2, "dilation": 2}])
def test_auto_hears_grouped_and_dilated_kernels(form):
    inputs = 2 // form.get("groups", 1)
    graph = one(weight=conv(4, inputs, 3, np.random.default_rng(1), **form), shape=(2, 8, 8))
    spikes = counts((2, 40, 2, 8, 8), 0.1)
    (layer,) = read_layers(graph)
    assert measure.trace_layers(graph, spikes)["spk"].spikes.any()
    m = joint.moments(layer.conv, spikes)
    assert m.shape == (form.get("groups", 1), 9 * inputs, 9 * inputs)
    done, _ = quantized(graph, "auto", spikes)
    assert agreement(graph, done, spikes) > 0.95


def test_a_layer_of_integers_repeats_itself_alone():
    rng = np.random.default_rng(0)
    weight = Conv2d(weight=rng.integers(-60, 128, (2, 2, 3, 3)).astype(float), bias=[-3.0, 5.0])
    graph = one({"v_threshold": 90.0, "v_min": -90.0}, weight, shape=(2, 6, 6))
    (layer,) = read_layers(graph)
    trace = measure.trace_layers(graph, counts((2, 30, 2, 6, 6)))["spk"]
    (scored,) = respond(layer, [integers(layer, 1.0, WORDS, limited_by="weights")], trace)
    assert trace.spikes.any()
    assert (scored.agreement, scored.saturations, scored.silent) == (1.0, 0, False)


def random_layer(rng):
    """A layer of any form, and counts that drive some sums beyond 16 bits."""
    groups = int(rng.choice([1, 1, 2]))
    inputs, outputs = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 20))
    weight = Conv2d(
        weight=rng.normal(0.1, 0.4, (outputs, inputs // groups, *rng.integers(1, 4, 2))),
        bias=rng.normal(0, 0.3, outputs) if rng.random() < 0.5 else None,
        groups=groups,
        stride=rng.integers(1, 3, 2),
        padding=rng.integers(0, 3, 2),
        dilation=rng.integers(1, 3, 2),
    )
    maps = (inputs, int(rng.integers(5, 9)), int(rng.integers(5, 9)))
    floor = rng.choice([-1.0, -30.0, 0.0])
    neuron = {
        "v_min": floor if rng.random() < 0.7 else None,
        "reset": "value" if rng.random() < 0.4 else "subtract",
        "v_init": rng.normal(0, 1, weight.output_shape(maps)) if rng.random() < 0.3 else 0.0,
    }
    spikes = rng.poisson(rng.choice([0.05, 0.5, 60.0, 900.0]), (2, 12, *maps))
    return one(neuron, weight, shape=maps), spikes


@pytest.mark.parametrize("seed", range(8))
def test_candidates_side_by_side_are_scored_as_the_simulator_runs_each(seed):
    graph, spikes = random_layer(np.random.default_rng(seed))
    (layer,) = read_layers(graph)
    trace = measure.trace_layers(graph, spikes)["spk"]
    tried = [integers(layer, s, WORDS, limited_by="") for s in (3.0, 40.0, 900.0, 9000.0)]
    for quantized_layer, found in zip(tried, respond(layer, tried, trace), strict=True):
        program = contract.lower(apply_integers(graph, {"spk": quantized_layer}), CHIP)
        run = simulate(program, trace.inputs)
        got = run.spikes.reshape(trace.spikes.shape)
        assert found.agreement == count_agreement(trace.spikes, got)
        assert found.saturations == run.saturations["spk"]


def test_the_layers_behind_one_answer_alone_as_in_the_whole_network():
    graph = branching(np.random.default_rng(13), biases=True)
    spikes, layers = counts((2, 20, *graph.shape("input"))), read_layers(graph)
    scales = {layer.name: integers(layer, 90.0, WORDS, limited_by="") for layer in layers}
    program = contract.lower(apply_integers(graph, scales), CHIP)
    whole = simulate(program, spikes, record=True)
    parts = [part_behind(program, layer.name) for layer in layers]
    assert [part is None for part in parts] == [True, False, True, False]
    for source, part in filter(None, parts):
        run = simulate(part, whole.layers[source].spikes)
        for name, got in run.outputs.items():
            np.testing.assert_array_equal(got, whole.outputs[name])


def test_what_a_layer_hears_is_what_the_float_network_sends_it():
    graph = branching(np.random.default_rng(7))
    spikes = counts((3, 20, *graph.shape("input")))
    reference = interpret(graph, spikes, record=True).layers
    for layer in read_layers(graph):
        trace = measure.trace_layers(graph, spikes)[layer.name]
        np.testing.assert_array_equal(trace.spikes, reference[layer.name].spikes)
        alone = Graph.chain(
            {
                "input": Input(shape=trace.inputs.shape[2:]),
                layer.weight_name: layer.conv,
                layer.name: layer.neuron,
                "output": Output(),
            }
        )
        np.testing.assert_array_equal(interpret(alone, trace.inputs).spikes, trace.spikes)


def test_a_layer_behind_a_sensor_hears_what_the_sensor_sends():
    nodes = {
        "input": Input(shape=(2, 6, 6)),
        "sensor": Sensor(origin=(1, 2), size=(4, 4), flip_x=True),
        "conv": conv(2, 2, 3, np.random.default_rng(0)),
        "spk": iaf((2, 2, 2)),
        "output": Output(),
    }
    spikes = counts((2, 20, 2, 6, 6))
    trace = measure.trace_layers(Graph.chain(nodes), spikes)["spk"]
    np.testing.assert_array_equal(trace.inputs, spikes[..., 1:5, 2:6][..., ::-1])


def test_a_membrane_that_only_falls_does_not_eat_the_weights_of_the_others():
    rng = np.random.default_rng(0)
    weight = np.concatenate([rng.normal(0.2, 0.2, (3, 4)), [[0.0], [0.0], [-0.6]]], axis=1)
    graph = layer_of(Conv2d(weight=weight[:, :, None, None]), {"v_min": None})
    spikes = counts((2, 300, 5, 2, 2), 0.5)
    spikes[:, :, 4] = 20  # carries the third channel to -3600, beyond 9 levels of -0.6
    done, found = quantized(graph, "auto", spikes)
    assert np.abs(done["conv"].weight).max() > 100
    assert agreement(graph, done, spikes) > 0.99
    assert "states saturate" in found["levels", "conv"].message


def test_a_network_that_the_rules_refuse_gets_integers_from_its_weights():
    graph = one({"alpha_mem": 0.5}, conv(2, 1, 3, np.random.default_rng(0)))
    spikes = counts((1, 10, 1, 4, 4))
    calibrated, uncalibrated = (quantized(graph, "auto", each)[0] for each in (spikes, None))
    assert str(calibrated) == str(uncalibrated)


@pytest.mark.parametrize("shape", [(0, 10), (2, 0)])
def test_calibration_without_spikes_to_hear_is_none(shape):
    graph = one()
    empty = np.zeros((*shape, 1, 4, 4), np.int64)
    assert str(quantized(graph, "auto", empty)[0]) == str(quantized(graph)[0])


# ---- without calibration ----


@pytest.mark.parametrize("method", ["auto", "common"])
def test_without_calibration_both_warn_and_say_what_to_give(method):
    finding = quantized(branching(np.random.default_rng(1)), method)[1]["no_calibration", "network"]
    assert finding.severity is Severity.WARNING
    assert "scales come from the weights alone; output counts on guessed spikes" in finding.message
    assert "give calibration=, example spikes (batch, time, " in finding.message


def test_without_calibration_outliers_are_clipped_where_that_agrees_better():
    rng = np.random.default_rng(3)
    weight = conv(4, 1, 3, rng)
    large = weight.weight.copy()
    large[0, 0, 0, 0] = -2000.0
    graph = one(weight=Conv2d(weight=large), shape=(1, 8, 8))
    done, findings = quantized(graph)
    assert "clipped" in findings["no_calibration", "network"].message
    spikes = counts((8, 40, 1, 8, 8), rate=0.3, seed=5)
    known, _ = quantized(graph, "common")
    assert agreement(graph, done, spikes) > agreement(graph, known, spikes) + 0.2


def test_a_silent_network_is_told_apart_from_a_silent_chip():
    quiet = one({"v_threshold": 1e4})
    finding = quantized(quiet)[1]["no_calibration", "network"]
    assert "it is not trained, or made for other input" in finding.message
    assert ("silent_outputs", "network") not in quantized(quiet)[1]
    # one weight takes the word of all others, so that those round to 0
    dead = one(weight=weights(1.0), shape=(1, 2, 2))
    dead = dead.replace({"conv": weights(1e-9), "spk": iaf((1, 2, 2), v_threshold=1e3)})
    lost = {"common": from_weights(read_layers(dead), CHIP, "auto")}
    live = one(weight=weights(1.0), shape=(1, 2, 2))
    rules = [f.rule for f in findings_on_guess(choose_on_guess(live, CHIP, lost), "scales")]
    assert rules == ["no_calibration", "silent_outputs"]


def test_a_network_that_the_chip_refuses_is_not_judged():
    wide = one(weight=conv(2, 1, 17, stride=3), shape=(1, 60, 60))
    for method in contract.QUANTIZERS:
        assert ("no_calibration", "network") not in quantized(wide, method)[1]
        assert ("no_calibration", "network") in quantized(one(), method)[1]


def test_calibration_in_silence_still_gives_integers():
    done, found = quantized(one(), "auto", np.zeros((1, 10, 1, 4, 4), np.int64))
    assert done["spk"].v_threshold >= 1
    assert "100.0 %" in found["agreement", "network"].message


def test_a_network_that_runs_away_is_quantized_all_the_same():
    nodes = {"input": Input(shape=(1, 2, 2))}
    for index in range(2):
        nodes[f"conv{index}"] = weights(1e6)
        nodes[f"spk{index}"] = iaf((1, 2, 2), v_threshold=1e-3)
    graph = Graph.chain(nodes | {"output": Output()}, dt=1e-3)
    done, _ = quantized(graph, "auto", counts((1, 10, 1, 2, 2)))
    assert done["conv0"].weight == 127
    assert done["spk1"].v_threshold == 1


@pytest.mark.parametrize("method", contract.QUANTIZERS)
def test_a_deployment_takes_each_quantizer(method):
    graph = branching(np.random.default_rng(3), biases=True)
    spikes = counts((2, 20, *graph.shape("input")))
    deployed = deploy(graph, chip="speck2f", calibration=spikes, quantizer=method)
    chip = deployed.simulate(spikes, record=True)
    graph = deployed.reference_quantized(spikes, record=True)
    for name, layer in chip.layers.items():
        np.testing.assert_array_equal(layer.spikes, graph.layers[name].spikes)


def test_auto_is_the_default():
    assert contract.QUANTIZERS == ("auto", "common")


def scored(quantized_layer):
    return {"spk": ScoredIntegers(integers=quantized_layer, agreement=0.9, saturations=0)}


@pytest.mark.parametrize(("scale", "fell_back"), [(2.0, True), (50.0, False)])
def test_common_is_taken_after_all_where_it_agrees_better_and_that_is_said(scale, fell_back):
    rng = np.random.default_rng(0)
    graph = one(weight=conv(2, 1, 3, rng, padding=1))
    (layer,) = read_layers(graph)
    spikes = counts((2, 40, 1, 4, 4))
    wanted = measure.float_outputs(graph, measure.trace_layers(graph, spikes))
    network = NetworkTrial(graph=graph, chip=CHIP, spikes=spikes, wanted=wanted)
    mine = scored(integers(layer, scale, WORDS, limited_by="weights"))
    known = scored(integers(layer, 10.0, WORDS, limited_by="weights"))
    outcome = choose_outcome(network, mine, known)
    assert outcome.fell_back == fell_back
    assert outcome.layers is (known if fell_back else mine)
    assert outcome.agreement == max(network.agreement(mine), network.agreement(known))
    start = "auto uses the scales of common" if fell_back else "output counts on the"
    assert agreements(outcome).message.startswith(start)


def test_of_two_that_agree_alike_the_search_keeps_its_own():
    graph = one()
    (layer,) = read_layers(graph)
    spikes = counts((2, 10, 1, 4, 4))
    wanted = measure.float_outputs(graph, measure.trace_layers(graph, spikes))
    network = NetworkTrial(graph=graph, chip=CHIP, spikes=spikes, wanted=wanted)
    mine, known = (
        scored(integers(layer, scale, WORDS, limited_by="weights")) for scale in (100.0, 50.0)
    )
    assert choose_outcome(network, mine, known).layers is mine


# ---- the part of the data that layers are judged on ----


@pytest.mark.parametrize(("samples", "kept"), [(5, 5), (6, 5), (40, 5)])
def test_layers_are_judged_on_a_bounded_number_of_samples(samples, kept):
    graph = one({}, conv(100, 1), shape=(1, 20, 20))  # 40 000 neurons
    steps = measure.MOST // 40_000 // 5
    spikes = np.broadcast_to(np.int8(0), (samples, steps, 1, 20, 20))
    assert measure.excerpt(graph, spikes).shape[:2] == (kept, steps)


@pytest.mark.parametrize("more", [0, 1])
def test_layers_are_judged_on_a_bounded_number_of_steps(more):
    graph = one({}, conv(100, 1), shape=(1, 20, 20))
    steps = measure.MOST // 40_000
    spikes = np.broadcast_to(np.int8(0), (1, steps + more, 1, 20, 20))
    assert measure.excerpt(graph, spikes).shape[:2] == (1, steps)


# ---- rounding together ----


def error_of(conv, quantized_layer, m, scale):
    error = (quantized_layer[0] - scale * conv.weight).reshape(len(conv.weight), -1)
    if conv.bias is not None:
        error = np.append(error, (quantized_layer[1] - scale * conv.bias)[:, None], axis=1)
    error = error.reshape(conv.groups, -1, error.shape[1])
    return np.einsum("goj,gjk,gok->go", error, m, error)


@given(seed=st.integers(0, 10_000), biases=st.booleans(), groups=st.sampled_from([1, 2]))
@settings(deadline=None, max_examples=50)
def test_rounding_together_takes_neighbours_and_is_never_worse_than_rounding_apart(
    seed, biases, groups
):
    rng = np.random.default_rng(seed)
    bias = rng.normal(size=4) if biases else None
    weight = conv(4, 2 // groups, 3, rng, padding=1, bias=bias, groups=groups)
    m = joint.moments(weight, counts((2, 30, 2, 5, 5), seed=seed))
    scale = 100 / np.abs(weight.weight).max()
    found = joint.round_jointly(weight, scale, m, weight=127, bias=32767)
    apart = np.rint(scale * weight.weight), np.rint(scale * weight.bias) if biases else None
    assert np.abs(found[0] - scale * weight.weight).max() < 1
    assert np.all(error_of(weight, found, m, scale) <= error_of(weight, apart, m, scale) + 1e-6)


def test_rounding_together_leaves_integers_alone():
    weight = Conv2d(weight=np.arange(-9, 9).reshape(1, 2, 3, 3).astype(float), bias=[7.0])
    m = joint.moments(weight, counts((1, 20, 2, 5, 5)))
    found = joint.round_jointly(weight, 1.0, m, weight=127, bias=32767)
    np.testing.assert_array_equal(found[0], weight.weight)
    assert found[1] == 7


def test_rounding_together_stays_in_the_words():
    weight = Conv2d(weight=np.full((1, 1, 2, 2), 126.6), bias=[32766.7])
    m = joint.moments(weight, counts((1, 20, 1, 4, 4)))
    found = joint.round_jointly(weight, 1.003, m, weight=127, bias=32767)
    assert found[0].max() == 127
    assert found[1] == 32767


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
def test_moments_are_those_of_the_sums_within_windows(biases, groups):
    rng = np.random.default_rng(0)
    form = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": groups}
    weight = conv(2, 2 // groups, 2, rng, bias=[0.5, 0.1] if biases else None, **form)
    spikes = counts((2, 40, 2, 4, 5))
    length = -(-40 // joint.WINDOWS)
    rows = [[] for _ in range(groups)]
    for sample in spikes:
        for start in range(0, 40, length):
            window = sample[start : start + length]
            padded = np.pad(window.sum(axis=0), [(0, 0), (1, 1), (0, 0)])
            for y in range(0, padded.shape[1] - 1, 2):
                for x in range(padded.shape[2] - 2):
                    taps = padded[:, y : y + 2, x : x + 3 : 2]
                    for group, own in enumerate(np.split(taps, groups)):
                        rows[group].append(own.ravel().tolist() + [len(window)] * biases)
    for group, found in enumerate(joint.moments(weight, spikes)):
        seen = np.array(rows[group], float)
        wanted = seen.T @ seen
        wanted[np.diag_indices(len(wanted))] *= 1 + joint.RIDGE
        np.testing.assert_allclose(found, wanted)


@pytest.mark.parametrize(("inputs", "together"), [(joint.MOST_TAPS, True), (1025, False)])
def test_only_kernels_of_a_bounded_size_are_rounded_together(inputs, together):
    rng = np.random.default_rng(0)
    weight = Conv2d(weight=rng.normal(0.02, 0.1, (1, inputs, 1, 1)))
    graph = one({"v_threshold": 30.0}, weight, shape=(inputs, 1, 1))
    quantized_layer = auto(graph, CHIP, counts((1, 40, inputs, 1, 1), 0.5)).layers["spk"].integers
    apart = np.clip(np.rint(weight.weight * quantized_layer.scale), -127, 127)
    assert np.array_equal(quantized_layer.weight, apart) != together


# ---- scales that are tried ----


def test_the_list_of_scales_is_bounded_sorted_and_each_once():
    (layer,) = read_layers(layer_of(conv(4, 3, 3, np.random.default_rng(0), padding=1)))
    found = [quantized_layer.scale for quantized_layer in tries.candidates(layer, WORDS, 0.0, None)]
    assert found == sorted(set(found), reverse=True)
    most = (len(tries.PERCENTILES) + 1) * (tries.SCALES + 1)
    assert len(found) <= most


def test_no_ceiling_lets_a_state_leave_its_word():
    (layer,) = read_layers(layer_of(weights(0.5)))
    assert tries.ceilings(layer, WORDS, peak=1000.0)["state"] == 32767 / 1250
    assert "state" not in tries.ceilings(layer, WORDS)


def test_integers_replace_numbers_and_nothing_else():
    graph = one(weight=conv(2, 1, 3, np.random.default_rng(0), padding=1))
    (layer,) = read_layers(graph)
    done = apply_integers(graph, {"spk": integers(layer, 50.0, WORDS, limited_by="weights")})
    assert done["spk"].v_threshold == 50
    assert done["spk"].v_min == -50
    assert done["conv"].padding == (1, 1)
    assert done.edges == graph.edges
