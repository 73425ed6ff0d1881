"""Weights into the network that a factory builds: all of them, or a list of what does not fit."""

import logging
import textwrap

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn as torch_nn

from tests.cases import each
from tests.frontends.files.damaged_files import Runs, entries, packed
from toolchain import extract, load, nn
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.files.torch_file import TorchFile
from toolchain.frontends.files.weights import fill

FACTORY = """
    import torch
    from torch import nn as torch_nn
    from toolchain import nn

    def build():
        torch.manual_seed(1)
        return torch_nn.Sequential(torch_nn.Linear(4, 3), nn.LIF(torch.tensor([5.0, 6.0, 7.0])))

    def with_argument(n):
        return build()

    def number():
        return 3

    class Nets:
        small = staticmethod(build)

    def ann():
        return torch_nn.Sequential(
            torch_nn.Linear(4, 3, bias=False), torch_nn.ReLU(),
            torch_nn.Linear(3, 2, bias=False), torch_nn.ReLU(),
        )

    def converted():
        return nn.from_model(ann(), batch_size=2, spike_threshold=0.5).spiking_model

    def recurrent():
        return torch_nn.Sequential(nn.IAFRecurrent(rec_connect=torch_nn.Linear(4, 4)))

    ready = build()
"""
RENAME = (
    "if the same weights have other names, load them in your own code, "
    "network.load_state_dict({rename(name): w for name, w in weights.items()}), and give the "
    "network to extract or deploy"
)
SAMPLE = torch.randint(0, 3, (2, 20, 4), generator=torch.Generator().manual_seed(0)).float()


@pytest.fixture(autouse=True)
def _module(tmp_path, monkeypatch):
    """A module ``my_network`` that can be imported."""
    (tmp_path / "my_network.py").write_text(textwrap.dedent(FACTORY))
    (tmp_path / "needs_more.py").write_text("import no_such_framework\n")
    monkeypatch.syspath_prepend(tmp_path)


def network(seed=0):
    torch.manual_seed(seed)
    return torch_nn.Sequential(
        torch_nn.Linear(4, 3), nn.LIF(torch.tensor([4.0, 6.0, 9.0]), train_alphas=False)
    )


def from_file(path, factory="my_network:build", **given):
    return load(path, factory=factory, **{"sample": SAMPLE, **given})


def refusal(path, **given):
    with pytest.raises(ModelFileError) as caught:
        from_file(path, **given)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("save", [torch.save, save_file], ids=["torch.save", "safetensors"])
@pytest.mark.parametrize("name", ["build", "Nets.small", "ready"])
def test_the_graph_is_that_of_the_network_that_was_saved(save, name, tmp_path):
    model = network()
    save(model.state_dict(), tmp_path / "w")
    graph = from_file(tmp_path / "w", f"my_network:{name}", dt=1e-3)
    assert str(graph) == str(extract(model, SAMPLE, 1e-3))
    assert graph.provenance["file"] == "w"
    assert graph.provenance["factory"] == f"my_network:{name}"
    assert "0 of" in graph.provenance["self_check"]


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("my_network", "expected 'module:function'"),
        ("my_network.py:build", "expected 'module:function'"),
        ("src/my_network:build", "expected 'module:function'"),
        (":build", "expected 'module:function'"),
        ("my_networks:build", "no module named 'my_networks'"),
        ("my_network.sub:build", "no module named 'my_network.sub'"),
        ("needs_more:build", "needs 'no_such_framework', which is not installed"),
        ("my_network:built", "module 'my_network' has no 'built'"),
        ("my_network:Nets.large", "module 'my_network' has no 'Nets.large'"),
        ("my_network:number", "returned int, expected a torch.nn.Module"),
        ("my_network:SAMPLE", "module 'my_network' has no 'SAMPLE'"),
        ("my_network:__doc__", "is NoneType, not a function"),
    ],
)
def test_a_factory_that_does_not_work_is_told(factory, message, tmp_path):
    torch.save(network().state_dict(), tmp_path / "w")
    assert message in refusal(tmp_path / "w", factory=factory)


def test_what_the_factory_raises_is_the_users_own(tmp_path):
    torch.save(network().state_dict(), tmp_path / "w")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'n'"):
        from_file(tmp_path / "w", "my_network:with_argument")


