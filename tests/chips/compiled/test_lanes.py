"""Each function of the lanes, against numpy."""

import numpy as np
import pytest
from numba import njit

from toolchain.chips.compiled import lanes
from toolchain.chips.compiled.lanes import LANES

TYPES = (np.int16, np.int32, np.int64)

EDGES = {dtype: [np.iinfo(dtype).min, -1, 0, 1, 2, np.iinfo(dtype).max] for dtype in TYPES}


def values(dtype, seed):
    """Thirty-two integers, with those at the edges of the type."""
    rng = np.random.default_rng(seed)
    info = np.iinfo(dtype)
    filled = rng.integers(info.min, info.max, LANES, dtype, endpoint=True)
    filled[rng.permutation(LANES)[: 2 * len(EDGES[dtype])]] = 2 * EDGES[dtype]
    return filled


def combined(function, a, b):
    """``function`` of two arrays, or of an array and a scalar."""
    if np.ndim(b):

        @njit
        def run(a, b, out):
            lanes.store(out, 0, function(lanes.load(a, 0), lanes.load(b, 0)))
    else:

        @njit
        def run(a, b, out):
            lanes.store(out, 0, function(lanes.load(a, 0), b))

    out = np.empty_like(a)
    run(a, b, out)
    return out


def saturating(a, b):
    info = np.iinfo(a.dtype)
    return [min(max(int(x) + int(y), info.min), info.max) for x, y in np.broadcast(a, b)]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lanes.add, np.add),
        (lanes.subtract, np.subtract),
        (lanes.multiply, np.multiply),
        (lanes.add_saturating, saturating),
        (lanes.both, np.bitwise_and),
        (lanes.either, np.bitwise_or),
        (lanes.maximum, np.maximum),
        (lanes.minimum, np.minimum),
        (lanes.at_least, lambda a, b: -(a >= b).astype(int)),
        (lanes.below, lambda a, b: -(a < b).astype(int)),
        (lanes.greater, lambda a, b: -(a > b).astype(int)),
        (lanes.equal, lambda a, b: -(a == b).astype(int)),
        (lanes.not_equal, lambda a, b: -(a != b).astype(int)),
    ],
)
def test_vectors_are_combined_with_vectors_and_scalars(function, wanted, dtype):
    a, b = values(dtype, 0), values(dtype, 1)
    with np.errstate(over="ignore"):
        assert combined(function, a, b).tolist() == np.asarray(wanted(a, b), dtype).tolist()
        want = wanted(a, np.full_like(a, -3))
        assert combined(function, a, -3).tolist() == np.asarray(want, dtype).tolist()


@pytest.mark.parametrize("dtype", TYPES)
def test_shifts_keep_the_sign_and_round_down(dtype):
    a, by = values(dtype, 0), (np.arange(LANES) % 16).astype(dtype)
    assert combined(lanes.shift_left, a, by).tolist() == (a << by).tolist()
    assert combined(lanes.shift_right, a, by).tolist() == (a >> by).tolist()
    assert combined(lanes.shift_left, a, 3).tolist() == (a << 3).tolist()


@pytest.mark.parametrize("dtype", TYPES)
def test_bytes_are_widened_with_their_sign(dtype):
    @njit
    def run(source, out):
        lanes.store(out, 3, lanes.load_as(source, 5, out))

    source = values(np.int16, 0).astype(np.int8)
    out = np.zeros(LANES + 3, dtype)
    run(np.concatenate([np.zeros(5, np.int8), source]), out)
    assert out.tolist() == [0, 0, 0, *source.tolist()]


def test_lanes_are_widened_and_cut():
    @njit
    def run(a, wide, out):
        v = lanes.widen(lanes.load(a, 0))
        lanes.store(wide, 0, v)
        lanes.store(out, 0, lanes.narrow(lanes.multiply(v, 5)))

    a = values(np.int16, 0)
    wide, out = np.empty(LANES, np.int32), np.empty(LANES, np.int16)
    run(a, wide, out)
    assert wide.tolist() == a.tolist()
    assert out.tolist() == (a.astype(np.int32) * 5).astype(np.int16).tolist()


@pytest.mark.parametrize("dtype", [*TYPES, np.uint8, np.float32, np.float64])
def test_lanes_become_bits_and_bits_choose_lanes(dtype):
    @njit
    def run(a, b, out):
        bits = lanes.nonzero(lanes.load(a, 0))
        lanes.store(out, 0, lanes.blend(bits, lanes.load(b, 0), lanes.zeros(out)))
        return bits, lanes.count(bits), lanes.lowest(bits)

    a = (np.arange(LANES) % 3).astype(dtype)
    a[-1] = np.nan if a.dtype.kind == "f" else 1
    b = np.arange(LANES).astype(np.int16)
    out = np.empty_like(b)
    bits, number, first = run(a, b, out)
    assert bits == sum(1 << i for i in range(LANES) if a[i] != 0)
    assert (number, first) == (np.count_nonzero(a), 1)
    assert out.tolist() == np.where(a != 0, b, 0).tolist()
