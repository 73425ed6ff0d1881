"""Training on Xylo: 500 random networks forward, 200 backward, over all chips."""

import numpy as np
import pytest

from tests.chips.xylo.training_law import differences, errors, forward

TOLERANCE = 1e-4


@pytest.mark.campaign
def test_every_value_of_500_random_networks_is_that_of_the_chip():
    runs = [forward(seed, gradient=bool(seed % 2), threads=1 + seed % 3) for seed in range(500)]
    values = sum(values.size for run in runs for values in run.tape.values.values())
    different = {run.seed: found for run in runs if (found := differences(run))}
    print(f"{len(runs)} networks, {values} values, {sum(different.values())} differ")
    assert not different


@pytest.mark.campaign
def test_gradients_of_200_random_networks_are_those_of_torch():
    found = {seed: errors(forward(seed, gradient=True, start=not seed % 2)) for seed in range(205)}
    each = [error for errors in found.values() for error in errors.values()]
    worst = max(found, key=lambda seed: max(found[seed].values(), default=0))
    print(
        f"{sum(map(bool, found.values()))} networks, {len(each)} gradients: relative error median "
        f"{np.median(each):.1g}, largest {max(each):.1g} (network {worst})"
    )
    assert max(each) <= TOLERANCE
