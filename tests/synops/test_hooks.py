import copy

import pytest
import torch
from torch import nn

from tests.synops.tutorial import data, network
from toolchain.frontends import extract
from toolchain.nn import IAF, CubaLIF, ExpLeak, IAFRecurrent, IAFSqueeze, LIFRecurrent
from toolchain.synops import (
    firing_rate_hook,
    firing_rate_per_neuron_hook,
    input_diff_hook,
    register_synops_hooks,
)


def counted(model, *inputs, **options):
    """Synops a step of each layer after one pass."""
    with register_synops_hooks(model, **options):
        model(*inputs)
    return {k: v.item() for k, v in model.hook_data["synops_per_timestep"].items()}


# ---- sinabs' documented small cases ----


def test_two_samples_of_3_and_5_spikes_to_5_outputs_cost_20():
    spikes = torch.zeros(2, 8)
    spikes[0, :3] = 1
    spikes[1, :5] = 1
    assert counted(nn.Sequential(nn.Linear(8, 5)), spikes) == {0: 20}


def test_a_diagonal_through_a_kernel_of_2_and_5_outputs_costs_30():
    assert counted(nn.Sequential(nn.Conv2d(1, 5, 2)), torch.eye(3)[None, None]) == {0: 30}


def test_four_neurons_of_which_one_fires_each_step_have_a_rate_of_a_quarter():
    layer = IAF()
    layer.register_forward_hook(firing_rate_hook)
    layer.register_forward_hook(firing_rate_per_neuron_hook)
    layer(torch.eye(4)[None])
    assert layer.hook_data["firing_rate"].item() == 0.25
    assert layer.hook_data["firing_rate_per_neuron"].tolist() == [0.25] * 4


@pytest.mark.parametrize("layer", [nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Linear(5, 3)])
def test_the_difference_of_inputs_is_what_cancels(layer):
    layer.register_forward_hook(input_diff_hook)
    x = torch.rand(2, 2, 5, 5) if isinstance(layer, nn.Conv2d) else torch.rand(2, 5)
    out = layer(x)
    positive = copy.deepcopy(layer)
    positive.weight.data.abs_()
    positive.bias.data.zero_()
    assert torch.equal(layer.hook_data["diff_output"], positive(x) - out.abs())


def test_the_difference_of_inputs_is_refused_on_other_layers():
    layer = nn.ConvTranspose1d(1, 1, 2)
    layer.register_forward_hook(input_diff_hook)
    with pytest.raises(ValueError, match=r"supports nn\.Linear and nn\.Conv, got ConvTranspose1d"):
        layer(torch.ones(1, 1, 3))


def test_firing_rates_need_batch_and_time():
    layer = nn.Identity()
    layer.register_forward_hook(firing_rate_per_neuron_hook)
    with pytest.raises(
        ValueError, match=r"Identity output must be \(batch, time, \.\.\.\), got shape \(3,\)"
    ):
        layer(torch.ones(3))


# ---- batches, passes, removal ----


def test_samples_alone_add_up_to_the_batch():
    model = nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4))
    x = torch.poisson(torch.ones(4, 2, 6, 6)).double()
    model.double()
    alone = [counted(model, x[i : i + 1]) for i in range(4)]
    together = counted(model, x)
    for key in together:
        assert together[key] == pytest.approx(sum(one[key] for one in alone) / 4, rel=1e-12)


def test_batch_and_time_give_the_mean_over_both():
    x = torch.poisson(torch.ones(2, 4, 6))
    model = nn.Sequential(nn.Linear(6, 5), IAF())
    assert counted(model, x)[0] == pytest.approx(x.sum().item() * 5 / 8)
    assert counted(model, x)[0] == counted(nn.Sequential(nn.Linear(6, 5)), x.flatten(0, 1))[0]


