"""What the adapters of rockpool do beside reading constants; stand-ins take the layers' place."""

import torch

from tests.oracles.frameworks import archive
from tests.oracles.frameworks.snapshot import rebuilt
from toolchain.frontends.frameworks.kinds import kind

CASES = archive.read("rockpool")["cases"]


def neurons():
    return rebuilt(CASES["LIFTorch"]["leaves"][-1])


def test_the_state_of_an_earlier_run_is_forgotten():
    lif = neurons()
    for name in ("vmem", "isyn", "spikes"):
        lif.register_buffer(name, torch.rand(16))
    kind(lif).reset(lif)
    assert not any(getattr(lif, name).any() for name in ("vmem", "isyn", "spikes"))


def test_a_membrane_is_there_only_in_a_call_that_records_it():
    lif = neurons()
    lif._record_dict = {"spikes": torch.ones(2, 3, 16)}
    assert kind(lif).aside(lif) == []
    lif._record_dict["vmem"] = torch.rand(2, 3, 16)
    assert kind(lif).aside(lif) == [lif._record_dict["vmem"]]


def test_an_output_that_never_fires_is_a_readout():
    nodes = CASES["SynNet vmem"]["graph"]["data"]["nodes"]
    kinds = {node["name"]: node["kind"] for node in nodes}
    assert kinds["seq.0_neurons"] == "Neuron"
    assert kinds["seq.out_neurons"] == "Readout"
