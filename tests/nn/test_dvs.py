"""The camera layer: what sinabs' was recorded to give, and what it refuses."""

import json

import numpy as np
import pytest
import torch

from tests.cases import each
from tests.oracles import nn_cases
from toolchain import nn
from toolchain.nn import Crop2d, DVSLayer, FlipDims, SumPool2d

CASES, SHARED, GAVE = nn_cases.read("dvs_sinabs.npz")


def recorded(case):
    """(layer, input, what sinabs' layer gave, the chip's configuration as sinabs writes it)."""
    layer = nn_cases.build(CASES[case], SHARED, vars(nn))
    counts = SHARED["x".join(map(str, CASES[case]["arguments"]["input_shape"]))]
    config = json.loads(GAVE[case]["config"].tobytes())
    return layer, torch.from_numpy(counts).float(), GAVE[case], config


@each("case", CASES)
def test_the_layer_gives_what_sinabs_gave(case):
    layer, counts, gave, _ = recorded(case)
    np.testing.assert_array_equal(layer(counts), gave["out"])


@each("case", CASES)
def test_the_layer_says_what_it_is_set_to(case):
    layer, counts, gave, config = recorded(case)
    (top, bottom), (left, right) = layer.get_roi()
    assert {"x": left, "y": top} == config["origin"]
    assert {"x": right - 1, "y": bottom - 1} == config["cut"]
    assert dict(zip("yx", layer.get_pooling(), strict=True)) == config["pooling"]
    assert layer.get_flip_dict() == config["mirror"]
    assert layer.get_swap_xy() == config["mirror_diagonal"]
    assert layer.merge_polarities == config["merge"]
    assert layer.disable_pixel_array != config["pass_sensor_events"]
    assert layer.get_output_shape_after_pooling() == tuple(gave["pooled"])
    assert layer.get_output_shape() == tuple(layer(counts).shape[1:])


def test_the_output_shape_of_a_transposed_map_is_transposed():
    layer = DVSLayer((12, 10), pool=(2, 1), crop=((1, 5), (2, 9)), swap_xy=True)
    assert layer.get_output_shape() == (2, 7, 4)  # sinabs says (2, 4, 7) of the same output


def test_one_number_is_a_square_window():
    assert DVSLayer((8, 6), pool=2).get_pooling() == (2, 2)


def test_gradients_reach_every_pixel_that_is_kept_and_no_other():
    counts = torch.ones(1, 2, 6, 8, requires_grad=True)
    DVSLayer((6, 8), pool=(2, 2), crop=((1, 3), (0, 3)), flip_x=True)(counts).sum().backward()
    wanted = torch.zeros(1, 2, 6, 8)
    wanted[:, :, 2:6, 0:6] = 1
    assert torch.equal(counts.grad, wanted)


def test_from_layers_is_the_layers_one_after_the_other():
    counts = torch.from_numpy(SHARED["12x10"]).float()
    pool, crop, flip = SumPool2d((2, 1)), Crop2d(((1, 5), (2, 9))), FlipDims(True, False, True)
    layer = DVSLayer.from_layers((2, 12, 10), pool, crop, flip, disable_pixel_array=False)
    assert torch.equal(layer(counts), flip(crop(pool(counts))))
    assert not layer.disable_pixel_array
    merged = DVSLayer.from_layers((1, 12, 10))
    assert torch.equal(merged(counts), counts.sum(1, keepdim=True))


REFUSED = {
    "a shape with channels": (((2, 12, 10),), {}, r"input_shape must be \(y, x\)"),
    "no rows": (((0, 10),), {}, r"input_shape must be \(y, x\) with integers >= 1"),
    "half a row": (((2.5, 10),), {}, "input_shape must be"),
    "a window of nothing": (((12, 10),), {"pool": (0, 1)}, "pool must be"),
    "a window beyond the map": (((12, 10),), {"pool": (13, 1)}, "exceeds the input of 12 x 10"),
    "a crop beyond the pooled map": (
        ((12, 10),),
        {"pool": (2, 2), "crop": ((0, 7), (0, 5))},
        "exceeds the pooled map of 6 x 5",
    ),
    "a crop of nothing": (((12, 10),), {"crop": ((3, 3), (0, 5))}, "top < bottom"),
    "a crop from the end": (((12, 10),), {"crop": ((-3, 2), (0, 5))}, "0 <= top"),
    "half a crop": (((12, 10),), {"crop": (2, 9)}, r"cropping must be \(\(top, bottom\)"),
}


@pytest.mark.parametrize(("given", "rest", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_meaning_is_refused(given, rest, message):
    with pytest.raises(ValueError, match=message):
        DVSLayer(*given, **rest)


def test_the_last_row_of_the_pooled_map_may_be_kept():
    assert DVSLayer((12, 10), pool=(2, 2), crop=((0, 6), (4, 5))).get_output_shape() == (2, 6, 1)


def test_events_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"takes \(rows, channels, 12, 10\), got \(1, 2, 10, 12\)"):
        DVSLayer((12, 10))(torch.zeros(1, 2, 10, 12))


def test_from_layers_refuses_what_a_camera_does_not_do():
    with pytest.raises(ValueError, match=r"must be \(1 or 2, height, width\), got \(3, 4, 4\)"):
        DVSLayer.from_layers((3, 4, 4))
    with pytest.raises(ValueError, match="pool_layer must be SumPool2d, got AvgPool2d"):
        DVSLayer.from_layers((2, 4, 4), torch.nn.AvgPool2d(2))
    with pytest.raises(
        ValueError, match=r"must have equal kernel and stride, got kernel \(2, 2\), stride \(1, 1\)"
    ):
        DVSLayer.from_layers((2, 4, 4), SumPool2d(2, stride=1))
