import numpy as np
import pytest

from toolchain.runs.recording import count_agreement


def trains(*counts):
    """One sample of spike trains with these counts, in random order."""
    rng = np.random.default_rng(0)
    columns = [rng.permutation(np.arange(20) < n) for n in counts]
    return np.stack(columns, axis=1)[None].astype(int)


@pytest.mark.parametrize(
    ("wanted", "got", "agreement"),
    [
        ((3, 4), (3, 4), 1),
        ((0, 0), (0, 0), 1),
        ((5, 0), (0, 0), 0),
        ((4, 6), (5, 5), 1 - 2 / 11),
    ],
)
def test_agreement_is_the_share_of_spikes_that_both_have(wanted, got, agreement):
    assert count_agreement(trains(*wanted), trains(*got)) == pytest.approx(agreement)
    assert count_agreement(trains(*got), trains(*wanted)) == pytest.approx(agreement)


def test_samples_are_counted_apart():
    first, second = trains(2, 0), trains(0, 2)
    assert count_agreement(np.concatenate([first, second]), np.concatenate([second, first])) == 0
