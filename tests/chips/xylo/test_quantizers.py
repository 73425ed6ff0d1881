"""The quantizers of Xylo: the two known ones without their faults, and the search."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.chips.xylo.contract import quantize
from tests.chips.xylo.graphs import layered, lif, readout, sequence, wired
from tests.oracles.rockpool_quantizers import specification, told
from tests.oracles.xylo_compared import agreement, random_case
from toolchain import deploy, load_chip
from toolchain.chips.contract import Options
from toolchain.chips.load import family_of
from toolchain.chips.uncalibrated import findings_on_guess
from toolchain.chips.xylo import XyloProgram, simulate
from toolchain.chips.xylo.dashes import dashes
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.lower.layers import read_layers
from toolchain.chips.xylo.quantize import QUANTIZERS, measure
from toolchain.chips.xylo.quantize.decays import choose_decays, response
from toolchain.chips.xylo.quantize.evaluator import MOST, Evaluator
from toolchain.chips.xylo.quantize.guess import (
    choose_on_guess,
    within_caps,
)
from toolchain.chips.xylo.quantize.plan import XyloWords
from toolchain.chips.xylo.quantize.scale import to_integers
from toolchain.chips.xylo.quantize.tune import tune_thresholds
from toolchain.diagnostics import Severity
from toolchain.ir import Add, Edge, Graph, Input, Linear, Neuron, Output

CHIP = load_chip("xylo_a2")
UNBIASED = [i for i in range(24) if i % 3 != 2]
WEIGHTS = ("weights_in", "weights_rec", "weights_out")
REGISTERS = (
    *WEIGHTS,
    "dash_mem",
    "dash_syn",
    "dash_mem_out",
    "dash_syn_out",
    "threshold",
    "threshold_out",
    "bias",
    "bias_out",
)


def spikes(shape, rate=0.1, seed=0):
    return np.random.default_rng(seed).poisson(rate, shape)


def biased(scale=0.02, **changes):
    """Two layers, each neuron with a bias of its own."""
    rng = np.random.default_rng(5)

    def some(n):
        return rng.normal(0, scale, n)

    layers = {"h": lif(6, bias=some(6), **changes), "out": readout(3, bias=some(3))}
    connections = [("input", "h", rng.normal(0, 1, (6, 4))), ("h", "out", rng.normal(0, 3, (3, 6)))]
    return wired(4, layers, connections)


def quantized(graph, method, calibration=None, chip=CHIP):
    return quantize(graph, chip, calibration, method)[0]


def found(graph, method, calibration=None, chip=CHIP):
    return [(f.rule, f.where, f.message) for f in quantize(graph, chip, calibration, method)[1]]


# ---- the known ones ----


@pytest.mark.parametrize("method", ["global", "channel"])
@pytest.mark.parametrize("index", UNBIASED)
def test_without_biases_the_integers_are_rockpools(index, method):
    graph = random_case(index).graph
    theirs = XyloProgram.from_specification(CHIP.name, **told(method, specification(graph)))
    ours = lower(quantized(graph, method), CHIP)
    for name in REGISTERS:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


@pytest.mark.parametrize("method", ["global", "channel"])
def test_a_bias_keeps_its_part_of_the_threshold(method):
    graph = biased()
    after = quantized(graph, method)
    for name in ("h", "out"):
        wanted = graph[name].bias / graph[name].v_threshold
        step = 1 / after[name].v_threshold
        assert np.all(np.abs(after[name].bias / after[name].v_threshold - wanted) <= step)


@pytest.mark.parametrize("method", ["global", "channel"])
def test_a_bias_never_outgrows_its_word(method):
    program = lower(quantized(biased(scale=30.0), method), CHIP)
    assert np.abs(program.bias).max() == 127
    assert np.abs(program.bias_out).max() == 127


def test_hidden_neurons_share_one_scale_and_outputs_another():
    graph = sequence(4, 8, 6, 3)
    after = quantized(graph, "global")
    scale = {n: float(after[n].v_threshold.max() / graph[n].v_threshold) for n in ("l0", "l1")}
    assert scale["l0"] == scale["l1"] != float(after["l2"].v_threshold.max())


def test_a_threshold_of_the_outputs_that_is_too_large_leaves_other_weights_alone():
    graph = sequence(4, 8, 3)
    large = graph.replace({"l1": replace(graph["l1"], v_threshold=np.array(1e4))})
    one, other = quantized(graph, "global"), quantized(large, "global")
    np.testing.assert_array_equal(one["input_l0"].weight, other["input_l0"].weight)
    assert other["l1"].v_threshold == 32767


@pytest.mark.parametrize("method", QUANTIZERS)
def test_a_neuron_without_weights_stays_silent(method):
    graph = sequence(4, 8, 3)
    weight = graph["input_l0"].weight.copy()
    weight[2] = 0
    low = np.full(8, 0.3)
    graph = graph.replace(
        {"input_l0": Linear(weight=weight), "l0": replace(graph["l0"], v_threshold=low)}
    )
    x = spikes((2, 40, 4), 0.3)
    run = simulate(lower(quantized(graph, method, x), CHIP), x, record=True)
    assert run.hidden_spikes.any()
    assert not run.hidden_spikes[..., 2].any()


@pytest.mark.parametrize("method", ["global", "channel"])
@pytest.mark.parametrize(("tau", "dash"), [(1.01, 1), (2.8, 1), (2.9, 2), (40000.0, 15)])
def test_decays_go_by_log2_of_tau_and_never_to_0(method, tau, dash):
    graph = biased(alpha_mem=np.exp(-1 / tau))
    assert set(lower(quantized(graph, method), CHIP).dash_mem) == {dash}


@pytest.mark.parametrize("method", ["global", "channel"])
def test_the_known_ones_keep_decays_that_the_chip_holds(method):
    dash = np.arange(1, 16)
    layer = lif(15, synapses=2, alpha_mem=1 - 2.0**-dash)
    layer_on_grid = replace(layer, alpha_syn=1 - 2.0 ** -np.stack([dash, dash[::-1]], axis=1))
    weights = np.random.default_rng(0).normal(size=(30, 4)), np.ones((3, 15))
    connections = [("input", "h", weights[0]), ("h", "out", weights[1])]
    after = quantized(wired(4, {"h": layer_on_grid, "out": readout(3)}, connections), method)
    np.testing.assert_array_equal(after["h"].alpha_mem, layer_on_grid.alpha_mem)
    np.testing.assert_array_equal(after["h"].alpha_syn, layer_on_grid.alpha_syn)


@pytest.mark.parametrize("method", QUANTIZERS)
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_state_that_never_decays_or_keeps_nothing_is_left_for_the_rules(method, alpha):
    graph = biased(alpha_mem=np.array([0.75, alpha, 0.9, 0.9, 0.9, 0.9]))
    after = quantized(graph, method, spikes((2, 20, 4)))["h"].alpha_mem
    assert after[1] == alpha
    assert after[0] == 0.75


@pytest.mark.parametrize("method", ["global", "channel"])
def test_calibration_is_not_listened_to(method):
    graph = sequence(4, 8, 3)
    assert str(quantized(graph, method, spikes((2, 20, 4)))) == str(quantized(graph, method))


@pytest.mark.parametrize("method", QUANTIZERS)
@given(seed=st.integers(0, 10_000))
@example(seed=739)  # -512 is -64 * 8, and -128 * 4 too
@settings(deadline=None, max_examples=15)
def test_all_integers_fit_and_the_input_is_untouched(method, seed):
    rng = np.random.default_rng(seed)
    bias = float(rng.choice([0.0, 0.01, 10.0]))
    graph, _ = layered(rng, synapses=int(rng.integers(1, 3)), bias=np.array(bias))
    graph = graph.map(
        Linear, lambda _, node: Linear(weight=node.weight * 10.0 ** rng.integers(-5, 4))
    )
    before = str(graph)
    x = spikes((2, 30, *graph.shape(graph.input)), 0.3, seed)
    after = quantized(graph, method, x if rng.random() < 0.7 else None)
    program = lower(after, CHIP)
    for name in WEIGHTS:
        assert np.abs(getattr(program, name).astype(int)).max(initial=0) <= 127
    for name in ("weight_shift_in", "weight_shift_rec", "weight_shift_out"):
        assert 0 <= getattr(program, name) <= 7
    for ids in ("", "_out"):
        assert getattr(program, f"threshold{ids}").min() >= 1
        assert np.abs(getattr(program, f"bias{ids}")).max() <= 127
    assert str(graph) == before


# ---- the search ----


@pytest.mark.parametrize("index", [0, 5, 9, 10, 16, 23])
def test_auto_is_never_worse_than_the_known_ones_on_its_calibration(index):
    case = random_case(index)
    programs = {m: lower(quantized(case.graph, m, case.calibration), CHIP) for m in QUANTIZERS}
    got = {m: agreement(case.graph, programs[m], case.calibration) for m in QUANTIZERS}
    assert got["auto"] >= max(got["channel"], got["global"])
    assert got["auto"] > 0.5


@pytest.mark.parametrize("index", [1, 3, 7, 17, 21])
def test_auto_is_far_better_on_new_spikes_where_the_chip_has_other_decays(index):
    case = random_case(index)
    programs = {m: lower(quantized(case.graph, m, case.calibration), CHIP) for m in QUANTIZERS}
    got = {m: agreement(case.graph, programs[m], case.held_out) for m in QUANTIZERS}
    assert 1 - got["auto"] < 0.6 * (1 - max(got["channel"], got["global"]))


def test_the_same_spikes_give_the_same_integers():
    case = random_case(9)
    one, other = (quantize(case.graph, CHIP, case.calibration, "auto") for _ in range(2))
    assert str(one[0]) == str(other[0])
    assert one[1] == other[1]


def test_decays_that_the_chip_holds_are_kept():
    case = random_case(20)  # time constants of shifts 1, 2, ...
    program = lower(quantized(case.graph, "auto", case.calibration), CHIP)
    for name in ("h0", "h1"):
        wanted = dashes(case.graph[name].alpha_syn[:, 0])
        place = next(p for p in program.populations if p.name == name)
        np.testing.assert_array_equal(program.dash_syn[place.start : place.stop], wanted)


def test_other_decays_go_up_or_down_by_less_than_a_shift():
    case = random_case(17)
    evaluator = Evaluator(case.graph, CHIP, case.calibration)
    for name, population in evaluator.populations.items():
        decays = choose_decays(population, evaluator.trace(name), 15)
        assert np.all(np.abs(decays.dash_mem - dashes(population.alpha_mem)) < 1)
        assert np.all(np.abs(decays.dash_syn - dashes(population.alpha_syn)) < 1)


@pytest.mark.parametrize(
    ("mem", "syn"), [(0.0, 0.5), (0.5, 0.5), (0.9, 0.7), (0.95, 0.99), (1 - 2.0**-6, 0.9)]
)
def test_the_size_of_a_response_is_that_of_the_membrane_counted_out(mem, syn):
    v = i = total = 0.0
    for t in range(10_000):
        i = syn * (i + (t == 0))
        v = mem * v + i
        total += v * v
    assert float(response(np.array(mem), np.array(syn))) == pytest.approx(np.sqrt(total))


def test_a_response_that_never_ends_has_no_size():
    assert response(np.array([1.0, 0.9]), np.array([0.9, 1.0])).tolist() == [0, 0]


@pytest.mark.parametrize("index", [1, 3, 17])
def test_other_decays_keep_the_size_of_responses_and_where_a_bias_settles(index):
    case = random_case(index)
    graph = case.graph.map(Neuron, lambda _, node: replace(node, bias=np.full(node.shape, 0.01)))
    evaluator = Evaluator(graph, CHIP, case.calibration)
    for name, population in evaluator.populations.items():
        after = choose_decays(population, evaluator.trace(name), 15)
        mem, syn = 1 - 2.0**-after.dash_mem, 1 - 2.0**-after.dash_syn
        before = response(population.alpha_mem[:, None], population.alpha_syn)
        np.testing.assert_allclose(after.rows * response(mem[:, None], syn), before, rtol=0.02)
        # against the threshold, which takes a factor from the data
        settled = after.bias / after.threshold / (1 - mem)
        wanted = population.bias / population.threshold / (1 - population.alpha_mem)
        np.testing.assert_allclose(settled, wanted, rtol=0.02)


def test_neurons_of_one_kind_choose_one_decay():
    case = random_case(1)
    program = lower(quantized(case.graph, "auto", case.calibration), CHIP)
    for p in program.populations:
        ids = slice(p.start, p.stop)
        dash = program.dash_syn if p.role == "hidden" else program.dash_syn_out
        assert len(set(dash[ids].tolist())) == 1


def test_two_synapses_a_shared_weight_and_a_residual_sum_can_be_searched():
    rng = np.random.default_rng(2)
    nodes = {
        "input": Input(shape=(6,)),
        "both": Add(),
        "shared": Linear(weight=rng.normal(0, 0.08, (12, 6))),  # of the input and of h itself
        "h": lif(6, synapses=2, alpha_mem=0.85),
        "w1": Linear(weight=rng.normal(0.1, 0.5, (6, 6))),
        "res": lif(6, alpha_mem=0.85),
        "sum": Add(),
        "w2": Linear(weight=rng.normal(0.1, 0.5, (3, 6))),
        "out": readout(3),
        "output": Output(),
    }
    edges = [
        Edge("input", "both"),
        Edge("h", "both", 1),
        Edge("both", "shared"),
        Edge("shared", "h"),
        Edge("h", "w1"),
        Edge("w1", "res"),
        Edge("h", "sum"),
        Edge("res", "sum", 1),
        Edge("sum", "w2"),
        Edge("w2", "out"),
        Edge("out", "output"),
    ]
    graph = Graph(nodes, edges, dt=1e-3)
    x = spikes((6, 80, 6), 0.15)
    d = deploy(graph, chip="xylo", calibration=x)
    assert d.program.synapses == 2
    assert any(d.program.aliases)
    shared = d.quantized["shared"].weight
    assert np.all(shared % 2 ** max(d.program.weight_shift_in, d.program.weight_shift_rec) == 0)
    assert agreement(graph, d.program, spikes((12, 80, 6), 0.15, seed=1)) > 0.85


def test_a_network_that_is_refused_is_still_quantized():
    graph = sequence(4, 8, 3, hidden=lambda n: lif(n, reset="value"))
    assert str(quantized(graph, "auto", spikes((2, 20, 4)))) == str(quantized(graph, "channel"))


@pytest.mark.parametrize(
    ("bad", "message"), [(-1, "got -1 at"), (0.5, "got 0.5 at"), (16, "16 spikes at .* at most 15")]
)
def test_calibration_that_is_no_spike_counts_is_refused(bad, message):
    x = np.zeros((3, 10, 4))
    x[1, 5, 2] = bad
    with pytest.raises(ValueError, match=message):
        quantize(sequence(4, 8, 3), CHIP, x, "auto")


@pytest.mark.parametrize("x", [np.zeros((3, 20, 4)), np.zeros((1, 1, 4)), np.ones((1, 1, 4))])
def test_calibration_without_a_word_to_say_is_no_fault(x):
    program = lower(quantized(sequence(4, 8, 3), "auto", x), CHIP)
    run = simulate(program, spikes((2, 50, 4), 0.2), record=True)
    assert run.hidden_spikes.any()


# ---- without calibration ----


@pytest.mark.parametrize(
    ("method", "x", "scales"),
    [
        ("auto", None, "integers of 'channel' are used: scales come from the weights alone"),
        ("channel", np.zeros((0, 20, 4)), "scales come from the weights alone"),
        ("global", np.zeros((3, 0, 4)), "scales come from the weights alone"),
    ],
)
def test_without_calibration_every_quantizer_warns_and_says_what_to_give(method, x, scales):
    finding = quantize(sequence(4, 12, 3), CHIP, x, method)[1][-1]
    assert (finding.rule, finding.severity) == ("no_calibration", Severity.WARNING)
    assert finding.message.startswith(f"{scales}; output counts on guessed spikes agree to ")
    assert "give calibration=, example spikes (batch, time, 4)" in finding.message
    assert ("'auto' must lead by more than 5 points" in finding.message) == (method == "auto")


def unlimited(seed=0, scale=1.0):
    """A recurrent network without a limit of spikes a step, weights as torch starts them."""
    rng = np.random.default_rng(seed)
    leaks = {"alpha_mem": 0.905, "alpha_syn": np.array([0.819]), "v_threshold": 1.0}
    layers = {
        "h": Neuron(shape=(20,), max_spikes=65536, **leaks),
        "out": Neuron(shape=(4,), max_spikes=1, **leaks),
    }
    connections = [
        ("input", "h", scale * rng.uniform(-0.29, 0.29, (20, 12))),
        ("h", "h", scale * rng.uniform(-0.22, 0.22, (20, 20)), 1),
        ("h", "out", rng.uniform(-0.22, 0.22, (4, 20))),
    ]
    return wired(12, layers, connections)


def test_integers_set_on_guessed_spikes_are_used_where_they_clearly_agree_better():
    finding = quantize(unlimited(), CHIP, None, "auto")[1][-1]
    assert finding.message.startswith(
        "scales are set on guessed spikes, up to 15 a timestep and channel; output counts on "
    )
    assert "must lead" not in finding.message


def many_constants():
    """A SynNet in small, for an input of several spikes a step."""
    rng = np.random.default_rng(3)

    def layer(n, constants, cap):
        shifts = 1 + np.arange(n) % constants
        return lif(n, alpha_mem=0.5, alpha_syn=(1 - 2.0**-shifts)[:, None], max_spikes=cap)

    layers = {"h0": layer(24, 3, 31), "h1": layer(24, 7, 31), "out": layer(4, 1, 1)}
    sizes = {"h0": (24, 16), "h1": (24, 24), "out": (4, 24)}
    names = ("input", "h0", "h1", "out")
    connections = [(pre, post, rng.normal(0, 0.2, sizes[post])) for pre, post in pairwise(names)]
    return wired(16, layers, connections)


@pytest.mark.parametrize(
    ("graph", "rate"), [(unlimited(), 0.2), (unlimited(1), 0.05), (many_constants(), 3.2)]
)
def test_without_calibration_auto_is_about_as_good_as_the_best_rival_on_unseen_spikes(graph, rate):
    rng = np.random.default_rng(9)
    x = np.minimum(rng.negative_binomial(1, 1 / (1 + rate), (16, 80, *graph.shape("input"))), 15)
    programs = {name: lower(quantized(graph, name), CHIP) for name in QUANTIZERS}
    each = {name: agreement(graph, program, x) for name, program in programs.items()}
    assert each["auto"] >= max(each["channel"], each["global"]) - 0.02
    assert each["auto"] > 0.6
    assert all(
        weight.any() for weight in (programs["auto"].weights_in, programs["auto"].weights_out)
    )


def test_integers_that_lose_every_weight_of_a_layer_are_taken_last_and_a_dead_chip_is_an_error():
    graph = sequence(4, 12, 3)
    lost = quantized(graph, "channel")
    weight = lost["input_l0"]
    lost = lost.replace({"input_l0": replace(weight, weight=0 * weight.weight)})
    assert choose_on_guess(graph, CHIP, {"channel": lost}, "auto")[0].shown == "auto"
    alone, _ = choose_on_guess(graph, CHIP, {"channel": lost}, "channel")
    rules = [f.rule for f in findings_on_guess(alone, "scales")]
    assert rules == ["no_calibration", "silent_outputs"]


def test_a_network_that_is_silent_in_floats_too_is_no_dead_chip():
    quiet = sequence(4, 8, 3, hidden=lambda n: lif(n, v_threshold=1e6))
    messages = [message for rule, _, message in found(quiet, "auto") if rule == "no_calibration"]
    assert "it is not trained, or made for other input" in messages[0]
    assert "silent_outputs" not in {rule for rule, *_ in found(quiet, "auto")}


def test_float_spikes_beyond_the_limits_of_the_chip_are_left_out():
    graph = within_caps(unlimited(), CHIP)
    assert [node.max_spikes for node in graph.of(Neuron).values()] == [31, 1]


def test_more_calibration_than_is_looked_at_is_taken_from_all_of_it():
    graph = sequence(4, 100, 3)
    x = np.repeat(np.arange(10)[:, None, None], 100, axis=0).repeat(200, axis=1).repeat(4, axis=2)
    evaluator = Evaluator(graph, CHIP, np.minimum(x, 15))
    samples, steps_ = evaluator.spikes.shape[:2]
    assert 103 * samples * steps_ <= MOST
    assert steps_ == 200
    assert set(evaluator.spikes[:, 0, 0]) == {*range(10)}
    long = Evaluator(graph, CHIP, np.zeros((2, MOST // 100, 4), int))
    assert long.spikes.shape == (1, MOST // 103, 4)


# ---- its parts ----


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_neurons_by_themselves_spike_as_on_the_chip_where_no_state_is_cut(seed):
    rng = np.random.default_rng(seed)
    synapses = int(rng.integers(1, 3))
    mem, syn = 1 - 2.0 ** -rng.integers(1, 8, 5), 1 - 2.0 ** -rng.integers(1, 8, (5, synapses))
    hidden = lif(
        5,
        synapses=synapses,
        alpha_mem=mem,
        alpha_syn=syn,
        v_threshold=rng.integers(20, 300, 5),
        bias=rng.integers(-3, 4, 5),
    )
    weights = rng.integers(-100, 120, (5 * synapses, 4))
    out = rng.integers(-50, 50, (2, 5))
    graph = wired(4, {"h": hidden, "out": readout(2)}, [("input", "h", weights), ("h", "out", out)])
    x = spikes((3, 40, 4), 0.2, seed)
    run = simulate(lower(graph, CHIP), x, record=True)
    evaluator = Evaluator(graph, CHIP, x)
    population, trace = evaluator.populations["h"], evaluator.trace("h")
    arriving = measure.drive(population, trace, {s.name: s.weight for s in population.sources})
    shifts = (dashes(mem), dashes(syn))
    threshold, bias = population.threshold[:, None], population.bias[:, None]
    wanted = measure.window_counts(np.moveaxis(run.hidden_spikes, 2, 0), trace.window)
    trace = replace(trace, wanted=wanted)
    alone = measure.respond(population, trace, arriving, shifts, threshold, bias, 32767)
    if not run.saturations["h"]:
        assert not alone.distance.any()
        states = [run.v_mem, run.i_syn, *([run.i_syn_2] if synapses == 2 else [])]
        seen = np.max([np.abs(s.astype(int)).max(axis=(0, 1)) for s in states], axis=0)
        assert np.all(alone.peaks >= seen)


@pytest.mark.parametrize("samples", [1, 5, 16])
def test_several_thresholds_at_once_are_what_each_is_alone(samples):
    case = random_case(3)
    evaluator = Evaluator(case.graph, CHIP, case.calibration)
    population, trace = evaluator.populations["h0"], evaluator.trace("h0").part(samples)
    trace = replace(trace, wanted=np.zeros_like(trace.wanted))  # all spikes are surplus
    choice = _integers(evaluator, "h0")
    arriving = measure.drive(population, trace, choice.weights)
    shifts = (choice.dash_mem, choice.dash_syn)
    candidates = np.rint(choice.threshold[:, None] * [0.8, 1.0, 1.3])
    bias = choice.bias[:, None]
    together = measure.respond(
        population, trace, arriving, shifts, candidates, bias, 32767
    ).distance
    for k in range(3):
        alone = measure.respond(
            population, trace, arriving, shifts, candidates[:, k : k + 1], bias, 32767
        )
        np.testing.assert_array_equal(alone.distance[:, 0], together[:, k])
    assert together[:, 0].sum() > together[:, 2].sum() > 0


def _integers(evaluator, name, **options):
    population = evaluator.populations[name]
    decays = choose_decays(population, evaluator.trace(name), 15)
    return to_integers(
        population, decays, {"in": 7, "rec": 7, "out": 7}, XyloWords.of(CHIP), **options
    )


def test_a_state_that_may_be_cut_leaves_a_larger_scale():
    case = random_case(10)
    evaluator = Evaluator(case.graph, CHIP, case.calibration)
    whole, cut = _integers(evaluator, "h0"), _integers(evaluator, "h0", depth=8.0)
    assert np.all(cut.scale >= whole.scale)
    assert cut.scale.max() > whole.scale.max()
    assert np.all(cut.nominal * 8 <= 32767 * 1.001)


def test_thresholds_are_tuned_no_further_than_they_may_and_do_not_get_worse():
    case = random_case(0)
    evaluator = Evaluator(case.graph, CHIP, case.calibration)
    words = XyloWords.of(CHIP)
    for name, population in evaluator.populations.items():
        choice, trace = _integers(evaluator, name), evaluator.trace(name)
        after = tune_thresholds(population, trace, choice, words, reach=0.1)
        assert np.all(np.abs(after.threshold / choice.threshold - 1) <= 0.1 + 1 / choice.threshold)
        assert _distance(population, trace, after) <= _distance(population, trace, choice)


def _distance(population, trace, choice):
    arriving = measure.drive(population, trace, choice.weights)
    shifts = (choice.dash_mem, choice.dash_syn)
    threshold, bias = choice.threshold[:, None], choice.bias[:, None]
    found = measure.respond(population, trace, arriving, shifts, threshold, bias, 32767)
    return found.distance.sum()


def test_spikes_apart_are_counted_in_samples_and_windows():
    wanted = np.array([[[2, 0]]])
    counts = np.array([[[[0, 2]], [[2, 1]], [[2, 0]]]])
    assert measure.count_distance(wanted, counts).tolist() == [[2.0, 1.5, 0.0]]


# ---- what is told ----


def test_what_limits_a_scale_is_told_with_the_levels_that_are_left():
    graph = biased(scale=30.0)
    after = quantized(graph, "global")
    levels = int(np.abs(after["input_h"].weight).max())
    assert levels < 127
    assert found(graph, "global")[0] == (
        "levels",
        "input_h",
        f"weights use {levels} of 127 levels; the bias limits the scale of 'h'",
    )


def test_the_shift_of_each_matrix_is_told_as_the_program_has_it():
    case = random_case(4)
    after, findings = quantize(case.graph, CHIP, case.calibration, "auto")
    program = lower(after, CHIP)
    (message,) = [f.message for f in findings if f.rule == "weight_shifts"]
    assert message == (
        f"weights are shifted left by {program.weight_shift_in} from the input, by "
        f"{program.weight_shift_rec} between hidden neurons, by {program.weight_shift_out} to the "
        "output"
    )
    assert any(getattr(program, n.replace("weights", "weight_shift")) for n in WEIGHTS)


def test_the_agreement_that_is_told_is_that_of_the_chip():
    case = random_case(1)
    after, findings = quantize(case.graph, CHIP, case.calibration, "auto")
    got = agreement(case.graph, lower(after, CHIP), case.calibration)
    message = findings[-1].message
    assert findings[-1].rule == "agreement"
    assert message.startswith(f"output spike counts agree to {100 * got:.1f} % with")
    assert "('channel': " in message
    assert "'global': " in message


def test_how_far_thresholds_move_is_told():
    case = random_case(1)
    after, findings = quantize(case.graph, CHIP, case.calibration, "auto")
    moved = {f.where for f in findings if f.rule == "thresholds"}
    assert moved <= {*after.of(Neuron)}
    assert moved


def test_the_lag_is_undone_before_spikes_are_compared():
    graph = sequence(4, 8, 6, 3, rng=np.random.default_rng(3))
    x = spikes((2, 60, 4), 0.2)
    evaluator = Evaluator(graph, CHIP, x)
    fired = evaluator.on_chip(quantized(graph, "channel"))
    run = simulate(lower(quantized(graph, "channel"), CHIP), x)
    lag = read_layers(graph).lag()
    assert lag == 2
    early = np.moveaxis(fired["l2"], 0, 2)[:, : 60 - lag]
    np.testing.assert_array_equal(early, run.spikes[:, lag:])


def test_one_scale_is_judged_by_its_own_integers():
    """It rounds more weights to 0, and so fits where a scale for each neuron does not."""
    large, small = (np.full((n, 1), size) for n, size in ((2, 1.0), (66, 0.003)))
    layers = {"a": lif(1), "b": lif(68), "c": lif(1)}
    weights = (
        ("input", "a", [[1.0]]),
        ("a", "b", np.r_[large, small]),
        ("b", "c", np.ones((1, 68))),
    )
    graph = wired(1, layers, weights)
    family = family_of(CHIP)
    judged = [
        family.unfit(graph, method, Options(), calibrated=False) for method in ("channel", "global")
    ]
    assert [draft is None for draft in judged] == [False, True]
    assert (
        np.count_nonzero(deploy(graph, "xylo_a2", quantizer="global").quantized["a_b"].weight) == 2
    )