def test_several_passes_are_averaged_by_their_time_steps():
    model = nn.Sequential(nn.Linear(4, 5))
    hooks = register_synops_hooks(model, dt=1e-3)
    with pytest.raises(ValueError, match="no pass to average over"):
        hooks.average()
    model(torch.ones(1, 4))
    model(torch.zeros(3, 4))
    found = hooks.average()
    assert found["synops_per_timestep"][0].item() == 5
    assert found["total_synops_per_timestep"].item() == 5
    assert found["total_synops_per_second"].item() == pytest.approx(5000)
    assert model.hook_data["total_synops_per_timestep"].item() == 0
    hooks.reset()
    model(torch.ones(2, 4))
    assert hooks.average()["total_synops_per_timestep"].item() == 20


def test_removed_hooks_count_no_more_and_leave_none_behind():
    model = network()
    hooks = register_synops_hooks(model)
    model(data())
    kept = model.hook_data["total_synops_per_timestep"]
    hooks.remove()
    hooks.remove()
    model(0 * data())
    assert model.hook_data["total_synops_per_timestep"] is kept
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_a_pass_that_fails_leaves_no_trace():
    class Fails(nn.Module):
        def forward(self, x):
            if x.sum() > 0:
                raise RuntimeError("as planned")
            return x

    model = nn.Sequential(nn.Linear(3, 3), Fails())
    model[0].requires_grad_(False).weight.fill_(1)
    hooks = register_synops_hooks(model)
    with pytest.raises(RuntimeError, match="as planned"):
        model(torch.ones(1, 3))
    assert not torch.overrides._get_current_function_mode_stack()
    model[0].weight.fill_(-9)
    model(torch.ones(1, 3))
    assert hooks.average()["total_synops_per_timestep"].item() == 9


def test_backward_works_again_and_again_without_touching_the_last_pass():
    model = nn.Sequential(nn.Linear(4, 4), IAF(), nn.Linear(4, 2))
    hooks = register_synops_hooks(model)
    for _ in range(100):
        model(torch.rand(2, 5, 4))
        model.hook_data["total_synops_per_timestep"].backward()
    assert model[0].weight.grad.abs().sum() > 0
    assert not hooks.average()["total_synops_per_timestep"].requires_grad


def test_gradients_are_those_of_the_activity():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AvgPool2d(2))
    x = torch.rand(2, 1, 4, 4, requires_grad=True)
    register_synops_hooks(model)
    model(x)
    model.hook_data["total_synops_per_timestep"].backward()
    reached = 2 * torch.tensor([2.0, 3, 3, 2]).outer(torch.tensor([2.0, 3, 3, 2]))
    assert torch.equal(x.grad, reached.expand(2, 1, 4, 4) / 2)


def test_a_model_that_was_counted_can_be_copied_and_extracted():
    model = nn.Sequential(nn.Linear(3, 4), IAF(), nn.Linear(4, 2), IAF())
    register_synops_hooks(model)
    x = torch.poisson(torch.ones(2, 6, 3))
    model(x)
    twin = copy.deepcopy(model)
    assert not twin.hook_data["total_synops_per_timestep"].requires_grad
    before = model.hook_data["total_synops_per_timestep"]
    twin(0 * x)
    assert twin.hook_data["synops_per_timestep"][0] == 0
    assert model.hook_data["total_synops_per_timestep"] is before
    assert len(extract(model, x, dt=1e-3).nodes) == 6
    assert model.hook_data["total_synops_per_timestep"] is before


