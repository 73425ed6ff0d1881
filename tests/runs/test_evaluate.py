"""Nodes that rearrange or spread features compute what torch's functions compute."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from toolchain.ir import ConvTranspose1d, ConvTranspose2d, Pad, Permute, Reshape
from toolchain.runs.evaluate import evaluate

X = np.random.default_rng(0).integers(0, 3, (2, 3, 4, 5, 6)).astype(float)


@settings(deadline=None, max_examples=40)
@given(
    axes=st.sampled_from([1, 2]),
    groups=st.sampled_from([1, 2]),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_transposed_convolution_is_that_of_torch(
    axes, groups, stride, padding, dilation, kernel, seed, data
):
    rng = np.random.default_rng(seed)
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    how["output_padding"] = data.draw(st.integers(0, max(stride, dilation) - 1))
    weight = rng.integers(-4, 5, (4, 3, *kernel[:axes])).astype(float)
    bias = rng.integers(-4, 5, 3 * groups).astype(float)
    kind = (ConvTranspose1d, ConvTranspose2d)[axes - 1]
    node, x = kind(weight=weight, bias=bias, **how), X if axes == 2 else X[..., 0]
    function = (functional.conv_transpose1d, functional.conv_transpose2d)[axes - 1]
    given = map(torch.as_tensor, (x.reshape(-1, *x.shape[2:]), weight, bias))
    try:
        wanted = function(*given, **how).numpy()
    except RuntimeError:  # nothing of the output is left
        with pytest.raises(ValueError, match="removes the whole output"):
            node.output_shape(x.shape[2:])
        return
    shape = node.output_shape(x.shape[2:])
    np.testing.assert_array_equal(evaluate(node, [x]), wanted.reshape(2, 3, *shape))


CUT = Pad(before=(1, 0, -2), after=(-2, 3, 1))


@pytest.mark.parametrize(
    ("node", "function"),
    [
        (CUT, lambda x: functional.pad(x, (-2, 1, 0, 3, 1, -2))),
        (Reshape(shape=(10, 12)), lambda x: x.reshape(2, 3, 10, 12)),
        (Permute(axes=(2, 0, 1)), lambda x: x.permute(0, 1, 4, 2, 3)),
    ],
)
def test_values_are_rearranged_as_by_torch(node, function):
    found = evaluate(node, [X])
    np.testing.assert_array_equal(found, function(torch.as_tensor(X)))
    assert found.shape[2:] == node.output_shape(X.shape[2:])
