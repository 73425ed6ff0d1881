"""``common`` makes the integers that sinabs makes, bit for bit."""

import numpy as np
import pytest

from tests.oracles.speck_quantizers import assert_integers, by_sinabs, graph_of, random_layer
from toolchain.chips.load import load_chip
from toolchain.chips.speck.quantize import quantize

pytestmark = [
    pytest.mark.conformance,
    # Said by the package under comparison, not by this project.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.mark.parametrize("seed", range(1000, 1300))
def test_common_makes_the_integers_of_sinabs(seed):
    layer = random_layer(seed)
    done, _ = quantize(graph_of(layer), load_chip("speck2f"), None, "common")
    assert_integers(done, by_sinabs(layer))


def test_without_a_floor_sinabs_makes_a_threshold_of_one_and_common_does_not():
    floored = {
        "weight": np.array([1.0, -0.5], np.float32).reshape(1, 2, 1, 1),
        "threshold": np.float32(1),
        "floor": np.float32(-1),
    }
    free = {name: value for name, value in floored.items() if name != "floor"}
    chip = load_chip("speck2f")
    assert by_sinabs(free)["threshold"] == 1
    assert by_sinabs(floored)["threshold"] == 127
    wanted = by_sinabs(floored)
    del wanted["floor"]
    for layer in (floored, free):
        done, _ = quantize(graph_of(layer), chip, None, "common")
        assert_integers(done, wanted)
