"""Clock cycles of a timestep, against the numbers that the documentation's networks give."""

import numpy as np
import pytest

from tests.cases import each
from tests.chips.xylo.programs import quiet
from toolchain.chips.load import load_chip
from toolchain.chips.xylo import simulate
from toolchain.chips.xylo.cycles import (
    cycles_per_step,
    least_dt_s,
    measured_cycles,
    second_synapse_operations,
    suggested_clock,
    worst_case_cycles,
)

A2, IMU, A3 = map(load_chip, ("xylo_a2", "xylo_imu", "xylo_a3"))


def residual(inputs, zeros=0):
    """The documentation's network: inputs -> 4 -> 4 recurrent, with its input added -> 2."""
    weights_in = np.zeros((inputs, 8, 1), int)
    weights_in[:, :4] = 3
    weights_rec = np.zeros((8, 8, 1), int)
    weights_rec[:, 4:] = -5
    weights_rec.flat[4 : 4 + zeros] = 0
    weights_out = np.zeros((8, 2), int)
    weights_out[4:] = 7
    aliases = ((4,), (5,), (6,), (7,), (), (), (), ())
    return quiet(
        inputs=inputs,
        hidden=8,
        outputs=2,
        weights_in=weights_in,
        weights_rec=weights_rec,
        weights_out=weights_out,
        aliases=aliases,
    )


@pytest.mark.parametrize(
    ("chip", "program", "cycles"),
    [(IMU, residual(15), 757), (A3, residual(2), 562), (A3, residual(2, zeros=1), 555)],
    ids=["imu", "audio 3", "audio 3 with a weight rounded to 0"],
)
def test_the_networks_of_the_documentation_need_the_cycles_it_gives(chip, program, cycles):
    assert cycles_per_step(program, chip, input_active=1.0, hidden_active=1.0) == cycles


def test_each_stage_of_the_network_of_the_documentation_has_its_share():
    full = cycles_per_step(residual(15), IMU, input_active=1.0, hidden_active=1.0)
    no_input = cycles_per_step(residual(15), IMU, input_active=0.0, hidden_active=1.0)
    assert full - no_input == 15 * 3.5 * 4
    # 15 channels, 8 currents, 8 neurons with a quarter of them aliased, 2 outputs
    silent = cycles_per_step(residual(15), IMU, input_active=0.0, hidden_active=0.0)
    assert silent == 15 + 8 * 3 + 8 * (19 + 2 * 0.25 + 3 * 0.25 + 0.5 * 0.5) + 12 * 2


def test_audio_2_walks_over_all_hidden_neurons():
    program = residual(2)
    more = cycles_per_step(program, A2, input_active=1.0, hidden_active=1.0) - 562
    assert more == 2 * 3.5 * 4 + 4 * (1 + 8 * 2)


@pytest.mark.parametrize(
    ("chip", "inputs", "hidden", "outputs", "fan_out", "reach", "cycles"),
    [
        (A2, 16, 1000, 8, 32, 1000, 370_112),
        (IMU, 16, 496, 16, 64, 128, 258_496),
        (A3, 16, 992, 32, 32, 128, 287_472),
    ],
    ids=["a2", "imu", "a3"],
)
def test_a_full_chip_needs_the_cycles_of_the_formula(
    chip, inputs, hidden, outputs, fan_out, reach, cycles
):
    weights_in = np.zeros((inputs, hidden, 1), int)
    weights_in[:, :reach] = 1
    weights_rec = np.zeros((hidden, hidden, 1), int)
    weights_rec[:, :fan_out] = 1
    weights_out = np.zeros((hidden, outputs), int)
    weights_out[-reach:] = 1
    program = quiet(
        inputs=inputs,
        hidden=hidden,
        outputs=outputs,
        weights_in=weights_in,
        weights_rec=weights_rec,
        weights_out=weights_out,
    )
    assert cycles_per_step(program, chip, input_active=1.0, hidden_active=1.0) == cycles


def test_more_activity_never_needs_fewer_cycles():
    program, levels = residual(3), np.linspace(0, 1, 6)
    grid = np.array(
        [
            [cycles_per_step(program, IMU, input_active=i, hidden_active=h) for h in levels]
            for i in levels
        ]
    )
    assert (np.diff(grid, axis=0) > 0).all()
    assert (np.diff(grid, axis=1) > 0).all()


def busy(chip_inputs=3, synapses=1, seed=0):
    """A small program that fires on ``raster`` of the same seed, and its recording."""
    rng = np.random.default_rng(seed)
    program = quiet(
        inputs=chip_inputs,
        hidden=6,
        outputs=2,
        synapses=synapses,
        weights_in=rng.integers(-5, 100, (chip_inputs, 6, synapses)),
        weights_rec=rng.integers(-40, 40, (6, 6, synapses)),
        weights_out=rng.integers(-9, 9, (6, 2)),
        threshold=np.full(6, 90),
        aliases=((4,), (), (), (), (), ()),
        dt=1e-3,
    )
    raster = rng.integers(0, 3, (2, 25, chip_inputs)) * (rng.random((2, 25, 1)) < 0.5)
    return program, raster, simulate(program, raster, record=True)


def test_a_step_is_charged_for_its_inputs_its_spikes_and_those_of_the_step_before():
    program, raster, run = busy()
    got = measured_cycles(program, IMU, raster, run)
    fired = (run.hidden_spikes > 0).mean(axis=2)
    assert got.shape == (2, 25)
    assert fired.max() > 0.5
    late = 6 * 7 * np.count_nonzero(program.weights_rec) / 6 + 6 * (1 + 8 * 2)
    for sample, t in np.ndindex(2, 25):
        own = cycles_per_step(
            program,
            IMU,
            input_active=(raster[sample, t] > 0).mean(),
            hidden_active=fired[sample, t],
        )
        before = fired[sample, t - 1] if t else 0.0
        np.testing.assert_allclose(got[sample, t], own + late * (before - fired[sample, t]))


