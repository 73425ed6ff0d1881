"""Clock cycles of a timestep, against the numbers that the documentation's networks give."""

import numpy as np
import pytest

from tests.chips.xylo.programs import quiet
from toolchain.chips.xylo.cycles import cycles_per_step
from toolchain.hardware import load_chip

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
