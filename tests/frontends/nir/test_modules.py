"""Torch modules to NIR and back: the same weights to the last bit, and the same spikes."""

import logging

import numpy as np
import pytest
import torch

from tests.cases import each
from tests.frontends.nir.graphs import chain, file, lif, node
from tests.frontends.nir.test_five_importers import RECORDED
from tests.oracles import nir_cases
from toolchain import nn
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir import from_nir, to_graph, to_nir
from toolchain.frontends.nir.modules import nir_file
from toolchain.frontends.nir.read import read
from toolchain.frontends.nir.write import write

BATCH, STEPS = 2, 40


def conv():
    image = torch.nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.IAFSqueeze(BATCH, min_v_mem=-1.0)
    pool = nn.SumPool2d(2), torch.nn.Dropout(), torch.nn.Flatten()
    leaky = {"norm_input": False, "spike_threshold": torch.linspace(0.5, 1, 5)}
    last = nn.LIFSqueeze(torch.linspace(5, 50, 5), BATCH, **leaky)
    return torch.nn.Sequential(*image, *pool, torch.nn.Linear(16, 5, bias=False), last), (2, 8, 8)


def settings():
    rest = {"spike_fn": nn.MaxSpike(2), "reset_fn": nn.MembraneReset(), "min_v_mem": -0.5}
    lif = nn.LIFSqueeze(tau_mem=11.3, tau_syn=7.3, num_timesteps=STEPS, **rest)
    subtract = {"reset_fn": nn.MembraneSubtract(0.75), "spike_fn": nn.SingleSpike}
    iaf = nn.IAFSqueeze(BATCH, **subtract)
    out = nn.ExpLeakSqueeze(9.7, BATCH, norm_input=True)
    dense = (torch.nn.Linear(n, m) for n, m in ((4, 6), (6, 6), (6, 3)))
    return torch.nn.Sequential(
        *(x for pair in zip(dense, (lif, iaf, out), strict=True) for x in pair)
    ), (4,)