def test_counts_stay_exact_under_autocast():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(300, 7))
    x = torch.poisson(torch.full((4, 1, 12, 12), 50.0))
    expected = counted(model, x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert counted(model, x)[0] == expected


# ---- trees of modules ----


def test_keys_are_paths_in_a_tree_and_indices_in_a_flat_sequence():
    flat = nn.Sequential(nn.ReLU(), nn.Linear(2, 3))
    tree = nn.Sequential(nn.Sequential(nn.Linear(2, 3)), nn.Linear(3, 1))
    assert list(counted(flat, torch.ones(1, 2))) == [1]
    assert list(counted(tree, torch.ones(1, 2))) == ["0.0", "1"]


def test_layers_that_did_not_run_are_missing():
    model = nn.ModuleDict({"used": nn.Linear(2, 3), "unused": nn.Linear(2, 3)})
    model.forward = lambda x: model.used(x)
    assert counted(model, torch.ones(1, 2)) == {"used": 6}


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(3, 5)

    def forward(self, x):
        return torch.stack([self.dense(step) for step in x.unbind(1)], 1)


def test_a_loop_over_time_gives_the_same_as_all_steps_at_once():
    x = torch.poisson(torch.ones(4, 8, 3))
    assert counted(Loop(), x)["dense"] == counted(nn.Sequential(nn.Linear(3, 5)), x)[0]


def test_branches_that_share_weights_add_up():
    x = torch.poisson(torch.ones(4, 8, 3))
    assert counted(Loop(), x, calls="branches")["dense"] == x.sum().item() * 5 / 4


def test_lazy_layers_are_counted_once_they_have_shapes():
    model = nn.Sequential(nn.LazyConv2d(2, 2), nn.Flatten(), nn.LazyLinear(3))
    model(torch.ones(1, 1, 3, 3))
    assert counted(model, torch.ones(1, 1, 3, 3))[0] == 32


def test_other_input_sizes_get_maps_of_their_own():
    model = nn.Sequential(nn.Conv1d(1, 2, 3))
    hooks = register_synops_hooks(model)
    for size in (3, 5, 3):
        model(torch.ones(1, 1, size))
        assert model.hook_data["total_synops_per_timestep"].item() == 2 * 3 * (size - 2)
    hooks.remove()


def test_transposed_layers_follow_the_output_size_asked_for():
    class Up(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose1d(1, 1, 2, stride=3)

        def forward(self, x, size):
            return self.up(x, output_size=[size])

    up = Up()
    assert counted(up, torch.ones(1, 1, 2), 5)["up"] == 4
    assert counted(up, torch.ones(1, 1, 2), 7)["up"] == 4


# ---- recurrent weights ----


def recurrent_cases():
    torch.manual_seed(0)
    dense = nn.Linear(4, 4, bias=False)
    return [
        (IAFRecurrent(dense), "0.rec_connect"),
        (LIFRecurrent(2.0, nn.Sequential(nn.Flatten(), dense)), "0.rec_connect.1"),
    ]


@pytest.mark.parametrize(("layer", "path"), recurrent_cases())
def test_recurrent_weights_count_the_spikes_of_the_step_before(layer, path):
    model = nn.Sequential(layer)
    x = torch.rand(2, 8, 4).mul(3)
    with register_synops_hooks(model):
        out = model(x)
    synops = model.hook_data["synops_per_timestep"]
    assert list(synops) == [path]
    assert synops[path].item() == out[:, :-1].sum().item() * 4 / 16 > 0


def test_a_single_step_feeds_nothing_back():
    assert counted(nn.Sequential(IAFRecurrent(nn.Linear(4, 4))), torch.rand(2, 1, 4)) == {
        "0.rec_connect": 0
    }


def test_recurrence_of_current_based_neurons_goes_on_from_call_to_call():
    torch.manual_seed(0)
    layer = CubaLIF((6, 3), has_rec=True, threshold=0.5)
    with torch.no_grad():
        layer.w_rec[0, 1:] = 0
    model = nn.Sequential(nn.Linear(4, 6), layer)
    x = torch.rand(2, 4, 4).mul(20)
    hooks = register_synops_hooks(model, skip_zero_weights=True)
    first = model(x)
    fan_out = torch.tensor([1.0, 6, 6])
    expected = (first[:, :-1].sum((0, 1)) * fan_out).sum().item()
    assert model.hook_data["synops_per_timestep"][1].item() == expected / 8 > 0
    second = model(x)
    expected = ((first[:, -1].sum(0) + second[:, :-1].sum((0, 1))) * fan_out).sum().item()
    assert model.hook_data["synops_per_timestep"][1].item() == expected / 8
    hooks.remove()


# ---- refusals ----


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        (nn.LSTM(3, 3), "LSTM"),
        (nn.MultiheadAttention(4, 2), "MultiheadAttention"),
        (nn.Embedding(3, 3), "Embedding"),
        (nn.Bilinear(2, 2, 2), "Bilinear"),
    ],
)
def test_unknown_layers_with_weights_are_refused_by_path(inner, kind):
    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.ReLU(), inner))
    with pytest.raises(ValueError, match=rf"cannot be counted in 1\.1 \({kind}\)"):
        register_synops_hooks(model)
    register_synops_hooks(model, ignore=["1.1"])
    register_synops_hooks(model, ignore=[type(inner)])