def test_weights_need_a_factory_and_a_sample(tmp_path):
    torch.save(network().state_dict(), tmp_path / "w")
    assert refusal(tmp_path / "w", factory=None) == (
        "contains weights without a network definition; "
        "toolchain.load(path, factory='module:function', sample=...) calls that function to "
        "build the network, and returns a Graph for deploy"
    )
    with pytest.raises(ModelFileError, match="needs sample="):
        load(tmp_path / "w", factory="my_network:build")


def test_every_entry_that_does_not_fit_is_told_at_once(tmp_path):
    weights = network().state_dict()
    weights["0.weight"] = torch.ones(3, 5)
    weights["0.bais"] = weights.pop("0.bias")
    weights["1.spike_threshold"] = torch.tensor(1)
    weights["1.tau_mem"][1] = float("nan")
    weights["head.weight"] = torch.ones(2)
    torch.save(weights, tmp_path / "w")
    assert refusal(tmp_path / "w") == "\n  ".join(
        [
            "the weights do not fit Sequential:",
            "0.bais: is not in the network",
            "0.bias: is not in the file; similar names: 0.bais",
            "0.weight: has shape (3, 5) in the file and (3, 4) in the network",
            "1.spike_threshold: is int64 in the file and torch.float32 in the network",
            "1.tau_mem: contains values that are not finite",
            "head.weight: is not in the network",
            RENAME,
        ]
    )


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "net.encoder."])
def test_what_training_tools_put_before_every_name_is_left_out_and_told(prefix, tmp_path):
    model = network()
    torch.save({f"{prefix}{k}": v for k, v in model.state_dict().items()}, tmp_path / "w")
    graph = from_file(tmp_path / "w")
    assert str(graph) == str(extract(model, SAMPLE))
    assert graph.provenance["prefix_left_out"] == prefix


def test_a_prefix_of_some_names_only_is_none(tmp_path):
    weights = network().state_dict()
    weights["module.0.weight"] = weights.pop("0.weight")
    torch.save(weights, tmp_path / "w")
    assert "module.0.weight: is not in the network" in refusal(tmp_path / "w")


def test_the_one_entry_of_a_checkpoint_that_holds_weights_is_taken_and_told(tmp_path):
    model = network()
    rest = {"epoch": 3, "loss": [0.5, 0.25], "args": {"lr": 0.1}, "name": "x", "done": True}
    optimizer = torch.optim.Adam(model.parameters())
    model(SAMPLE).sum().backward()
    optimizer.step()
    checkpoint = {**rest, "optimizer": optimizer.state_dict(), "net": model.state_dict()}
    torch.save(checkpoint, tmp_path / "w")
    graph = from_file(tmp_path / "w")
    assert str(graph) == str(extract(model, SAMPLE))
    assert graph.provenance["entry"] == "net"


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (
            {"net": "WEIGHTS", "ema": "WEIGHTS"},
            "contains weights in several entries: net, ema; choose one with entry='net'",
        ),
        ({"epoch": 3, "lr": 0.1}, "contains no weights by name in any of its entries: epoch, lr"),
        ({}, "contains no weights by name in any of its entries: nothing"),
        ([1], "contains list, expected weights by name"),
        (torch.ones(3), "contains ndarray, expected weights by name"),
    ],
)
def test_a_checkpoint_that_leaves_open_which_are_the_weights_is_refused(saved, message, tmp_path):
    if isinstance(saved, dict):
        weights = network().state_dict()
        saved = {key: weights if value == "WEIGHTS" else value for key, value in saved.items()}
    torch.save(saved, tmp_path / "w")
    assert refusal(tmp_path / "w").startswith(message)


def test_single_numbers_of_numpy_are_explained(tmp_path):
    torch.save({"net": network().state_dict(), "best": np.float64(0.9)}, tmp_path / "w")
    message = refusal(tmp_path / "w")
    assert "imports _codecs.encode, numpy" in message
    assert "save them as float(x)" in message


def ann_weights(**changes):
    torch.manual_seed(3)
    weights = {"0.weight": torch.randn(3, 4), "2.weight": torch.randn(2, 3), **changes}
    return {name: value for name, value in weights.items() if value is not None}


