"""Averages count as the sums they stand for, wherever they go."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.cases import each
from toolchain.nn import IAF, FlattenTime, IAFSqueeze, SumPool2d
from toolchain.synops import SNNAnalyzer, register_synops_hooks

SPIKES = torch.poisson(torch.ones(4, 2, 8, 8), generator=torch.Generator().manual_seed(0))


class Made(nn.Module):
    """A forward from a function, with layers by name."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.function = forward

    def forward(self, *inputs):
        return self.function(self, *inputs)


def counted(model, *inputs):
    with register_synops_hooks(model):
        model(*inputs)
    return {k: v.item() for k, v in model.hook_data["synops_per_timestep"].items()}


def dense(features):
    return nn.Linear(features, 1)


@each(
    "way",
    [
        nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), dense(32)),
        nn.Sequential(nn.AvgPool2d(2), nn.Dropout(0.0), nn.Identity(), nn.Flatten(), dense(32)),
        nn.Sequential(nn.AvgPool2d(2), SumPool2d(2), nn.AvgPool2d(2), nn.Flatten(), dense(2)),
        nn.Sequential(SumPool2d(2), nn.Flatten(), dense(32)),
        nn.Sequential(nn.AvgPool2d((1, 4)), nn.Flatten(), nn.Unflatten(1, (2, 16)), dense(16)),
        nn.Sequential(nn.AvgPool2d(4, ceil_mode=True), nn.Flatten(), dense(8)),
        nn.Sequential(nn.AvgPool2d(4, divisor_override=3), nn.Flatten(), dense(8)),
        nn.Sequential(nn.AdaptiveAvgPool2d((2, 4)), nn.Flatten(), dense(16)),
        nn.Sequential(nn.AdaptiveAvgPool2d((None, 1)), nn.Flatten(), dense(16)),
        nn.Sequential(nn.Flatten(2), nn.AvgPool1d(8), nn.Flatten(), dense(16)),
        nn.Sequential(nn.Unflatten(1, (1, 2)), nn.AvgPool3d(2), nn.Flatten(), dense(16)),
        nn.Sequential(nn.AvgPool2d(2), nn.BatchNorm2d(2).eval(), nn.Flatten(), dense(32)),
        nn.Sequential(nn.LPPool2d(1, 2), nn.Flatten(), dense(32)),
        Made(lambda m, x: m.out(F.avg_pool2d(x, 2).reshape(4, 32)), out=dense(32)),
        Made(lambda m, x: m.out(F.avg_pool2d(input=x, kernel_size=2).flatten(1)), out=dense(32)),
    ],
)
def test_every_spike_counts_once_whatever_is_on_the_way(way):
    # one output: a synop a spike
    rows = (
        4
        if not isinstance(way, nn.Sequential)
        or len(way) != 4
        or not isinstance(way[2], nn.Unflatten)
        else 8
    )
    found = counted(way, SPIKES)
    assert list(found.values()) == [pytest.approx(SPIKES.sum().item() / rows, rel=1e-5)]


def test_overlapping_windows_count_as_the_sum_pool_they_stand_for():
    model = nn.Sequential(nn.AvgPool2d(3, 2, padding=1), nn.Flatten(), dense(32))
    summed = F.avg_pool2d(SPIKES, 3, 2, padding=1, divisor_override=1)
    assert list(counted(model, SPIKES).values()) == [pytest.approx(summed.sum().item() / 4)]


def test_branches_carry_their_own_factors():
    def forward(model, x):
        fine, coarse = model.coarse(x), model.fine(x)  # neither names nor order tell
        return model.b(coarse.flatten(1)) + model.a(fine.flatten(1))

    model = Made(forward, a=dense(8), b=dense(32), fine=nn.AvgPool2d(2), coarse=nn.AvgPool2d(4))
    assert list(counted(model, SPIKES).values()) == [pytest.approx(SPIKES.sum().item() / 4)] * 2


def test_branches_of_one_factor_may_meet():
    model = Made(
        lambda m, x: m.out(torch.cat([m.pool(x), m.pool(2 * x)], 1).flatten(1)),
        pool=nn.AvgPool2d(2),
        out=dense(64),
    )
    assert counted(model, SPIKES)["out"] == pytest.approx(3 * SPIKES.sum().item() / 4)


def test_branches_of_different_factors_that_meet_are_refused_by_path():
    model = Made(
        lambda m, x: m.out(torch.cat([m.pool(x), x[..., :4, :4]], 1)),
        pool=nn.AvgPool2d(2),
        out=nn.Sequential(nn.Conv2d(4, 1, 1)),
    )
    register_synops_hooks(model)
    with pytest.raises(ValueError, match=r"out\.0: .* mixes values average-pooled by 1 and by 4"):
        model(SPIKES)


