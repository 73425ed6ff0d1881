import numpy as np
import torch

from tests.cases import each
from toolchain.ir.fan_out import conv_fan_out, conv_outputs, fan_out, reach, synapses, taps


@each("stride", [1, 2, 3])
@each("padding", [0, 1, 2])
@each("dilation", [1, 2])
def test_reach_is_what_torch_adds_up(stride, padding, dilation):
    x = torch.zeros(1, 1, 9, requires_grad=True)
    out = torch.nn.functional.conv1d(
        x, torch.ones(1, 1, 3), stride=stride, padding=padding, dilation=dilation
    )
    out.sum().backward()
    assert out.shape[-1] == conv_outputs(9, 3, stride, padding, dilation)
    assert reach(9, 3, stride, padding, dilation).tolist() == x.grad[0, 0].tolist()


def test_a_transposed_tap_leads_forwards():
    table = taps(size=2, outputs=4, kernel=3, stride=2, padding=1, transposed=True)
    assert table.tolist() == [[False, True, True], [True, True, True]]


def test_groups_see_their_own_outputs_only():
    connected = np.ones((4, 1, 2), dtype=bool)
    connected[3] = False
    assert synapses((4, 1, 2), groups=2).tolist() == [[2, 2], [2, 2]]
    assert synapses((4, 1, 2), groups=2, connected=connected).tolist() == [[2, 2], [1, 1]]
    assert synapses((3, 5, 2), transposed=True).tolist() == [[5, 5]] * 3


def test_the_map_of_one_group_is_an_outer_product():
    axes = [taps(n, conv_outputs(n, 3, 2, 1), 3, 2, 1) for n in (5, 6)]
    found = fan_out(synapses((7, 2, 3, 3)), axes)
    one = conv_fan_out((2, 5, 6), (7, 2, 3, 3), (2, 2), (1, 1))
    assert found.shape == (2, 5, 6)
    assert (found == one).all()
