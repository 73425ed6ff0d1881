"""Fast sums are sums."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.runs.recording import count_agreement
from toolchain.runs.tally import active_of_each, spikes_of_each

TYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float64")


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("most", [1, 2, 15, 127])
@pytest.mark.parametrize("shape", [(3, 50, 7), (40, 250, 60), (2, 3, 2, 5, 4), (5, 1000, 1)])
def test_they_are_the_plain_sums(dtype, most, shape):
    spikes = np.random.default_rng(0).integers(0, most + 1, shape).astype(dtype)
    flat = spikes.reshape(-1, int(np.prod(shape[2:])))
    assert spikes_of_each(spikes).tolist() == flat.sum(axis=0, dtype=np.int64).tolist()
    assert active_of_each(spikes).tolist() == np.count_nonzero(flat, axis=0).tolist()


def test_narrow_floats_do_not_stop_counting():
    assert spikes_of_each(np.ones((1, 3000, 2), np.float16)).tolist() == [3000, 3000]
    many = np.ones((1, 2**24 + 5, 1), np.float32)
    assert spikes_of_each(many).tolist() == [2**24 + 5]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint64", "float16", "float64"])
def test_agreement_is_the_same_whatever_the_type(dtype):
    few, many = np.zeros((1, 4000, 2), dtype), np.ones((1, 4000, 2), dtype)
    few[:, ::4] = 1
    assert count_agreement(few, many) == count_agreement(many, few) == 0.25


def test_what_cannot_be_counted_is_refused():
    masked = np.ma.array(np.ones((1, 2, 2), int), mask=np.eye(2)[None])
    for spikes in (masked, [masked[0]]):
        with pytest.raises(ValueError, match="has masked values"):
            spikes_of_each(spikes)
        with pytest.raises(ValueError, match="has masked values"):
            active_of_each(spikes)
    with pytest.raises(ValueError, match="fit 64 bits"):
        spikes_of_each(np.full((1, 2, 1), 2**63, np.uint64))


@given(st.integers(0, 5), st.integers(0, 400), st.integers(1, 300), st.sampled_from(TYPES[1:8]))
def test_no_sum_overflows(batch, steps, neurons, dtype):
    spikes = np.full((batch, steps, neurons), np.iinfo(dtype).max, dtype)
    want = batch * steps * int(np.iinfo(dtype).max)
    if want < 2**63:
        assert set(spikes_of_each(spikes).tolist()) <= {want}


def test_slices_are_summed_as_they_lie():
    whole = np.random.default_rng(1).integers(0, 5, (20, 300, 90)).astype(np.int8)
    part = whole[..., 30:50]
    assert spikes_of_each(part).tolist() == part.sum(axis=(0, 1), dtype=int).tolist()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.int8(-1), "spikes must be counts >= 0"),
        (np.nan, "spikes must be counts >= 0"),
        (0.5, "spikes must be whole counts"),
        (np.inf, "spikes must be whole counts"),
        (1j, "spikes must be counts, got an array of type complex128"),
    ],
)
def test_what_is_no_count_is_refused(value, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        spikes_of_each(np.full((1, 2, 3), value))
