"""State dictionaries, arguments and states of layers, as sinabs' users know them."""

import copy

import pytest
import torch
from torch import nn as torch_nn

from tests.cases import each
from tests.oracles import nn_saved
from toolchain import nn

SAVED = nn_saved.recorded()
BEFORE = nn_saved.FILE.with_name("nn_layers_of_before.pt")


def build(case):
    if case == "from_model":
        return nn.from_model(nn_saved.analog(), batch_size=2).spiking_model, nn_saved.image()
    return nn_saved.layer(case, nn), nn_saved.rows(case)


@each("case", SAVED)
def test_a_state_dict_of_sinabs_is_taken_whole_and_has_the_same_entries(case):
    net, data = build(case)
    new, used, following = (SAVED[case][kind] for kind in ("new", "used", "next"))
    net.load_state_dict(new)
    net(data)  # states are written as those of a new layer
    assert {key: value.shape for key, value in net.state_dict().items()} == {
        key: value.shape for key, value in new.items()
    }
    other, _ = build(case)
    other(data[:2] if "Squeeze" not in case and case != "from_model" else data)
    other.load_state_dict(used)  # whatever its own states are
    torch.testing.assert_close(other(data), following)


def test_old_state_dicts_are_taken_and_foreign_entries_are_not():
    layer = nn.LIF(5.0)
    layer.load_state_dict({"tau_mem": torch.tensor(7.0), "spike_threshold": torch.tensor(2.0)})
    assert layer.arg_dict["tau_mem"] == 7
    old = {"tau_mem": 7.0, "tau_adapt": 9.0, "adapt_scale": 0.5, "spike_threshold": 2.0}
    adaptive = nn.ALIF(5.0, 5.0)
    adaptive.load_state_dict({name: torch.tensor(value) for name, value in old.items()})
    assert {name: adaptive.arg_dict[name].item() for name in old} == old
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"i_syn"'):
        layer.load_state_dict({**layer.state_dict(), "i_syn": torch.zeros(0)})


def test_layers_pickled_by_an_earlier_release_go_on_from_their_states():
    layers = torch.load(BEFORE, weights_only=False)
    data = (torch.arange(64.0) * 7 % 13 / 5 - 0.4).reshape(2, 8, 4)
    wanted = torch.load(BEFORE.with_stem(f"{BEFORE.stem}_out"))
    for layer, out in zip(layers, wanted, strict=True):
        data_in = data[:, None] if isinstance(layer, nn.SumPool2d) else data
        torch.testing.assert_close(layer(data_in), out)
        assert repr(copy.deepcopy(layer)) == repr(layer)
    assert {"b", "v_mem"} < set(layers[2].state_dict())
    assert (layers[0].i_syn, layers[2].b0) == (None, 0.5)


LAYERS = {
    "LIF(tau_mem=10.0, spike_threshold=2.0, norm_input=True)": lambda: nn.LIF(10.0, None, 2.0),
    "IAFSqueeze(spike_threshold=2.0, min_v_mem=-1.0, batch_size=5)": lambda: nn.IAFSqueeze(
        5, spike_threshold=2.0, min_v_mem=-1.0
    ),
    "LIFSqueeze(tau_mem=tensor of shape (4,), spike_threshold=0.1, "
    "spike_fn=MaxSpike(max_num_spikes_per_bin=3), norm_input=True, batch_size=2, "
    "num_timesteps=6)": lambda: nn.LIFSqueeze(
        2, 6, tau_mem=nn_saved.TAUS, spike_threshold=0.1, spike_fn=nn.MaxSpike(3)
    ),
    "ExpLeak(tau_mem=9.0, shape=(2, 4), train_alphas=True, norm_input=False)": lambda: nn.ExpLeak(
        9.0, (2, 4), True
    ),
    "ALIF(tau_mem=9.0, tau_adapt=5.0, adapt_scale=1.8, spike_threshold=1.0, "
    "spike_fn=SingleSpike, record_states=True, norm_input=True)": lambda: nn.ALIF(
        9.0, 5.0, record_states=True
    ),
    "IAFRecurrent(\n  tau_syn=4.0, spike_threshold=1.0, reset_fn=MembraneReset(reset_value=0.0)\n"
    "  (rec_connect): Linear(in_features=4, out_features=4, bias=True)\n)": lambda: nn.IAFRecurrent(
        torch_nn.Linear(4, 4), reset_fn=nn.MembraneReset(), tau_syn=4.0
    ),
}


@each("text", LAYERS)
def test_a_layer_prints_its_arguments_and_is_built_from_them(text):
    layer = LAYERS[text]()
    assert repr(layer) == text
    assert layer.is_state_initialised() is ("shape=" in text)
    twins = type(layer)(**layer.arg_dict), copy.deepcopy(layer)
    data = torch.rand(2, 6, 4) * 5
    data = data.flatten(0, 1) if isinstance(layer, nn.Squeeze) else data
    if isinstance(layer, nn.IAFSqueeze):
        layer.batch_size, layer.num_timesteps = -1, 6
    wanted = layer(data)
    for twin in twins:
        if isinstance(layer, nn.IAFSqueeze):
            twin.batch_size = 2
        torch.testing.assert_close(twin(data), wanted)
        assert twin.shape == layer.shape == (2, 4)
        for one, other in zip(layer.parameters(), twin.parameters(), strict=True):
            rebuilt = twin is twins[0] and "rec_connect" in text  # the module itself is handed on
            assert rebuilt or one.data_ptr() != other.data_ptr()


def test_states_can_be_given_a_shape_and_random_values():
    torch.manual_seed(0)
    layer = nn.LIF(10.0, tau_syn=5.0)
    layer.init_state_with_shape((2, 3))
    assert layer.state_has_shape((2, 3))
    assert (layer.has_trailing_dimension((3,)), layer.has_trailing_dimension((2,))) == (True, False)
    layer.reset_states(randomize=True, value_ranges={"v_mem": (5.0, 6.0)})
    # as in sinabs with this seed
    torch.testing.assert_close(
        layer.v_mem[0], torch.tensor([5.4963, 5.7682, 5.0885]), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(
        layer.i_syn[0], torch.tensor([0.4901, 0.8964, 0.4556]), atol=1e-4, rtol=0
    )
    layer.reset_states()
    assert not layer.v_mem.any()
    assert layer.i_syn.shape == (2, 3)


@pytest.mark.parametrize(
    "back",
    [
        torch_nn.Sequential(torch_nn.Flatten(), torch_nn.Linear(6, 6)),
        torch_nn.Sequential(
            torch_nn.Flatten(), torch_nn.Linear(6, 6), torch_nn.Unflatten(1, (3, 2))
        ),
        torch_nn.Linear(3, 3),
    ],
)
def test_feedback_takes_the_shape_of_the_input(back):
    data = torch.rand(4, 5, 2, 3) * 2
    layer = nn.IAFRecurrent(back)
    flat = torch_nn.Linear(6, 6)
    inner = back if isinstance(back, torch_nn.Linear) else back[1]
    blocks = torch.block_diag(*[inner.weight.detach()] * (6 // inner.in_features))
    flat.weight.data, flat.bias.data = blocks, inner.bias.detach().repeat(6 // inner.in_features)
    wanted = nn.IAFRecurrent(flat)(data.flatten(2))
    torch.testing.assert_close(layer(data).flatten(2), wanted)
    with pytest.raises(ValueError, match=r"returns shape \(4, 5\) for an input of \(4, 2, 3\); it"):
        nn.ALIFRecurrent(3.0, 5.0, torch_nn.Sequential(torch_nn.Flatten(), torch_nn.Linear(6, 5)))(
            data
        )
