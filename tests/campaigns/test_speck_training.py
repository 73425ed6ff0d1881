"""Training of Speck on random networks: every spike and every gradient; low bits and event timing.

The figures of the networks that are trained are printed with the range over seeds.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.chips.speck.test_training import TIMINGS, Case, check_case
from tests.chips.speck.training_networks import on_chip
from toolchain import deploy, load_chip
from toolchain.nn import reset_states

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import digits  # the network and the data of the demo

pytestmark = pytest.mark.campaign

CASES, NETWORKS, SEEDS = 200, 500, 3


@pytest.mark.parametrize("timing", TIMINGS)
def test_gradients_equal_autograd(timing):
    errors, spikes = [], 0
    for seed in range(1000, 1000 + CASES):
        found, error = check_case(Case(seed), timing)
        errors.append(error)
        spikes += found
    print(f"\n{CASES} networks, {timing}: {spikes} spikes equal; largest relative error of a")
    print(f"gradient {max(errors):.1e}, median {np.median(errors):.1e}")
    assert spikes > 20 * CASES


def test_forward_passes_equal_the_simulation():
    spikes, saturations = 0, 0
    for seed in range(2000, 2000 + NETWORKS):
        case = Case(seed)
        for timing in TIMINGS:
            wanted = on_chip(case.changed).simulate(case.raster, record=True, timing=timing)
            tape = case.run(timing, gradient=bool(seed % 2))
            assert tape.saturations == wanted.saturations
            saturations += sum(tape.saturations.values())
            for name, layer in wanted.layers.items():
                np.testing.assert_array_equal(tape.values[name], layer.spikes)
                spikes += int(layer.spikes.sum())
    print(f"\n{NETWORKS} networks in both timings: 0 of {spikes} spikes differ")
    assert spikes > 50 * NETWORKS


# ---- the network of the digits ----


def trained(seed, epochs=8):
    """The demo's network, its training and its test data."""
    torch.manual_seed(seed)
    net, data = digits.convolutional_network(), digits.digits()
    spikes = digits.rate_coded(data.train)
    net(torch.as_tensor(spikes[:1]).float())
    score, settings = digits.class_counts, {"rate": 0.005, "temperature": 4.0}
    digits.train(
        net, spikes, data.train_labels, score, epochs=epochs, description="", show=False, **settings
    )
    reset_states(net)
    return net, spikes, data.train_labels, digits.rate_coded(data.test), data.test_labels


def chip_of(bits):
    """Speck 2f with weights of other width."""
    chip = load_chip("speck2f")
    width = chip.limits.weight_width.model_copy(update={"value": bits})
    limits = chip.limits.model_copy(update={"weight_width": width})
    return chip.model_copy(update={"limits": limits})


@pytest.mark.filterwarnings("ignore::toolchain.DeployWarning")
def test_few_bits_train_as_well_as_eight():
    found = {bits: [] for bits in (8, 4, 3)}
    for seed in range(SEEDS):
        net, spikes, labels, test, test_labels = trained(seed)
        for bits, rows in found.items():
            sample = {"sample": spikes[:2], "dt": 1e-3, "calibration": spikes[:64]}
            start = deploy(net, chip_of(bits), **sample)
            tuned = start.fit(spikes, labels, epochs=8, seed=seed, progress=False)
            rows.append([accuracy(d, test, test_labels) for d in (start, tuned)])
    print()
    for bits, rows in found.items():
        before, after = np.transpose(rows)
        print(
            f"{bits} bit: {before.mean():.1f} ({before.min():.1f} to {before.max():.1f}) % before, "
            f"{after.mean():.1f} ({after.min():.1f} to {after.max():.1f}) % after"
        )
    after = {bits: np.mean(rows, axis=0)[1] for bits, rows in found.items()}
    assert after[4] >= after[8] - 1
    assert after[3] >= after[8] - 1


def accuracy(deployment, spikes, labels):
    """Percentage of samples whose most active output is that of their label."""
    return 100 * float((deployment.simulate(spikes).spikes.sum(1).argmax(1) == labels).mean())
