"""Pooling, reshaping and merging."""

import pytest
import torch

from toolchain import nn


@pytest.mark.parametrize("kernel", [2, 3, 5, 7, (2, 3)])
def test_sum_pool_is_exact_for_whole_numbers(kernel):
    torch.manual_seed(0)
    x = torch.randint(-(2**18), 2**18, (2, 3, 15, 17)).float()
    y, x_size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    windows = x.long().unfold(2, y, y).unfold(3, x_size, x_size)
    assert torch.equal(nn.SumPool2d(kernel)(x).long(), windows.sum((-2, -1)))


def test_sum_pool_takes_a_stride_and_has_gradients():
    x = torch.ones(1, 1, 5, 5, requires_grad=True)
    out = nn.SumPool2d(3, stride=1)(x)
    assert out.shape == (1, 1, 3, 3)
    out.sum().backward()
    assert float(x.grad[0, 0, 2, 2]) == 9


def test_flatten_and_unflatten_time_are_inverse_and_batch_major():
    x = torch.arange(24.0).reshape(2, 3, 4)
    rows = nn.FlattenTime()(x)
    assert torch.equal(rows[1 * 3 + 2], x[1, 2])
    assert torch.equal(nn.UnflattenTime(2)(rows), x)
    with pytest.raises(ValueError, match="6 rows are not a multiple of batch_size=4"):
        nn.UnflattenTime(4)(rows)


def test_merge_adds_and_refuses_other_shapes():
    assert torch.equal(nn.Merge()(torch.ones(2, 3), torch.ones(2, 3)), torch.full((2, 3), 2.0))
    with pytest.raises(ValueError, match=r"inputs of the same shape, got \(2, 3\) and \(2, 1\)"):
        nn.Merge()(torch.ones(2, 3), torch.ones(2, 1))
