"""How many outputs a spike reaches, against a loop over every connection."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.ir import Conv1d, Conv2d, Graph, Input, Output
from toolchain.ir.fan_out import conv_fan_out, reach
from toolchain.runs.interpret import interpret

small = st.integers(1, 4)
pairs = st.tuples(small, small)


def brute(size, kernel, stride, padding, dilation):
    """Outputs each position of one axis contributes to, one kernel position at a time."""
    found = [0] * size
    start = -padding
    while start + dilation * (kernel - 1) < size + padding:
        for k in range(kernel):
            if 0 <= start + dilation * k < size:
                found[start + dilation * k] += 1
        start += stride
    return found


@given(st.integers(1, 9), small, small, st.integers(0, 4), small)
def test_the_reach_along_an_axis_is_that_of_a_loop(size, kernel, stride, padding, dilation):
    found = reach(size, kernel, stride, padding, dilation)
    assert found.tolist() == brute(size, kernel, stride, padding, dilation)


def test_a_kernel_larger_than_its_input_reaches_nothing():
    assert reach(3, 5, 1, 0).tolist() == [0, 0, 0]


@given(
    size=st.tuples(st.integers(4, 7), st.integers(4, 7)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=pairs,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.integers(1, 2),
)
def test_the_fan_out_of_a_position_is_what_one_spike_there_reaches(
    size, kernel, stride, padding, dilation, groups
):
    axes = zip(size, kernel, padding, dilation, strict=True)
    if any(d * (k - 1) >= n + 2 * p for n, k, p, d in axes):
        return
    shape = (2 * groups, *size)
    weight = np.ones((3 * groups, 2, *kernel))
    node = Conv2d(weight=weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
    graph = Graph.chain({"in": Input(shape=shape), "conv": node, "out": Output()})
    found = conv_fan_out(shape, weight.shape, stride, padding, dilation, groups)
    one_each = np.eye(int(np.prod(shape))).reshape(-1, 1, *shape)
    reached = interpret(graph, one_each).spikes.reshape(len(one_each), -1).sum(axis=1)
    assert (reached.reshape(shape) == found).all()


@given(st.integers(4, 9), st.integers(1, 3), small, st.integers(0, 2), st.integers(1, 2))
def test_the_fan_out_along_one_axis_is_what_one_spike_reaches(
    size, kernel, stride, padding, dilation
):
    if dilation * (kernel - 1) >= size + 2 * padding:
        return
    weight = np.ones((3, 2, kernel))
    node = Conv1d(weight=weight, stride=stride, padding=padding, dilation=dilation)
    graph = Graph.chain({"in": Input(shape=(2, size)), "conv": node, "out": Output()})
    found = conv_fan_out((2, size), weight.shape, (stride,), (padding,), (dilation,))
    one_each = np.eye(2 * size).reshape(-1, 1, 2, size)
    reached = interpret(graph, one_each).spikes.reshape(2 * size, -1).sum(axis=1)
    assert (reached.reshape(2, size) == found).all()


def test_an_inner_position_reaches_every_output_channel_at_every_kernel_position():
    found = conv_fan_out((1, 5, 5), (8, 1, 3, 3), (1, 1), (1, 1))
    assert found[2, 2] == 8 * 9
    assert found[0, 0] == 8 * 4
    assert found[0, 2] == 8 * 6


@pytest.mark.parametrize(("groups", "wanted"), [(1, 6), (2, 3), (6, 1)])
def test_groups_share_the_output_channels(groups, wanted):
    found = conv_fan_out((6, 1, 1), (6, 6 // groups, 1, 1), (1, 1), (0, 0), groups=groups)
    assert found.tolist() == [[wanted]]