def test_layers_that_scale_single_values_are_no_synapses():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.PReLU(), nn.LayerNorm(4))
    assert counted(model, torch.ones(2, 3)) == {0: 12}


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.Linear(3, 2), (4, 5), r"\(rows, 3\) or \(batch, time, 3\), got shape \(4, 5\)"),
        (nn.Linear(3, 2), (1, 1, 1, 3), r"got shape \(1, 1, 1, 3\)"),
        (nn.Conv2d(3, 2, 1), (4, 2, 5, 5), r"\(rows, 3, y, x\), got shape \(4, 2, 5, 5\)"),
        (nn.Conv1d(3, 2, 1), (3,), r"\(rows, 3, x\), got shape \(3,\)"),
    ],
)
def test_wrong_shapes_are_refused_by_path(layer, shape, message):
    model = nn.Sequential(nn.Sequential(nn.ReLU(), layer))
    register_synops_hooks(model)
    with pytest.raises(
        ValueError, match=rf"^0\.1 \({type(layer).__name__}\) takes {message}|{message}"
    ):
        model(torch.ones(shape))


def test_other_padding_than_zeros_is_refused_by_path():
    model = nn.Sequential(nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular"))
    register_synops_hooks(model)
    with pytest.raises(
        ValueError, match="0 has padding_mode='circular'; only 'zeros' is supported"
    ):
        model(torch.ones(1, 1, 3))


def test_weights_used_outside_their_layer_are_refused_by_name():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(3, 4)

        def forward(self, x):
            return nn.functional.linear(self.dense(x), self.dense.weight.T)

    model = Tied()
    register_synops_hooks(model)
    with pytest.raises(ValueError, match=r"dense\.weight is used by linear outside its own layer"):
        model(torch.ones(1, 3))


@pytest.mark.parametrize("dt", [0, -1, float("nan")])
def test_time_steps_are_positive(dt):
    with pytest.raises(ValueError, match="dt must be > 0 s"):
        register_synops_hooks(network(), dt)


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="calls must be 'steps' or 'branches'"):
        register_synops_hooks(network(), calls="both")
    with pytest.raises(
        ValueError, match=r"ignore contains \['nowhere'\], which the model does not have"
    ):
        register_synops_hooks(network(), ignore=["nowhere"])
    with pytest.raises(ValueError, match=r"Linear is a single layer; wrap it in an nn\.Sequential"):
        register_synops_hooks(nn.Linear(2, 2))


def test_leaky_membranes_and_squeezed_layers_are_known():
    model = nn.Sequential(nn.Linear(2, 3), ExpLeak(5.0))
    assert counted(model, torch.ones(1, 2, 2)) == {0: 6}
    squeezed = nn.Sequential(nn.Linear(2, 3), IAFSqueeze(batch_size=1))
    assert counted(squeezed, torch.ones(2, 2)) == {0: 6}


# ---- torch.compile ----


def test_a_compiled_model_is_counted_as_it_is_otherwise():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    spikes = torch.ones(2, 1, 4, 4)
    with register_synops_hooks(model) as hooks:
        with torch.no_grad():
            model(spikes)
        wanted = hooks.average()["total_synops_per_timestep"]
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        compiled(2 * spikes)
        assert model.hook_data["total_synops_per_timestep"] == 2 * wanted
        assert hooks.average()["total_synops_per_timestep"] == 1.5 * wanted
        compiled(2 * spikes)
        with torch._dynamo.config.patch(error_on_recompile=True):
            for _ in range(3):
                compiled(2 * spikes)
        assert hooks.average()["total_synops_per_timestep"] == 11 / 6 * wanted