def test_more_spikes_of_one_channel_in_a_step_cost_what_one_does():
    program, raster, run = busy()
    once = measured_cycles(program, A2, np.minimum(raster, 1), run)
    np.testing.assert_array_equal(measured_cycles(program, A2, raster, run), once)


@pytest.mark.parametrize("chip", [A2, IMU, A3], ids=["a2", "imu", "a3"])
def test_no_step_costs_less_than_silence_or_more_than_the_worst_case(chip):
    program, raster, run = busy()
    got = measured_cycles(program, chip, raster, run)
    assert got.min() >= cycles_per_step(program, chip, input_active=0, hidden_active=0)
    assert got.max() <= worst_case_cycles(program, chip)
    assert len(np.unique(got)) > 5


def test_cycles_are_measured_on_a_recording_of_this_raster_only():
    program, raster, run = busy()
    with pytest.raises(ValueError, match=r"^the recording has no hidden spikes: simulate with r"):
        measured_cycles(program, A2, raster, simulate(program, raster))
    message = (
        r"^the raster needs hidden spikes of shape \(2, 24, 6\), the recording has \(2, 25, 6\)$"
    )
    with pytest.raises(ValueError, match=message):
        measured_cycles(program, A2, raster[:, 1:], run)


@pytest.mark.parametrize(
    ("chip", "program", "dt", "mhz"),
    [
        (IMU, residual(15), 5e-3, 0.18),
        (A3, residual(2), 10e-3, 0.07),
        (A3, residual(2, zeros=1), 10e-3, 0.07),
    ],
    ids=["imu", "audio 3", "audio 3 with a weight rounded to 0"],
)
def test_the_documentation_suggests_these_clocks(chip, program, dt, mhz):
    clock = suggested_clock(program, chip, dt)
    assert round(clock.needed_hz / 1e6, 2) == mhz
    assert clock.needed_hz == pytest.approx(1.2 * worst_case_cycles(program, chip) / dt)


@each("chip", [A2, IMU])
@each("dt", [3e-5, 1e-4, 1.3e-3, 5e-3])
def test_the_clock_is_the_slowest_of_the_divider_that_suffices(chip, dt):
    clock = suggested_clock(residual(15), chip, dt)
    every = 100e6 / (2 * np.arange(1, 10_000))
    assert clock.reachable_hz == every[every >= clock.needed_hz].min()


def test_a_clock_that_is_needed_exactly_is_taken_and_one_too_fast_is_not_there():
    cycles = worst_case_cycles(residual(15), IMU)
    for mhz in (50.0, 25.0, 50 / 3, 6.25, 50 / 7):
        found = suggested_clock(residual(15), IMU, dt=cycles / (mhz * 1e6), margin=0)
        assert found.reachable_hz == pytest.approx(mhz * 1e6, rel=1e-9)
    beyond = suggested_clock(residual(15), IMU, dt=cycles / 50.1e6, margin=0)
    assert beyond.needed_hz == pytest.approx(50.1e6)
    assert beyond.reachable_hz is None


def test_a_chip_without_a_known_divider_is_told_what_it_needs():
    assert suggested_clock(residual(2), A3, dt=1e-3).reachable_hz is None


def test_the_program_s_own_timestep_is_taken():
    program, _, _ = busy()
    assert suggested_clock(program, A2) == suggested_clock(program, A2, dt=1e-3)
    with pytest.raises(ValueError, match=r"^a clock needs the duration of a timestep"):
        suggested_clock(residual(2), A2)
    with pytest.raises(ValueError, match=r"^dt must be > 0 s, got 0$"):
        suggested_clock(residual(2), A2, dt=0)
    with pytest.raises(ValueError, match=r"^margin must be a fraction >= 0, got -0\.1$"):
        suggested_clock(residual(2), A2, dt=1, margin=-0.1)


def test_the_shortest_timestep_undoes_the_suggested_clock():
    dt = least_dt_s(residual(15), IMU, clock_hz=6.25e6)
    assert dt == pytest.approx(1.2 * 757 / 6.25e6)
    assert suggested_clock(residual(15), IMU, dt).needed_hz == pytest.approx(6.25e6)
    with pytest.raises(ValueError, match=r"^clock_hz 5\.1e\+07 Hz is above the 50 MHz of"):
        least_dt_s(residual(15), IMU, clock_hz=51e6)


def test_second_synapses_are_counted_on_audio_2_alone():
    program, _, _ = busy(synapses=2)
    fan_out = np.count_nonzero(program.weights_rec[..., 0]) / 6
    share = {"input_active": 0.5, "hidden_active": 0.25}
    want = 1.5 * 0.5 * 3 * 6 + 5 * fan_out * 0.25 * 6 + 6
    assert second_synapse_operations(program, A2, **share) == pytest.approx(want)
    assert second_synapse_operations(residual(2), A2, **share) == 0
    assert second_synapse_operations(program, A3, **share) is None
    assert cycles_per_step(program, A2, **share) == cycles_per_step(
        quiet(
            inputs=3,
            hidden=6,
            outputs=2,
            weights_in=program.weights_in[..., :1],
            weights_rec=program.weights_rec[..., :1],
            weights_out=program.weights_out,
            aliases=program.aliases,
        ),
        A2,
        **share,
    )
