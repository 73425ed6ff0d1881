"""Synops equal a count spike by spike and connection by connection, on random layers."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from tests.cases import each
from toolchain.nn import SumPool2d
from toolchain.synops import (
    SNNAnalyzer,
    conv_layer_synops_hook,
    linear_layer_synops_hook,
    register_synops_hooks,
)

CASES = 200

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def connections(layer, sizes, outputs):
    """Of every tap: input position -> output position, as a list of pairs a tap."""
    kernel, stride, dilation = layer.kernel_size, layer.stride, layer.dilation
    padding = layer.padding
    if padding == "same":
        padding = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
    elif padding == "valid":
        padding = (0,) * len(kernel)
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d)
    small, large = (sizes, outputs) if transposed else (outputs, sizes)
    for tap in itertools.product(*map(range, kernel)):
        for at in itertools.product(*map(range, small)):
            there = tuple(
                a * s + k * d - p
                for a, s, k, d, p in zip(at, stride, tap, dilation, padding, strict=True)
            )
            if all(0 <= x < n for x, n in zip(there, large, strict=True)):
                yield tap, *((at, there) if transposed else (there, at))


def brute_force(layer, spikes, outputs, zeros=True):
    """Synops of all rows: a loop over samples and connections of every pair of channels."""
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d)
    per_in = layer.in_channels // layer.groups
    per_out = layer.out_channels // layer.groups
    weight = layer.weight.detach().numpy()
    taps = list(connections(layer, spikes.shape[2:], outputs))
    found = 0
    for row in spikes:
        for channel, out in itertools.product(range(layer.in_channels), range(layer.out_channels)):
            if channel // per_in != out // per_out:
                continue
            for tap, there, _ in taps:
                own = (channel, out % per_out) if transposed else (out, channel % per_in)
                if zeros or weight[own + tap] != 0:
                    found += row[(channel, *there)]
    return found


def random_layer(rng):
    space = int(rng.integers(1, 3))
    groups = int(rng.integers(1, 3))
    channels = groups * int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
    kernel, stride, dilation = (tuple(map(int, rng.integers(1, high, space))) for high in (4, 4, 3))
    transposed = rng.random() < 0.35
    kind = ((nn.ConvTranspose1d, nn.ConvTranspose2d) if transposed else (nn.Conv1d, nn.Conv2d))[
        space - 1
    ]
    padding = tuple(
        int(rng.integers(0, d * (k - 1) + 1)) for d, k in zip(dilation, kernel, strict=True)
    )
    rest = {}
    if transposed:
        rest["output_padding"] = tuple(
            int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True)
        )
    elif rng.random() < 0.2:
        padding, stride = "same", (1,) * space
    layer = kind(*channels, kernel, stride, padding, dilation=dilation, groups=groups, **rest)
    layer.requires_grad_(False)
    layer.weight[torch.from_numpy(rng.random(tuple(layer.weight.shape)) < 0.3)] = 0
    return layer


@each("seed", range(CASES))
def test_synops_equal_a_loop_over_spikes_and_connections(seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    layer = random_layer(rng)
    space = len(layer.kernel_size)
    rows = int(2 ** rng.integers(0, 3))
    pool, window = nn.Identity(), (1, 1)
    sizes = tuple(map(int, rng.integers(5, 8, space)))
    if space == 2 and rng.random() < 0.5:
        window = tuple(map(int, 2 ** rng.integers(0, 3, 2)))
        pool = (SumPool2d if rng.random() < 0.5 else nn.AvgPool2d)(window)
        sizes = tuple(n * w for n, w in zip(sizes, window, strict=True))
    spikes = torch.from_numpy(rng.poisson(0.7, (rows, layer.in_channels, *sizes))).float()
    summed = spikes
    if window != (1, 1):
        summed = nn.functional.avg_pool2d(spikes, window, divisor_override=1)

    layer.register_forward_hook(conv_layer_synops_hook)
    found = {}
    for skip in (False, True):
        model = nn.Sequential(pool, layer)
        with register_synops_hooks(model, skip_zero_weights=skip), SNNAnalyzer(model) as analyzer:
            out = model(spikes)
        found[skip] = model.hook_data["synops_per_timestep"][1].item()
        if not skip:
            assert analyzer.get_model_statistics()["synops"].item() == found[skip]
    # the hook of a single layer does not see the pool
    divisor = np.prod(window) if isinstance(pool, nn.AvgPool2d) else 1
    alone = layer.hook_data["layer_synops_per_timestep"].item()
    assert alone * divisor == found[False]
    outputs = out.shape[2:]
    expected = float(brute_force(layer, summed.numpy(), outputs))
    without_zeros = brute_force(layer, summed.numpy(), outputs, zeros=False)
    assert found[False] * rows == expected
    layer.weight.fill_(1)  # each connection now adds each spike once to the output
    assert (layer(summed) - layer.bias.view(-1, *(1,) * space)).sum().item() == pytest.approx(
        expected, abs=1e-3 + 1e-5 * expected
    )
    assert found[True] * rows == without_zeros


@each("shape", [(6,), (4, 6), (2, 4, 6)])
@each("skip", [False, True])
def test_dense_synops_equal_a_loop_over_spikes_and_connections(shape, skip):
    rng = np.random.default_rng(len(shape))
    layer = nn.Linear(6, 5)
    layer.requires_grad_(False)
    layer.weight[torch.from_numpy(rng.random((5, 6)) < 0.4)] = 0
    spikes = torch.from_numpy(rng.poisson(0.7, shape)).float()
    model = nn.Sequential(layer)
    register_synops_hooks(model, skip_zero_weights=skip)
    layer.register_forward_hook(linear_layer_synops_hook)
    model(spikes)
    rows = spikes.reshape(-1, 6)
    expected = sum(
        rows[row, i].item()
        for row, i, o in itertools.product(range(len(rows)), range(6), range(5))
        if not skip or layer.weight[o, i] != 0
    )
    found = model.hook_data["total_synops_per_timestep"].item()
    assert found * len(rows) == pytest.approx(expected, rel=1e-6)
    if not skip:
        assert layer.hook_data["layer_synops_per_timestep"].item() == found