def test_one_layer_may_be_reached_by_two_ways():
    model = Made(
        lambda m, x: m.out(m.pool(x)) + m.out(x[..., :4, :4]),
        pool=nn.AvgPool2d(2),
        out=nn.Conv2d(2, 1, 1),
    )
    expected = (SPIKES.sum() + SPIKES[..., :4, :4].sum()).item() / 8
    assert counted(model, SPIKES)["out"] == pytest.approx(expected)


def test_spikes_start_anew():
    model = nn.Sequential(nn.AvgPool2d(2), IAFSqueeze(batch_size=1), nn.Conv2d(2, 1, 1))
    fires = nn.Sequential(nn.AvgPool2d(2), IAFSqueeze(batch_size=1))(SPIKES)
    assert counted(model, SPIKES)[2] == fires.sum().item() / 4


def test_spikes_from_a_comparison_start_anew():
    model = Made(
        lambda m, x: m.out((m.pool(x) > 1).float()), pool=nn.AvgPool2d(2), out=nn.Conv2d(2, 1, 1)
    )
    fires = F.avg_pool2d(SPIKES, 2) > 1
    assert counted(model, SPIKES)["out"] == fires.sum().item() / 4


def test_weights_start_anew():
    model = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 3, 1), nn.Conv2d(3, 1, 1))
    model.requires_grad_(False)
    assert counted(model, SPIKES)[2] == pytest.approx(
        model[1](model[0](SPIKES)).sum().item() / 4, rel=1e-4
    )


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), "count_include_pad=False"),
        (nn.AvgPool2d(3, ceil_mode=True), "ceil_mode=True"),
        (nn.AdaptiveAvgPool2d(3), "windows of unequal size"),
    ],
)
def test_pools_without_one_divisor_are_refused_where_they_reach_a_weight(pool, message):
    model = nn.Sequential(nn.Conv2d(2, 2, 1), pool, nn.Conv2d(2, 2, 1))
    register_synops_hooks(model)
    with pytest.raises(ValueError, match=rf"^2: its input comes from .*{message}"):
        model(SPIKES)
    counted(nn.Sequential(nn.Conv2d(2, 2, 1), pool), SPIKES)


def test_an_input_from_nowhere_is_refused_where_there_are_pools():
    kept = torch.ones(4, 2, 4, 4)
    model = Made(
        lambda m, x: m.out(m.pool(x)) + m.other(kept),
        pool=nn.AvgPool2d(2),
        out=nn.Conv2d(2, 1, 1),
        other=nn.Conv2d(2, 1, 1),
    )
    register_synops_hooks(model)
    with pytest.raises(
        ValueError, match="other: cannot determine whether its input was average-pooled"
    ):
        model(SPIKES)


def test_constants_made_on_the_way_are_no_pools():
    model = Made(
        lambda m, x: m.out(m.pool(x)) + m.other(torch.ones(4, 2, 4, 4)),
        pool=nn.AvgPool2d(2),
        out=nn.Conv2d(2, 1, 1),
        other=nn.Conv2d(2, 1, 1),
    )
    assert counted(model, SPIKES)["other"] == 32


def test_factors_hold_in_every_pass_and_in_training_and_evaluation():
    model = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 1, 1))
    register_synops_hooks(model)
    for training in (True, False, True):
        model.train(training)
        for size in (8, 4):
            model(SPIKES[..., :size, :size])
            found = model.hook_data["total_synops_per_timestep"].item()
            assert found == pytest.approx(SPIKES[..., :size, :size].sum().item() / 4)


def test_a_pass_without_pools_is_watched_only_once():
    model = nn.Sequential(nn.Linear(2, 2), IAF())
    register_synops_hooks(model)
    stacks = []
    model[1].register_forward_hook(
        lambda *_: stacks.append(len(torch.overrides._get_current_function_mode_stack()))
    )
    for _ in range(3):
        model(torch.ones(1, 2, 2))
    assert stacks == [1, 0, 0]


def test_the_analyzer_has_the_factors_in_layers_and_model():
    model = nn.Sequential(
        FlattenTime(), nn.AvgPool2d(2), nn.Conv2d(2, 3, 1), IAFSqueeze(num_timesteps=2)
    )
    analyzer = SNNAnalyzer(model)
    model(SPIKES.reshape(2, 2, 2, 8, 8))
    expected = pytest.approx(3 * SPIKES.sum().item() / 2)
    assert analyzer.get_layer_statistics()["parameter"]["2"]["synops"].item() == expected
    assert analyzer.get_model_statistics()["synops"].item() == expected
