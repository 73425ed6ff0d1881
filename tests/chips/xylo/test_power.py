"""Counts of a Xylo program, and what they cost."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chips.xylo.graphs import integers, layered
from tests.chips.xylo.programs import quiet
from tests.chips.xylo.test_cycles import residual
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.cycles import (
    cycles_by_layer,
    cycles_per_step,
    least_dt_s,
    second_synapse_operations,
    suggested_clock,
)
from toolchain.chips.xylo.emit.tree import configuration
from toolchain.chips.xylo.lower.integers import lower
from toolchain.chips.xylo.power import activity, activity_at, estimate
from toolchain.chips.xylo.simulate.run import simulate

A2, IMU, A3 = map(load_chip, ("xylo_a2", "xylo_imu", "xylo_a3"))
RATES = {"input": 100.0, "hidden": 50.0, "output": 10.0}


def program(**changes):
    """Two inputs, two hidden neurons, one output, all joined."""
    fields = {
        "inputs": 2,
        "weights_in": np.ones((2, 2, 1), int),
        "weights_rec": np.array([[[0], [3]], [[0], [0]]]),
        "weights_out": np.array([[0], [2]]),
        "dt": 1e-3,
    }
    return quiet(**fields | changes)


def cost(chip, clock_hz=None, rates=None, modes=None, **changes):
    found = program(**changes)
    return estimate(found, chip, activity_at(found, rates or RATES, 100), clock_hz, modes or {})


def span(figure):
    return figure.low, figure.nominal, figure.high


# ---- counting ----


@pytest.mark.parametrize("seed", range(8))
def test_synops_are_the_connections_that_spikes_pass(seed):
    rng = np.random.default_rng(seed)
    graph, _ = layered(rng, synapses=1 + seed % 2)
    xylo_program = lower(integers(rng, graph), A3)
    spikes = rng.poisson(1.0, (3, 20, xylo_program.inputs)).clip(0, 15)
    run = simulate(xylo_program, spikes, record=True)
    want = dict.fromkeys([p.name for p in xylo_program.populations], 0)
    joined = {
        "input": [xylo_program.weights_in[..., s] for s in range(xylo_program.synapses)],
        "hidden": [xylo_program.weights_rec[..., s] for s in range(xylo_program.synapses)],
        "output": [xylo_program.weights_out],
    }
    for p in xylo_program.populations:
        for post in range(p.start, p.stop):
            for source, fired in (("input", spikes), ("hidden", run.hidden_spikes)):
                kind = "output" if (p.role, source) == ("output", "hidden") else source
                if p.role == "output" and source == "input":
                    continue
                for matrix in joined[kind]:
                    for pre in np.flatnonzero(matrix[:, post]):
                        want[p.name] += int(fired[..., pre].sum(dtype=int))
    found = activity(xylo_program, spikes)
    assert {la.name: la.synops_per_step * 60 for la in found.layers[1:]} == pytest.approx(want)
    assert found.synops_per_step * 60 == pytest.approx(sum(want.values()))
    assert (found.steps, found.dt) == (20, xylo_program.dt)


def test_spikes_and_active_neurons_are_counted_a_step():
    found = activity(program(), np.array([[[2, 0], [1, 1], [0, 0], [0, 3]]]))
    entry = found.layers[0]
    assert (entry.name, entry.neurons, entry.spikes_per_step) == ("input", 2, 7 / 4)
    assert entry.active == 4 / 8
    assert entry.synops_per_step == 0


def test_an_image_at_the_input_is_counted_as_its_row():
    spikes = np.array([[[2, 0], [1, 1]]])
    flat = activity(program(), spikes)
    assert activity(program(), spikes.reshape(1, 2, 1, 2)) == flat
    assert activity(program(), (spikes > 0)).layers[0].spikes_per_step == 1.5


def test_nothing_is_counted_of_no_steps():
    found = activity(program(), np.zeros((1, 0, 2), int))
    assert found.synops_per_step == 0
    assert all(layer.spikes_per_step == 0 for layer in found.layers)


def test_rates_are_spikes_a_second_of_each_neuron():
    found = activity_at(program(), RATES, steps=100)
    by_name = {layer.name: layer for layer in found.layers}
    assert by_name["input"].spikes_per_step == pytest.approx(0.2)
    assert by_name["input"].active == pytest.approx(0.1)
    assert by_name["hidden"].spikes_per_step == pytest.approx(0.1)
    assert by_name["hidden"].synops_per_step == pytest.approx(0.1 * 4 + 0.05)
    assert by_name["output"].synops_per_step == pytest.approx(0.05)


def test_a_neuron_is_active_at_most_once_a_step():
    found = activity_at(program(), {**RATES, "input": 5000.0}, steps=1)
    assert found.layers[0].active == 1.0
    assert found.layers[0].spikes_per_step == 10


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"input": 1.0}, "rates need input, hidden, output; missing or unknown: hidden, output"),
        (
            {**RATES, "hiden": 1.0},
            "rates need input, hidden, output; missing or unknown: hiden",
        ),
        (
            {**RATES, "hidden": -1.0},
            "rate of 'hidden' must be a number of spikes per second >= 0, got -1.0",
        ),
        (
            {**RATES, "input": float("nan")},
            "rate of 'input' must be a number of spikes per second >= 0, got nan",
        ),
        (
            {**RATES, "output": float("inf")},
            "rate of 'output' must be a number of spikes per second >= 0, got inf",
        ),
        (
            {**RATES, "output": True},
            "rate of 'output' must be a number of spikes per second >= 0, got True",
        ),
    ],
)
def test_rates_that_are_none_are_refused(rates, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        activity_at(program(), rates, steps=1)


@pytest.mark.parametrize(
    "count", [lambda p: activity(p, np.zeros((1, 1, 2), int)), lambda p: activity_at(p, RATES, 1)]
)
def test_a_program_without_dt_cannot_be_counted(count):
    with pytest.raises(ValueError, match=r"^an estimate needs the length of a timestep: deploy"):
        count(program(dt=None))


# ---- idle draw ----


def test_at_the_clock_of_the_reading_the_idle_draw_is_the_reading():
    found = cost(A2).idle
    assert span(found["io"]) == (99.8, 99.8, 99.8)
    assert span(found["snn_core"]) == (216, 250.1, 250.1)
    assert {f.basis for f in found.values()} == {"measured"}
    assert cost(A2).clock_hz == 6.25e6


@pytest.mark.parametrize(
    ("clock_hz", "low", "high"), [(50e6, 216, 250.1 * 8), (3.125e6, 216 / 2, 250.1)]
)
def test_at_another_clock_it_is_a_range_that_is_assumed(clock_hz, low, high):
    core = cost(A2, clock_hz).idle["snn_core"]
    assert span(core) == (pytest.approx(low), None, pytest.approx(high))
    assert core.basis == "assumed"
    assert core.source.endswith("read at 6.25 MHz only")
    assert cost(A2, clock_hz).power.nominal is None
    assert cost(A2, clock_hz).basis == "assumed"


@pytest.mark.parametrize("mhz", [6.25, 12.5, 25.0, 50.0])
def test_where_the_static_draw_is_known_the_clock_adds_its_slope(mhz):
    found = cost(A3, mhz * 1e6).idle
    assert span(found["digital"]) == pytest.approx(
        (141 + 24.68 * mhz, 141 + 27.96 * mhz, 152.1 + 68 * mhz)
    )
    assert span(found["io"]) == pytest.approx((9 + 4.55 * mhz, 10 + 4.55 * mhz, 350.4 + 9.65 * mhz))
    assert span(found["analog"]) == (12.3, 13, 19)
    assert found["digital"].basis == "derived"


@pytest.mark.parametrize(("mhz", "read"), [(6.25, 327), (12.5, 501), (25.0, 852), (50.0, 1550)])
def test_the_readings_of_a_mapped_network_lie_in_the_range(mhz, read):
    digital = cost(A3, mhz * 1e6).idle["digital"]
    assert digital.low < read < digital.high
    assert digital.nominal == pytest.approx(read, rel=0.04)
    result = cost(A3, mhz * 1e6, modes={"configuration": "mapped"}).idle["digital"]
    assert result.low < read < result.high
    assert result.nominal == digital.nominal


@pytest.mark.parametrize(
    ("modes", "mhz", "read"),
    [
        ({"configuration": "unmapped"}, 6.25, 302.0),
        ({"configuration": "unmapped"}, 50, 1407.2),
        ({"configuration": "ram_open"}, 6.25, 542.9),
        ({"configuration": "ram_open"}, 50, 3437),
        ({"configuration": "monitored"}, 12.5, 606),
    ],
)
def test_a_mode_that_is_said_narrows_the_range_around_its_reading(modes, mhz, read):
    result = cost(A3, mhz * 1e6, modes=modes)
    digital = result.idle["digital"]
    assert digital.low <= read <= digital.high
    assert digital.high < 1.2 * digital.low
    assert result.modes == {"microphone": None, "configuration": modes["configuration"]}


@pytest.mark.parametrize(("mhz", "read"), [(6.25, 69), (12.5, 132), (25, 257), (50, 492)])
def test_a_microphone_doubles_what_the_clock_costs_on_the_pads(mhz, read):
    found = cost(A3, mhz * 1e6, modes={"microphone": "on"}).idle["io"]
    assert found.nominal == pytest.approx(read, rel=0.035)
    assert cost(A3, mhz * 1e6, modes={"microphone": "off"}).idle["io"].high < found.low


@pytest.mark.parametrize(
    ("chip", "modes", "message"),
    [
        (
            A3,
            {"configuration": "open"},
            "configuration of xylo_a3 must be one of mapped, unmapped, monitored, ram_open, "
            "got 'open'",
        ),
        (
            A3,
            {"ram": "open"},
            "xylo_a3 has no switch 'ram'; there are: microphone, configuration",
        ),
        (A2, {"ram": "open"}, "xylo_a2 has no switch 'ram'; there are: none"),
    ],
)
def test_a_mode_that_the_chip_does_not_have_is_refused(chip, modes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cost(chip, modes=modes)


@pytest.mark.parametrize(
    ("clock_hz", "message"),
    [
        (0, "clock_hz must be a number of Hz > 0, such as 6.25e6, got 0"),
        (-1.0, "clock_hz must be a number of Hz > 0, such as 6.25e6, got -1.0"),
        (float("nan"), "clock_hz must be a number of Hz > 0, such as 6.25e6, got nan"),
        (True, "clock_hz must be a number of Hz > 0, such as 6.25e6, got True"),
        (
            10**400,
            f"clock_hz must be a number of Hz > 0, such as 6.25e6, got {10**56!s}...",
        ),
        ("50MHz", "clock_hz must be a number of Hz > 0, such as 6.25e6, got '50MHz'"),
        (
            51e6,
            "clock_hz 5.1e+07 Hz is above the 50 MHz of xylo_a2 (xylo_a2.yaml, Rockpool, "
            "devices/xylo/syns61201/xa2_devkit_utils.py (derived))",
        ),
    ],
)
def test_a_clock_that_the_chip_does_not_have_is_refused(clock_hz, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cost(A2, clock_hz)


@pytest.mark.parametrize("chip", [A2, A3, IMU, load_chip("xylo_1")], ids=lambda chip: chip.name)
@pytest.mark.parametrize(
    ("clock_hz", "hint"),
    [
        (6.25, "; did you mean 6.25e6?"),  # MHz
        (np.int64(50), "; did you mean 50e6?"),
        (6250.0, "; did you mean 6.25e6?"),  # kHz
        (6.25e12, "; did you mean 6.25e6?"),
        (1e-3, ""),
        (50.1e6, ""),
    ],
)
def test_a_clock_in_another_unit_is_refused_wherever_it_is_given(chip, clock_hz, hint):
    end = rf"(below the 50 kHz|above the 50 MHz) of {chip.name} \(.*\){re.escape(hint)}$"
    message = re.escape(f"clock_hz {clock_hz:g} Hz is ") + end
    with pytest.raises(ValueError, match=f"^{message}"):
        cost(chip, clock_hz)
    with pytest.raises(ValueError, match=f"^{message}"):
        least_dt_s(program(), chip, clock_hz=clock_hz)
    if chip in (A2, A3):  # the others need another core or timestep
        with pytest.raises(ValueError, match=f"^{message}"):
            configuration(
                program(chip=chip.name), chip, operation_mode="RealTime", clock_hz=clock_hz
            )


# ---- what activity adds ----


def test_activity_costs_its_cycles_on_the_core_rail():
    found = cost(IMU)
    cycles = cycles_per_step(program(), IMU, input_active=0.1, hidden_active=0.05)
    per_second = cycles / 1e-3
    assert list(found.dynamic) == ["core"]
    assert span(found.dynamic["core"]) == pytest.approx(
        tuple(pj * 1e-6 * per_second for pj in (6, 10, 17))
    )
    assert found.dynamic["core"].unit == "µW"


def test_a_core_cannot_be_busier_than_its_clock():
    found = cost(IMU, dt=1e-6)
    assert found.load.nominal > 1
    assert found.keeps_up is False
    assert found.dynamic["core"].nominal == pytest.approx(10 * 6.25)
    assert found.seconds_per_step == pytest.approx(1e-6 * found.load.nominal)


def test_silence_costs_the_updates_of_neurons_and_never_less_than_nothing():
    silent = cost(A2, rates=dict.fromkeys(RATES, 0.0))
    assert 0 < silent.dynamic_power.low < cost(A2).dynamic_power.low
    assert silent.activity.synops_per_step == 0


def test_the_documentations_network_draws_about_what_was_read():
    found = residual(15)
    xylo_program = quiet(
        **{f: getattr(found, f) for f in ("weights_in", "weights_rec", "weights_out", "aliases")},
        inputs=15,
        hidden=8,
        outputs=2,
        dt=5e-3,
    )
    rates = {"input": 0.4 / 5e-3, "hidden": 40.0, "output": 0.0}
    core = estimate(xylo_program, IMU, activity_at(xylo_program, rates, 1), None).power_by_rail[
        "core"
    ]
    assert core.low < 201.1 < core.high * 1.05
    assert core.nominal == pytest.approx(201.1, rel=0.1)


# ---- latency, load, totals ----


def test_latency_is_a_step_a_hidden_layer_and_the_work_of_one():
    found = cost(A2)
    typical = cycles_per_step(program(), A2, input_active=0.1, hidden_active=0.05)
    worst = cycles_per_step(program(), A2, input_active=1, hidden_active=1)
    want = [1e3 * (1e-3 + cycles / 6.25e6) for cycles in (typical, typical, worst)]
    assert span(found.latency) == pytest.approx(tuple(want))


def hops(**changes):
    xylo_program = program(**changes)
    found = estimate(xylo_program, A2, activity_at(xylo_program, RATES, 1), 50e6).latency
    return None if found is None else round(found.low)


def test_latency_follows_the_shortest_way():
    first = np.array([[[1], [0]], [[0], [0]]])
    assert hops() == 1
    assert hops(weights_in=first) == 2
    assert hops(weights_in=first, aliases=((1,), ())) == 1
    assert hops(weights_in=first, weights_rec=np.zeros((2, 2, 1), int)) is None


def test_load_is_the_share_of_the_timestep():
    found = cost(A2)
    typical = cycles_per_step(program(), A2, input_active=0.1, hidden_active=0.05)
    assert found.load.nominal == pytest.approx(typical / 6250)
    assert found.load.low <= found.load.nominal <= found.load.high
    assert found.load.unit == "fraction"
    assert found.keeps_up is True


def test_counts_a_step_a_second_and_an_inference_are_one():
    found = cost(A2)
    assert found.synops_per_second == pytest.approx(found.activity.synops_per_step / 1e-3)
    assert found.synops_per_inference == pytest.approx(found.activity.synops_per_step * 100)
    assert found.energy_per_inference.nominal == pytest.approx(found.power.nominal * 0.1)
    assert found.energy_per_inference.unit == "µJ/inference"
    assert found.dynamic_energy_per_inference.low == pytest.approx(found.dynamic_power.low * 0.1)


def test_rails_add_up():
    found = cost(A3)
    assert sum(f.nominal for f in found.power_by_rail.values()) == pytest.approx(
        found.power.nominal
    )
    assert found.power.low <= found.power.nominal <= found.power.high


def test_what_is_not_in_the_figures_is_said():
    text = "\n".join(map(str, cost(IMU).not_priced))
    assert "state recording" in text
    assert "Only the sum of static and clocked draw is known" in text
    assert "input_event: 200 spike/s" in text
    assert "output_event: 10 spike/s" in text


def test_operations_on_second_synapses_are_counted_and_have_no_price():
    two = np.ones((2, 2, 2), int)
    xylo_program = program(synapses=2, weights_in=two, weights_rec=two)
    found = estimate(xylo_program, A2, activity_at(xylo_program, RATES, 1), None)
    (item,) = [item for item in found.not_priced if item.what == "second_synapse"]
    want = second_synapse_operations(xylo_program, A2, input_active=0.1, hidden_active=0.05)
    assert item.per_second == pytest.approx(want / 1e-3)


def test_counts_of_another_program_are_refused():
    counted = activity_at(program(), RATES, 1)
    other = lower(integers(np.random.default_rng(0), layered(np.random.default_rng(0))[0]), A3)
    with pytest.raises(ValueError, match=r"^the counts are of input, hidden, output, the program"):
        estimate(other, A3, counted, None)


@pytest.mark.parametrize("chip", [A2, IMU, A3], ids=lambda chip: chip.name)
@pytest.mark.parametrize("seed", range(4))
def test_the_cycles_of_the_layers_are_those_of_the_formula(chip, seed):
    rng = np.random.default_rng(seed)
    xylo_program = lower(integers(rng, layered(rng)[0]), A3)
    counted = activity(xylo_program, rng.poisson(0.5, (2, 20, xylo_program.inputs)).clip(0, 15))
    found = cycles_by_layer(xylo_program, chip, counted)
    hidden = [p.name for p in xylo_program.populations if p.role == "hidden"]
    busy = (
        sum(counted[name].active * counted[name].neurons for name in hidden) / xylo_program.hidden
    )
    whole = cycles_per_step(
        xylo_program, chip, input_active=counted.layers[0].active, hidden_active=busy
    )
    assert list(found) == [layer.name for layer in counted.layers]
    assert sum(found.values()) == pytest.approx(whole)
    assert all(cycles > 0 for cycles in found.values())
    shares = [layer.dynamic_share for layer in estimate(xylo_program, chip, counted, None).layers]
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([cycles / whole for cycles in found.values()])


@pytest.mark.parametrize(("inputs", "cycles"), [(15, 757.0), (2, 562.0)])
def test_the_documentations_cycles_are_what_the_pace_is_held_against(inputs, cycles):
    doc = residual(inputs)
    fields = ("weights_in", "weights_rec", "weights_out", "aliases")
    xylo_program = quiet(
        **{f: getattr(doc, f) for f in fields}, inputs=inputs, hidden=8, outputs=2, dt=5e-3
    )
    rates = {"input": 200.0, "hidden": 200.0, "output": 0.0}
    (pace,) = estimate(xylo_program, IMU, activity_at(xylo_program, rates, 1), None).pace
    assert pace.worst == pytest.approx(cycles / 5e-3)
    assert pace.unit == "cycle/s"


# ---- laws ----

rate = st.floats(0, 1000)


@given(rate, rate, rate, st.sampled_from([A2, IMU, A3]), st.floats(0, 500), st.integers(0, 2))
def test_more_spikes_never_draw_less(x, y, z, chip, more, which):
    rates = dict(zip(RATES, (x, y, z), strict=True))
    busier = {**rates, list(RATES)[which]: list(rates.values())[which] + more}
    few, many = cost(chip, rates=rates), cost(chip, rates=busier)
    for name in ("dynamic_power", "power", "energy_per_step", "energy_per_inference"):
        low, high = getattr(few, name), getattr(many, name)
        # the last bits of a difference of sums are rounded
        assert 0 <= low.low <= high.low * (1 + 1e-14)
        assert low.high <= high.high * (1 + 1e-14)
    assert few.load.nominal <= many.load.nominal


@given(st.floats(0.1e6, 50e6), st.floats(1, 4))
def test_a_faster_clock_never_draws_less(clock_hz, factor):
    faster = min(50e6, clock_hz * factor)
    slow, fast = cost(A3, clock_hz), cost(A3, faster)
    for end in ("low", "nominal", "high"):
        assert getattr(slow.idle_power, end) <= getattr(fast.idle_power, end) * (1 + 1e-9)
    assert fast.load.nominal <= slow.load.nominal * (1 + 1e-9)


@given(st.integers(0, 1000), st.integers(1, 5))
def test_an_inference_of_more_steps_costs_as_much_more(steps, times):
    xylo_program = program()
    one = estimate(xylo_program, A2, activity_at(xylo_program, RATES, steps), None)
    many = estimate(xylo_program, A2, activity_at(xylo_program, RATES, steps * times), None)
    assert many.power == one.power
    assert many.energy_per_inference.low == pytest.approx(one.energy_per_inference.low * times)


# ---- suggestions ----


def clocks(found):
    return [s for s in found.suggestions if s.about == "clock"]


def test_the_slowest_clock_that_keeps_up_is_suggested_with_what_it_saves():
    worst, typical = clocks(cost(A2, 50e6))
    assert worst.clock_hz == suggested_clock(program(), A2).reachable_hz
    assert typical.clock_hz <= worst.clock_hz < 50e6
    at_that_clock = cost(A2, worst.clock_hz)
    assert at_that_clock.always_keeps_up is True
    assert (worst.saves.low, worst.saves.nominal, worst.saves.basis) == (0, None, "assumed")
    assert worst.text.startswith("the worst case, with 20 % margin, needs ")


def test_what_a_slower_clock_saves_is_the_difference_of_the_powers():
    (worst, _) = clocks(cost(A3, 50e6))
    assert worst.clock_hz == 6.25e6
    modes = {"configuration": "mapped", "microphone": "off"}
    (worst, _) = clocks(cost(A3, 50e6, modes=modes))
    fast, slow = (cost(A3, clock, modes=modes).power.nominal for clock in (50e6, 6.25e6))
    assert worst.saves.nominal == pytest.approx(fast - slow)


def test_no_clock_is_suggested_where_none_is_known_to_be_slower():
    assert clocks(cost(A3)) == []


def test_a_clock_that_is_too_slow_is_told_with_one_that_is_not():
    found = clocks(cost(A2, 50e6, dt=1e-6))
    assert [s.saves for s in found] == [None, None]
    assert found[0].text.endswith("more than is set")
    late = clocks(cost(A2, 0.05e6))[0]
    assert late.clock_hz > 0.05e6
    assert "more than is set, " in late.text