class Branches(torch.nn.Module):
    """A sum of two branches, and two outputs."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.h = (torch.nn.Linear(4, n) for n in (4, 4, 2))
        self.iaf, self.out, self.head = (nn.IAFSqueeze(BATCH) for _ in range(3))

    def forward(self, data):
        spikes = self.iaf(self.a(data))
        return self.out(self.b(spikes) + spikes), self.head(self.h(spikes))


def recurrent():
    loop = nn.LIFRecurrent(12.3, rec_connect=torch.nn.Linear(5, 5, bias=False), norm_input=False)
    body = nn.UnflattenTime(BATCH), loop, nn.FlattenTime()
    return torch.nn.Sequential(torch.nn.Linear(4, 5), *body), (4,)


NETWORKS = {
    "conv": conv,
    "settings": settings,
    "branches": lambda: (Branches(), (4,)),
    "recurrent": recurrent,
}


def drive(shape):
    return torch.rand(BATCH * STEPS, *shape, generator=torch.Generator().manual_seed(1)) * 3


def run(net, shape):
    nn.reset_states(net)
    with torch.no_grad():
        found = net.eval()(drive(shape))
    return found if isinstance(found, tuple) else (found,)


@each("name", NETWORKS)
def test_a_module_comes_back_with_its_weights_and_spikes(name, tmp_path):
    torch.manual_seed(2)
    net, shape = NETWORKS[name]()
    wanted = run(net, shape)
    given = nir_file(net, drive(shape))
    path = write(tmp_path / "a.nir", given)
    for source in (given, path):
        again = from_nir(source, batch_size=BATCH)
        for a, b in zip(wanted, run(again, shape), strict=True):
            assert torch.equal(a, b)
            assert len(a.unique()) > 1
    before = {key.split(".")[-1]: [] for key in net.state_dict()}
    after = {key: [] for key in before}
    for state, found in ((net.state_dict(), before), (again.state_dict(), after)):
        for key, value in state.items():
            found[key.split(".")[-1]].append(sorted(value.flatten().tolist()))
    assert {key: sorted(v) for key, v in after.items()} == {k: sorted(v) for k, v in before.items()}
    trained = again.train()(drive(shape))
    (trained if isinstance(trained, torch.Tensor) else trained[0]).sum().backward()
    assert all(p.grad is not None for p in again.parameters() if p.dim() > 1 and name != "branches")


def test_a_chain_is_a_sequential_with_the_same_names():
    net, shape = conv()
    again = from_nir(nir_file(net, drive(shape)), batch_size=BATCH)
    assert isinstance(again, torch.nn.Sequential)
    assert {k: v.shape for k, v in again.state_dict().items() if v.dim() > 1} == {
        k: v.shape for k, v in net.state_dict().items() if v.dim() > 1
    }
    again = from_nir(nir_file(Branches(), drive((4,))), batch_size=BATCH)
    assert isinstance(again, nn.Wired)
    assert again.sources["out"] == ("b", "iaf")
    assert again.outputs == ("out", "head")


def test_what_nir_has_no_field_for_is_logged_and_restored(caplog):
    net, shape = settings()
    with caplog.at_level(logging.WARNING, "toolchain.nir"):
        given = nir_file(net, drive(shape))
    assert (
        "NIR has no fields for: 1: norm_input, tau_syn, spike_fn, reset_fn, min_v_mem; "
        "3: spike_fn, reset_fn, min_v_mem; 5: norm_input; other readers ignore these"
    ) in caplog.text
    graph = to_graph(given)
    assert graph.provenance["nir_dialect"] == "sinabs (file written by this toolchain)"
    assert graph["1"].max_spikes == 2


@each("name", ["LIF", "IF", "LI", "five"])
def test_a_file_gives_the_layers_that_sinabs_makes_of_it(name):
    layer, _ = nir_cases.CASES["sinabs"][name]
    net = from_nir(nir_cases.as_file(layer), batch_size=1, dialect="sinabs")
    wanted = np.load(RECORDED)[f"sinabs/{name}"]
    with torch.no_grad():
        found = net(torch.tensor(nir_cases.drive(len(layer[1]["r"])))).numpy()
    np.testing.assert_array_equal(found, wanted)


@each(
    ("given", "dialect", "message"),
    [
        (chain(n=lif(tau=10)), "sinabs", None),
        (chain(n=lif(tau=10)), "euler", "n: no layer has a gain other than 1 and 1 - alpha_mem, "
         "spikes above v_threshold only"),
        (chain(s=node("Scale", scale=[2.0] * 3)), None, "s: Scale has no layer"),
        (chain(n=lif(tau=10), d=node("Delay", delay=[2.0] * 3)), "exact", "takes 'n' one timestep "
         "or more later, which no layer does"),
    ],
)  # fmt: skip
def test_what_no_layer_computes_is_named(given, dialect, message):
    options = {"dialect": dialect, "dt": 1.0 if dialect in ("euler", "exact") else None}
    if message is None:
        with pytest.raises(ValueError, match="needs batch_size or num_timesteps"):
            from_nir(given, **options)
        return
    with pytest.raises(ModelFileError) as caught:
        from_nir(given, batch_size=1, **options)
    assert message in str(caught.value)


def test_a_loop_with_a_bias_is_refused():
    weight = node("Affine", weight=np.eye(3), bias=np.ones(3))
    nodes = {**chain(n=lif(tau=10)).graph.nodes, "w": weight}
    edges = [("input", "n"), ("n", "w"), ("w", "n"), ("n", "output")]
    with pytest.raises(ModelFileError, match="n: the recurrent weight has a bias"):
        from_nir(file(nodes, edges), batch_size=1, dialect="sinabs")


def test_the_object_needs_the_nir_package():
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), nn.IAFSqueeze(1))
    try:
        import nir
    except ModuleNotFoundError:
        with pytest.raises(ModuleNotFoundError, match=r"pip install nir; .*save writes a file"):
            to_nir(net, torch.ones(20, 3))
    else:
        assert isinstance(to_nir(net, torch.ones(20, 3)), nir.NIRGraph)


def test_a_membrane_without_leak_has_no_synapse_in_nir():
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), nn.IAFSqueeze(1, tau_syn=3.0))
    with pytest.raises(ModelFileError, match="1: membrane without leak; NIR has it only for whole"):
        nir_file(net, torch.ones(20, 3))


def test_one_layer_has_the_name_of_the_model(tmp_path):
    given = nir_file(torch.nn.Conv1d(2, 3, 3), torch.rand(4, 2, 9), model_name="filter")
    assert list(given.graph.nodes) == ["input", "filter", "output"]
    assert from_nir(read(write(tmp_path / "a.nir", given)))[0].weight.shape == (3, 2, 3)
