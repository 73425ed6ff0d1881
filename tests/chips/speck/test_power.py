"""Counts of a Speck program, and what they cost."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chips.speck import contract
from tests.chips.speck.graphs import branching
from tests.chips.speck.networks import chain
from toolchain.chips.load import load_chip
from toolchain.chips.speck import Destination
from toolchain.chips.speck.lower.integers import lower
from toolchain.chips.speck.power import activity, activity_at, estimate
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.chips.speck.simulate.run import simulate

SPECK, OLD, KIT = map(load_chip, ("speck2f", "speck2e", "dynapcnn"))


def network(**fields):
    return chain(
        (1, 8, 8),
        {"outputs": 2, "kernel": 3, "padding": (1, 1), "pool": 2},
        {"outputs": 3, "kernel": 2, "stride": (2, 1)},
        **fields,
    )


RATES = {"input": 10.0, "spk0": 5.0, "spk1": 1.0}


def cost(chip=SPECK, rates=None, program=None, clock_hz=None):
    program = program or network()
    return estimate(program, chip, activity_at(program, rates or RATES, 100), clock_hz)


def span(figure):
    return figure.low, figure.nominal, figure.high


# ---- counting ----


def brute(program, name, sent):
    """Synops of one core: each spike walks over the kernel and finds the neurons it lies on."""
    core, found = program[name], 0
    outputs, _, height, width = core.weight.shape
    _, rows, columns = core.output_shape
    for source, target in program.sources(name):
        counts = sent["input" if source is None else source.name].sum(axis=(0, 1))
        for (_, y, x), count in np.ndenumerate(counts):
            y, x = y // target.pooling, x // target.pooling
            if y >= core.input_shape[1] or x >= core.input_shape[2]:
                continue
            for ky in range(height):
                for kx in range(width):
                    down, over = y + core.padding[0] - ky, x + core.padding[1] - kx
                    if down % core.stride[0] or over % core.stride[1]:
                        continue
                    row, column = down // core.stride[0], over // core.stride[1]
                    if 0 <= row < rows and 0 <= column < columns:
                        found += int(count) * outputs
    return found


@pytest.mark.parametrize("seed", range(25))
def test_synops_are_the_neurons_that_each_spike_finds(seed):
    rng = np.random.default_rng(seed)
    graph = branching(rng, size=int(rng.integers(6, 10)))
    program = lower(contract.quantize(graph, SPECK, None)[0], SPECK)
    spikes = rng.poisson(0.3, (2, 6, *program.input_shape))
    run = simulate(program, spikes, record=True)
    sent = {"input": spikes, **{name: layer.spikes for name, layer in run.layers.items()}}
    found = activity(program, spikes)
    assert found.layers[0].synops_per_step == 0
    for layer in found.layers[1:]:
        assert round(layer.synops_per_step * 12) == brute(program, layer.name, sent)
    for layer in found.layers:
        assert layer.spikes_per_step == pytest.approx(sent[layer.name].sum() / 12)
    assert (found.steps, found.dt) == (6, 1e-3)


@pytest.mark.parametrize("seed", range(25))
def test_even_spikes_cost_what_their_rate_says(seed):
    """A layer that spikes everywhere alike: rates give exactly the counts of the simulation."""
    rng = np.random.default_rng(seed)
    graph = branching(rng, size=8)
    program = lower(contract.quantize(graph, SPECK, None)[0], SPECK)
    even = np.broadcast_to(rng.integers(0, 3, (1, 5, 1, 1, 1)), (1, 5, *program.input_shape))
    sent = {"input": even}
    rates = {"input": even.mean() / 1e-3}
    for core in program.cores:
        sent[core.name] = np.full((1, 5, *core.output_shape), int(rng.integers(0, 3)))
        rates[core.name] = sent[core.name].mean() / 1e-3
    found = activity_at(program, rates, steps=5)
    for layer in found.layers[1:]:
        assert layer.synops_per_step * 5 == pytest.approx(brute(program, layer.name, sent))
    for layer in found.layers:
        assert layer.spikes_per_step * 5 == pytest.approx(sent[layer.name].sum())


def test_spikes_that_pooling_leaves_out_cost_nothing():
    program = chain(
        (1, 3, 3),
        {"outputs": 1, "kernel": 1, "input_shape": (1, 1, 1)},
        inputs=(Destination(layer="spk0", pooling=2),),
    )
    found = activity_at(program, {"input": 1000.0, "spk0": 0.0}, steps=1)
    assert found.layers[0].spikes_per_step == pytest.approx(9)
    assert found.layers[1].synops_per_step == pytest.approx(4)
    assert activity(program, np.ones((1, 1, 1, 3, 3), int)).layers[1].synops_per_step == 4


def test_the_input_may_have_a_name_of_its_own():
    rates = {"pixels": 10.0, "spk0": 5.0, "spk1": 1.0}
    named = replace(network(), input_name="pixels")
    renamed, usual = activity_at(named, rates, 1), activity_at(network(), RATES, 1)
    assert renamed.layers[0].name == "pixels"
    assert renamed.layers[1:] == usual.layers[1:]


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (
            {"input": 1.0, "spk0": 1.0},
            "rates need input, spk0, spk1; missing or unknown: spk1",
        ),
        (
            {"spk0": 1.0, "spk1": 1.0},
            "rates need input, spk0, spk1; missing or unknown: input",
        ),
        (
            {**RATES, "spk2": 1.0},
            "rates need input, spk0, spk1; missing or unknown: spk2",
        ),
        (
            {**RATES, "spk1": -2.0},
            "rate of 'spk1' must be a number of spikes per second >= 0, got -2.0",
        ),
        (
            {**RATES, "input": float("nan")},
            "rate of 'input' must be a number of spikes per second >= 0, got nan",
        ),
    ],
)
def test_rates_that_are_none_are_refused(rates, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        activity_at(network(), rates, steps=1)


@pytest.mark.parametrize(
    "count",
    [lambda p: activity(p, np.zeros((1, 1, 1, 8, 8), int)), lambda p: activity_at(p, RATES, 1)],
)
def test_a_program_without_dt_cannot_be_counted(count):
    with pytest.raises(ValueError, match=r"^an estimate needs the length of a timestep: deploy"):
        count(network(dt=None))


# ---- what it costs ----


def test_idle_spans_the_readings_of_each_rail():
    found = cost()
    assert span(found.idle["logic"]) == (254.8, 306, 366.991)
    assert found.idle_power.nominal == pytest.approx(1144)
    assert found.idle_power.basis == "derived"
    assert list(found.idle) == ["io", "ram", "logic", "pixel_digital", "pixel_analog"]


def test_synops_have_a_price_with_a_range():
    found = cost()
    per_second = found.synops_per_second
    assert span(found.dynamic_power) == pytest.approx(
        [energy * 1e-6 * per_second for energy in (113, 255, 430)]
    )
    assert found.power.nominal == found.idle_power.nominal + found.dynamic_power.nominal
    assert found.basis == "derived"
    assert str(found.energies["synop"]) == "255 pJ/synop (113 to 430, derived)"
    assert " energy, synop               255 pJ/synop (113 to 430, derived)" in str(found)


def test_synops_are_paid_by_two_rails_in_their_shares():
    found = cost()
    ram, logic = found.dynamic.values()
    assert list(found.dynamic) == ["ram", "logic"]
    low, nominal, high = span(found.dynamic_power)
    assert span(ram) == pytest.approx((0.278 * low, 0.278 * nominal, 0.3641 * high))
    assert span(logic) == pytest.approx((0.6359 * low, 0.722 * nominal, 0.722 * high))
    assert found.power_by_rail["io"] == found.idle["io"]
    assert found.power_by_rail["ram"].low == pytest.approx(found.idle["ram"].low + ram.low)


def test_the_energy_of_a_synop_is_that_of_the_reading_it_was_derived_from():
    idle = {"ram": 72.13, "logic": 280.57}
    active = {"ram": 291.54, "logic": 851.55}
    added = {rail: active[rail] - idle[rail] for rail in idle}
    energy = SPECK.power.actions["synop"].energy
    ours, board = (1e6 * sum(added.values()) / counted for counted in (3.1e6, 3.1e6 * 4 / 3))
    boards = SPECK.power.rails["ram"].idle.high / SPECK.power.rails["ram"].idle.low
    ends = (board / boards, ours, ours * boards)
    assert energy.range("pJ/synop") == pytest.approx(ends, abs=0.5)
    share = SPECK.power.actions["synop"].parts["ram"]
    assert share[:2] == pytest.approx([added["ram"] / sum(added.values())] * 2, abs=5e-4)


def test_silence_adds_nothing():
    found = cost(rates=dict.fromkeys(RATES, 0.0))
    assert span(found.dynamic_power) == (0, 0, 0)
    assert found.power.low == found.idle_power.low


def test_all_of_a_chip_whose_rails_are_taken_over_is_assumed():
    found = cost(OLD)
    assert found.idle_power.basis == "assumed"
    assert found.idle_power.nominal is None
    assert found.idle_power.low == pytest.approx(cost().idle_power.low)


def test_a_chip_that_nobody_measured_has_no_power():
    found = cost(KIT)
    assert found.power_by_rail == {}
    for name in ("power", "idle_power", "dynamic_power", "energy_per_inference"):
        figure = getattr(found, name)
        assert str(figure) == "unknown"
        assert (figure.nominal, figure.basis) == (None, "unknown")
    assert "No measurement of this board was found" in "\n".join(map(str, found.not_priced))
    assert found.latency is None
    assert found.load is None
    assert found.keeps_up is None
    assert found.synops_per_second > 0


def test_counts_a_step_a_second_and_an_inference_are_one():
    found = cost()
    assert found.synops_per_second == pytest.approx(found.activity.synops_per_step / 1e-3)
    assert found.synops_per_inference == pytest.approx(found.activity.synops_per_step * 100)
    assert found.energy_per_inference.low == pytest.approx(found.power.low * 0.1)


def test_there_is_no_clock_to_set():
    message = "^speck2f is asynchronous and has no main clock; omit clock_hz$"
    with pytest.raises(ValueError, match=message):
        cost(clock_hz=1e6)


def test_latency_adds_up_along_the_cores():
    found = cost().latency
    assert found.nominal == pytest.approx(1e-3 * (1.58 + 0.2225))
    assert found.unit == "ms"
    nine = chain((1, 4, 4), *[{"outputs": 1, "kernel": 1}] * 9)
    rates = {"input": 1.0, **{core.name: 1.0 for core in nine.cores}}
    assert cost(program=nine, rates=rates).latency.nominal == pytest.approx(3.36e-3)


def test_cores_side_by_side_do_not_add_to_the_latency():
    side = chain((1, 4, 4), *[{"outputs": 1, "kernel": 1}] * 3)
    to_last = (Destination(layer="spk2"),)
    first, second, last = side.cores
    both = replace(
        side,
        cores=(replace(first, destinations=to_last), replace(second, destinations=to_last), last),
        inputs=(Destination(layer="spk0"), Destination(layer="spk1")),
    )
    rates = dict.fromkeys(["input", "spk0", "spk1", "spk2"], 1.0)
    assert cost(program=both, rates=rates).latency == cost().latency


def test_the_load_is_that_of_the_busiest_core():
    found = cost(OLD)
    busiest = max(layer.synops_per_step for layer in found.activity.layers)
    assert found.load.nominal == pytest.approx(busiest / 1e-3 / 10e6)
    assert found.load.basis == "assumed"
    assert found.keeps_up is True
    assert cost(OLD, rates={**RATES, "input": 1e6}).keeps_up is False


def test_what_is_not_in_the_figures_is_said():
    text = "\n".join(map(str, cost().not_priced))
    assert "input_event: 640 spike/s" in text
    assert "output_event: " in text
    assert "leak_update" not in text
    assert "What a switched-off sensor saves was never measured" in text


def with_monitors(*names):
    """Two layers, the last of which is the output; those named are monitored beside it."""
    cores = [replace(c, monitor=c.monitor or c.name in names) for c in network().cores]
    return replace(network(), cores=tuple(cores))


@pytest.mark.parametrize(
    ("program", "read"),
    [
        (network(), {"spk1"}),
        (with_monitors("spk0"), {"spk0", "spk1"}),
        (replace(with_monitors("spk0"), outputs=("spk0",)), {"spk0", "spk1"}),
    ],
    ids=["the output alone", "all layers", "a monitored layer that is no output"],
)
def test_events_leave_the_chip_from_monitored_layers_alone(program, read):
    found = cost(program=program)
    per_second = {layer.name: layer.spikes_per_step / 1e-3 for layer in found.activity.layers}
    assert per_second["spk0"] > per_second["spk1"] > 0
    assert found.counts["output_event"] == {name: per_second[name] for name in read}
    assert found.counts["input_event"] == {"input": pytest.approx(640)}
    assert "dvs_event" not in found.counts


def test_events_behind_a_sensor_come_from_the_host_unless_the_pixels_see_them():
    counted = activity_at(network(), RATES, 1)
    for pixels, own, other in (
        (True, "dvs_event", "input_event"),
        (False, "input_event", "dvs_event"),
    ):
        sensor = SpeckSensor(cut=(7, 7), pixel_array=pixels)
        found = estimate(replace(network(), sensor=sensor), SPECK, counted, None)
        assert found.counts[own] == {"input": pytest.approx(640)}
        assert other not in found.counts


def test_leak_ticks_are_counted_and_have_no_price():
    biased = chain(
        (1, 8, 8), {"outputs": 2, "kernel": 3, "bias": np.array([1, 0], np.int16)}, dt=1e-3
    )
    counted = activity_at(biased, {"input": 10.0, "spk0": 5.0}, 1)
    assert counted["spk0"].leak_updates_per_step == 2 * 6 * 6
    assert counted["spk0"].updates_per_step == counted["spk0"].synops_per_step + 72
    text = "\n".join(map(str, estimate(biased, SPECK, counted, None).not_priced))
    assert "leak_update: 7.2e+04 neuron/s" in text


def test_pixels_that_are_powered_down_save_between_nothing_and_all():
    counted = activity_at(network(), RATES, 100)
    usual, on, off = (
        estimate(network(), SPECK, counted, None, modes)
        for modes in ({}, {"dvs": "on"}, {"dvs": "off"})
    )
    assert usual.idle == on.idle
    assert (usual.modes, off.modes) == ({"dvs": None}, {"dvs": "off"})
    assert span(off.idle["pixel_analog"]) == (0, None, 740.25)
    assert span(off.idle["pixel_digital"]) == (0, None, 78.871)
    assert off.idle["logic"] == on.idle["logic"]
    assert off.idle_power.basis == "assumed"


def test_a_program_of_the_pixels_own_events_needs_them_powered():
    sensor = SpeckSensor(cut=(7, 7), pixel_array=True)
    seeing = replace(network(), sensor=sensor)
    counted = activity_at(seeing, RATES, 1)
    found = estimate(seeing, SPECK, counted, None)
    assert "dvs_event: 640 spike/s" in map(str, found.not_priced)
    message = "^the program uses the events of the chip's own pixels: dvs must be on$"
    with pytest.raises(ValueError, match=message):
        estimate(seeing, SPECK, counted, None, {"dvs": "off"})


def test_counts_of_another_program_are_refused():
    other = chain((1, 8, 8), {"outputs": 2, "kernel": 3})
    message = "^the counts are of spk0, spk1, the program is spk0$"
    with pytest.raises(ValueError, match=message):
        estimate(other, SPECK, activity_at(network(), RATES, 1), None)


def test_each_core_has_its_share_of_the_synops():
    entry, first, second = cost().layers
    activity = cost().activity
    assert entry.dynamic_share == 0
    assert first.dynamic_share == pytest.approx(
        activity["spk0"].synops_per_step / activity.synops_per_step
    )
    assert first.dynamic_share + second.dynamic_share == pytest.approx(1)


def test_each_core_is_held_against_what_a_core_can_do():
    found = cost(OLD)
    assert [pace.where for pace in found.pace] == ["spk0", "spk1"]
    assert {(pace.limit, pace.unit, pace.worst) for pace in found.pace} == {(1e7, "synop/s", None)}
    assert found.always_keeps_up is None


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.sampled_from([SPECK, OLD]))
def test_more_spikes_never_draw_less(rate, more, chip):
    few = cost(chip, rates={**RATES, "input": rate})
    many = cost(chip, rates={**RATES, "input": rate + more})
    assert 0 <= few.dynamic_power.low <= many.dynamic_power.low
    assert few.dynamic_power.high <= many.dynamic_power.high
    assert few.power.low >= few.idle_power.low
