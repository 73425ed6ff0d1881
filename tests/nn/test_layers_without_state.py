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


def test_merge_refuses_another_number_of_axes():
    with pytest.raises(ValueError, match=r"of as many axes, got shapes \(2, 3\) and \(3,\)"):
        nn.Merge()(torch.ones(2, 3), torch.ones(3))


def test_layers_that_move_features_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="counted from the end, so < 0; got 1"):
        nn.ChannelShift(2, 1)
    with pytest.raises(ValueError, match="must be >= 0 at every margin"):
        nn.Cropping2dLayer(((0, -1), (0, 0)))
    with pytest.raises(ValueError, match=r"margins \(2, 1\), \(0, 0\) leave nothing of 3 x 4"):
        nn.Cropping2dLayer(((2, 1), (0, 0)))(torch.ones(1, 1, 3, 4))
    with pytest.raises(ValueError, match=r"takes \(channels, time\), got shape \(1, 2, 3\)"):
        nn.Sig2SpikeLayer(2)(torch.ones(1, 2, 3))


@pytest.mark.parametrize(
    ("layer", "shape", "out"),
    [
        (nn.Cropping2dLayer(((1, 2), (0, 3))), (2, 6, 7), (2, 3, 4)),
        (nn.SpikingMaxPooling2dLayer((3, 2), (2, 1), (1, 0, 2, 1)), (1, 7, 5), (1, 4, 5)),
    ],
)
def test_the_shape_of_the_output_is_known_before(layer, shape, out):
    assert layer.get_output_shape(shape) == tuple(layer(torch.ones(1, *shape)).shape[1:]) == out
    assert nn.Img2SpikeLayer((1, 2, 2), tw=3).get_output_shape((1, 2, 2)) == (1, 2, 2)
    assert nn.Sig2SpikeLayer(4, tw=3).get_output_shape((4, 6)) == (18, 4)
