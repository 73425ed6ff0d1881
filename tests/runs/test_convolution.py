"""Convolutions from their active pixels, against products of windows and weights."""

import numpy as np
import pytest

from toolchain.ir import Conv2d
from toolchain.runs import convolution
from toolchain.runs.convolution import convolve
from toolchain.runs.exact import ExactSums, lowest_bit


@pytest.mark.parametrize("dtype", [np.float32, np.float64])  # sums of the latter are rounded
@pytest.mark.parametrize("rate", [0.0, 0.02, 0.9])
@pytest.mark.parametrize(
    ("channels", "kernel", "rest"),
    [
        ((8, 2), (3, 3), {"padding": (1, 1)}),
        ((4, 3), (3, 2), {"stride": (2, 3), "padding": (2, 0)}),
        ((4, 2), (2, 3), {"stride": (1, 2), "dilation": (3, 2), "bias": np.arange(4.0)}),
        ((6, 1), (5, 5), {"groups": 3, "padding": (4, 4), "stride": (4, 4)}),
        ((2, 3), (1, 1), {"stride": (3, 1)}),
    ],
)
def test_sums_by_pixels_and_by_windows_have_the_same_bits(
    monkeypatch, channels, kernel, rest, rate, dtype
):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(*channels, *kernel)).astype(dtype).astype(float)
    node = Conv2d(weight=weight, **rest)
    x = rng.poisson(rate, (2, 3, channels[1] * node.groups, 11, 9)).astype(float)
    by_windows = []
    for least in (0, np.inf):
        monkeypatch.setattr(convolution, "LEAST", least)
        monkeypatch.setattr(convolution, "AT_ONCE", 1000)
        by_windows.append(convolve(node, x))
    assert by_windows[0].tobytes() == by_windows[1].tobytes()


@pytest.mark.parametrize(
    ("weights", "inputs", "exact"),
    [
        ([2.0**52 - 1], [1.0], True),
        ([2.0**52 - 1], [2.0], False),
        ([2.0**30, 2.0**-22], [1.0], False),
        ([2.0**29, 2.0**-22], [1.0], True),
        ([1.0, np.nan], [1.0], False),
        ([1.0, 3.0], [0.25, 0.1], False),
        ([1.0, 3.0], [0.25, 8.0], True),
        ([5e-324], [1.0], False),
        ([1e300], [1.0], True),
    ],
)
def test_the_proof_holds_up_to_53_bits_and_no_further(weights, inputs, exact):
    assert ExactSums(np.array([weights])).proven_for(np.array(inputs)) is exact


def test_the_lowest_bit_is_that_of_the_smallest_digit():
    rng = np.random.default_rng(0)
    values = rng.integers(1, 2**20, 50) * 2.0**-13
    assert lowest_bit(values) == -13
    assert lowest_bit(np.float64(np.float32(rng.normal(size=9)))) >= -24 - 6
