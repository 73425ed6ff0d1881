"""Groups, dilation and unequal sides as one dense square kernel: the same numbers come out."""

import numpy as np
import pytest

from tests.chips.speck.graphs import iaf
from toolchain.chips.load import load_chip
from toolchain.chips.speck import simulate
from toolchain.chips.speck.lower.dense import dense
from toolchain.chips.speck.lower.integers import lower
from toolchain.ir import Conv2d, Graph, Input, Output
from toolchain.runs.interpret import interpret

CHIP = load_chip("speck2f")


def network(weight, shape):
    """input -> conv -> spk -> output, in integers."""
    nodes = {"input": Input(shape=shape), "conv": weight}
    nodes["spk"] = iaf(weight.output_shape(shape), v_threshold=5.0, v_min=-9.0)
    return Graph.chain({**nodes, "output": Output()}, dt=1e-3)


def unusual(rng):
    """A convolution of whole numbers with anything that a core has no field for, and its input."""
    groups = int(rng.choice([1, 1, 2, 3]))
    kernel, dilation = rng.integers(1, 5, 2), rng.integers(1, 3, 2)
    padding, stride = rng.integers(0, 3, 2), rng.choice([1, 2, 4], 2)
    spans = dilation * (kernel - 1) + 1
    sides = np.maximum(1, spans - 2 * padding) + rng.integers(0, 5, 2)
    weight = rng.integers(-5, 6, (groups * int(rng.integers(1, 3)), 2, *kernel))
    settings = {"stride": stride, "padding": padding, "dilation": dilation}
    node = Conv2d(
        weight=weight, groups=groups, **{k: tuple(map(int, v)) for k, v in settings.items()}
    )
    return node, (2 * groups, *map(int, sides))


def test_the_program_computes_what_the_graph_does():
    rng = np.random.default_rng(11)
    unlike = refused = 0
    for _ in range(300):
        node, shape = unusual(rng)
        graph = network(node, shape)
        (core,) = lower(graph, CHIP).cores
        spikes = rng.poisson(0.5, (2, 6, *shape))
        run = simulate(lower(graph, CHIP), spikes)
        wanted = interpret(graph, spikes).spikes
        np.testing.assert_array_equal(run.outputs["spk"].ravel(), wanted.ravel())
        height, width = core.weight.shape[2:]
        unlike += node.weight.shape[2] != node.weight.shape[3] and height == width
        refused += height != width
    assert unlike > 100
    assert refused > 5


@pytest.mark.parametrize("sides", [(1, 2), (5, 4), (7, 12), (16, 3), (15, 16)])
def test_a_dense_layer_on_any_map_gets_a_square_kernel(sides):
    weight = np.arange(2 * 3 * sides[0] * sides[1]).reshape(2, 3, *sides)
    kernel = dense(Conv2d(weight=weight), (3, *sides), CHIP.limits)
    side = max(sides)
    assert kernel.weight.shape == (2, 3, side, side)
    assert np.count_nonzero(kernel.weight) == np.count_nonzero(weight)
    assert set(kernel.stride) <= set(CHIP.limits.strides.values)


def test_padding_beyond_the_chips_is_not_made():
    # 1 row of 15 in the middle: 7 zeros on either side is the most
    row = Conv2d(weight=np.ones((1, 1, 1, 15)), padding=(0, 7))
    assert dense(row, (1, 20, 20), CHIP.limits).padding == (7, 7)
    row = Conv2d(weight=np.ones((1, 1, 1, 15)), padding=(1, 7))
    assert dense(row, (1, 20, 20), CHIP.limits).weight.shape[2:] == (1, 15)


def test_a_plain_square_kernel_stays_as_it_is():
    node = Conv2d(weight=np.ones((2, 2, 3, 3)), stride=(3, 2), padding=(9, 1))
    kernel = dense(node, (2, 20, 20), CHIP.limits)
    assert kernel.weight is not node.weight
    np.testing.assert_array_equal(kernel.weight, node.weight)
    assert (kernel.stride, kernel.padding) == ((3, 2), (9, 1))