KEPT = "1.min_v_mem = -1, 1.spike_threshold = 0.5, 3.min_v_mem = -1, 3.spike_threshold = 0.5"
WRAPPED = {
    "plain": (lambda weights: weights, {}),
    "lightning": (
        lambda weights: {
            "state_dict": {**renamed("model.", weights), "criterion.weight": torch.ones(3)},
            "optimizer_states": [],
            "epoch": 3,
        },
        {
            "entry": "state_dict",
            "prefix_left_out": "model.",
            "others_left_out": "criterion.weight",
        },
    ),
    "average of weights": (
        lambda weights: {"n_averaged": torch.tensor(3), **renamed("module.", weights)},
        {"prefix_left_out": "module.", "others_left_out": "n_averaged"},
    ),
    "compiled within": (
        lambda weights: renamed("net._orig_mod.", weights),
        {"prefix_left_out": "net., _orig_mod."},
    ),
    "a loss beside two levels": (
        lambda weights: {**renamed("a.b.", weights), "a.loss.weight": torch.ones(3)},
        {"prefix_left_out": "a.b.", "others_left_out": "a.loss.weight"},
    ),
    "states of a run": (
        lambda weights: {**weights, "1.v_mem": torch.zeros(1, 3)},
        {"states_left_out": "1.v_mem"},
    ),
}


def renamed(prefix, weights):
    return {f"{prefix}{name}": value for name, value in weights.items()}


@pytest.mark.parametrize("name", WRAPPED)
def test_weights_without_thresholds_keep_those_of_the_factory(name, tmp_path, caplog):
    wrap, notes = WRAPPED[name]
    weights = ann_weights()
    torch.save(wrap(weights), tmp_path / "w")
    graph = from_file(tmp_path / "w", "my_network:converted", sample=SAMPLE.flatten(0, 1))
    np.testing.assert_array_equal(graph["0"].weight, weights["0.weight"])
    np.testing.assert_array_equal(graph["2"].weight, weights["2.weight"])
    assert (graph["1"].v_threshold, graph["1"].v_min) == (0.5, -1)
    noted = {key: graph.provenance.get(key) for key in notes}
    assert noted == notes
    assert graph.provenance["kept_from_factory"] == KEPT
    assert f"has no {KEPT}; these are the factory's values" in caplog.text


def test_a_copy_of_the_weights_is_chosen_by_its_entry(tmp_path):
    weights, average = ann_weights(), renamed("", {k: v + 1 for k, v in ann_weights().items()})
    torch.save({"model": weights, "ema": average}, tmp_path / "w")
    given = {"factory": "my_network:converted", "sample": SAMPLE.flatten(0, 1)}
    graph = from_file(tmp_path / "w", entry="ema", **given)
    np.testing.assert_array_equal(graph["0"].weight, average["0.weight"])
    assert refusal(tmp_path / "w", entry="best") == (
        "has no entry 'best' with weights; such entries: model, ema"
    )
    torch.save({**renamed("net.", weights), **renamed("teacher.", average)}, tmp_path / "w")
    assert "several groups of names fit: net.* and teacher.*; save one of them alone" in refusal(
        tmp_path / "w", factory="my_network:converted"
    )


PARTS = {
    "other order": (
        ann_weights(**{"2.weight": None, "3.weight": torch.ones(2, 3)}),
        ["2.weight: is not in the file; similar names: 3.weight, 0.weight", RENAME],
    ),
    "a threshold by another name": (
        ann_weights(**{"1.spike_treshold": torch.tensor(2.0)}),
        ["1.spike_treshold: is not in the network", RENAME],
    ),
    "weight norm": (
        ann_weights(**{"0.weight": None, "0.weight_g": torch.ones(3, 1)}),
        [
            "0.weight_g is a part of a weight: torch.nn.utils.parametrize.remove_parametrizations"
            "(layer, 'weight') before saving makes it one tensor"
        ],
    ),
    "pruned": (
        ann_weights(**{"0.weight": None, "0.weight_orig": torch.ones(3, 4)}),
        ["0.weight_orig is a pruned weight: torch.nn.utils.prune.remove(layer, 'weight') before "],
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_weights_are_matched_by_name_alone(name, tmp_path):
    weights, lines = PARTS[name]
    torch.save(weights, tmp_path / "w")
    message = refusal(tmp_path / "w", factory="my_network:converted")
    assert all(line in message for line in lines)


def test_recurrent_weights_are_no_constant_of_a_neuron(tmp_path):
    torch.save({"0.spike_threshold": torch.tensor(1.0)}, tmp_path / "w")
    message = refusal(tmp_path / "w", factory="my_network:recurrent")
    assert "0.rec_connect.weight: is not in the file" in message
    # time constants are kept of a layer alone of which the file has nothing
    torch.save({**network().state_dict(), "1.tau_mem": torch.ones(3)}, tmp_path / "w")
    weights = network().state_dict()
    del weights["1.tau_mem"]
    torch.save(weights, tmp_path / "w")
    assert "1.tau_mem: is not in the file" in refusal(tmp_path / "w")


@pytest.mark.parametrize(("made", "saved"), [((), (1,)), ((1,), ())])
def test_a_threshold_of_one_number_has_the_shape_of_the_network(made, saved):
    layer = torch_nn.Sequential(nn.IAF(spike_threshold=torch.full(made, 1.0)))
    fill(layer, {"0.spike_threshold": np.full(saved, 3.0, np.float32)})
    assert layer[0].spike_threshold.shape == made
    assert layer[0].spike_threshold.item() == 3
    with pytest.raises(ModelFileError, match="has shape"):
        fill(layer, {"0.spike_threshold": np.full((2,), 3.0, np.float32)})
    bias = torch_nn.Linear(1, 1)
    with pytest.raises(ModelFileError, match=r"bias: has shape \(\)"):
        fill(bias, {"weight": np.ones((1, 1), np.float32), "bias": np.float32(1)[()].reshape(())})


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_batch_norm_of_old_torch_has_no_count(prefix):
    saved = torch_nn.BatchNorm1d(2)
    saved.running_mean += 1
    weights = {f"{prefix}{k}": v.numpy() for k, v in saved.state_dict().items() if "num" not in k}
    model = torch_nn.BatchNorm1d(2)
    fill(model, {**weights, "loss.scale": np.ones(1)} if prefix else weights)
    assert model.running_mean.tolist() == [1, 1]
    weights.pop(f"{prefix}running_var")
    with pytest.raises(ModelFileError, match="running_var: is not in the file"):
        fill(model, weights)


class Keeps(torch_nn.Module):
    """A layer that saves the state of its last run, as sinabs does."""

    __module__ = "sinabs.layers.made_for_this_test"

    def __init__(self, batch):
        super().__init__()
        self.fc = torch_nn.Linear(2, 2)
        self.register_buffer("v_mem", torch.zeros(batch, 2))


class Named(Keeps):
    __module__ = "my_network"


@pytest.mark.parametrize("batch", [1, 5])
def test_states_of_a_run_are_left_out_and_told(batch):
    weights = {k: v.numpy() + 1 for k, v in Keeps(5).state_dict().items()}
    model = torch_nn.Sequential(Keeps(batch))
    notes = fill(model, {f"0.{name}": value for name, value in weights.items()})
    assert notes == {"states_left_out": "0.v_mem"}
    np.testing.assert_array_equal(model[0].fc.weight.detach(), weights["fc.weight"])
    assert not model[0].v_mem.any()


def test_states_may_be_missing_too():
    weights = {k: v.numpy() for k, v in Keeps(5).state_dict().items() if k != "v_mem"}
    assert fill(Keeps(5), weights) == {}


def test_a_parameter_that_only_sounds_like_a_state_is_none():
    class Own(torch_nn.Module):
        def __init__(self):
            super().__init__()
            self.mem = torch_nn.Parameter(torch.ones(2))

    with pytest.raises(ModelFileError, match="mem: is not in the file"):
        fill(Own(), {"other": np.ones(2, np.float32)})


def test_tied_weights_are_saved_once():
    class Tied(torch_nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch_nn.Linear(2, 2, bias=False)
            self.b = torch_nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight

    model = Tied()
    weight = np.arange(4, dtype=np.float32).reshape(2, 2)
    assert fill(model, {"a.weight": weight}) == {}
    np.testing.assert_array_equal(model.b.weight.detach(), weight)
    with pytest.raises(ModelFileError, match=r"c\.weight: is not in the network"):
        fill(Tied(), {"a.weight": weight, "c.weight": weight})


def test_no_digit_is_lost():
    model = torch_nn.Linear(2, 2)
    weight = np.array([[1 / 3, 0.1], [0.2, 0.7]])
    fill(model, {"weight": weight, "bias": np.ones(2, np.float16)})
    np.testing.assert_array_equal(model.weight.detach(), weight)


class Elsewhere:
    """A value of a class that a file names."""


def test_a_whole_module_is_loaded_only_where_it_is_trusted(tmp_path, caplog):
    model = network()
    torch.save(model, tmp_path / "w")
    message = refusal(tmp_path / "w", factory=None)
    assert message.startswith("contains more than weights: loading it imports ")
    assert "toolchain.nn.spiking.LIF" in message
    assert "No code was run." in message
    assert not caplog.records
    graph = load(tmp_path / "w", sample=SAMPLE, trust_pickle=True)
    assert str(graph) == str(extract(model, SAMPLE))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("toolchain.files", logging.WARNING)
    assert "toolchain.nn.spiking.LIF" in record.getMessage()
    with pytest.raises(ModelFileError, match="needs sample="):
        load(tmp_path / "w", trust_pickle=True)
    with pytest.raises(ModelFileError, match="factory= applies only to weights"):
        from_file(tmp_path / "w", trust_pickle=True)


def test_code_runs_only_where_it_is_trusted_and_only_after_it_was_listed(tmp_path, caplog):
    marker = tmp_path / "marker"
    torch.save({"net": network().state_dict(), "x": Runs(marker.touch)}, tmp_path / "w")
    assert "pathlib" in refusal(tmp_path / "w")
    assert not marker.exists()
    graph = from_file(tmp_path / "w", trust_pickle=True)
    assert marker.exists()
    assert "pathlib" in caplog.text
    assert str(graph) == str(extract(network(), SAMPLE))


def test_the_old_format_is_read_where_it_is_trusted(tmp_path, caplog):
    weights = network().state_dict()
    torch.save(weights, tmp_path / "w", _use_new_zipfile_serialization=False)
    assert refusal(tmp_path / "w").startswith("uses the torch.save format from before")
    graph = from_file(tmp_path / "w", trust_pickle=True)
    assert str(graph) == str(extract(network(), SAMPLE))
    assert "torch._utils._rebuild_tensor_v2" in caplog.text
    torch.save(torch.load(tmp_path / "w", weights_only=True), tmp_path / "again")
    assert str(from_file(tmp_path / "again")) == str(graph)


def test_trusted_files_may_still_be_damaged(tmp_path):
    torch.save({"x": Elsewhere()}, tmp_path / "w")
    files = entries((tmp_path / "w").read_bytes())
    files = {k: v.replace(b"Elsewhere", b"elsewhere") for k, v in files.items()}
    (tmp_path / "w").write_bytes(packed(files.items()))
    assert "an import of the pickle failed" in refusal(tmp_path / "w", trust_pickle=True)


TYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool"]


@each("dtype", TYPES)
def test_tensors_are_those_that_torch_itself_reads(dtype, tmp_path):
    torch.manual_seed(0)
    base = (torch.randn(4, 6) * 3).to(getattr(torch, dtype))
    saved = {
        "plain": base,
        "turned": base.t(),
        "part": base[1:3, ::2],
        "scalar": base[0, 0],
        "empty": base[:0],
        "parameter": torch_nn.Parameter(base) if base.is_floating_point() else base,
    }
    torch.save(saved, tmp_path / "w")
    found = TorchFile.of((tmp_path / "w").read_bytes()).read()
    wanted = torch.load(tmp_path / "w", weights_only=True)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        plain = tensor.detach().float() if dtype == "bfloat16" else tensor.detach()
        np.testing.assert_array_equal(found[name], plain.numpy(), strict=True)
