"""Modules of random networks: the forward pass, and the deployment of other integers.

`TRAINED_NETWORKS` in the environment is the number of networks of each family, 250 by default.
"""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.chips.speck.training_networks import random_network
from tests.chips.xylo.graphs import layered
from toolchain import DeployError, Deployment, deploy
from toolchain.ir import Graph

pytestmark = [pytest.mark.campaign, pytest.mark.filterwarnings("ignore:.*warning")]
NETWORKS = int(os.environ.get("TRAINED_NETWORKS", "250"))


def in_floats(graph):
    """The same network with real numbers, scaled layer by layer."""
    nodes = {}
    for name, node in graph.nodes.items():
        own = {
            key: value.astype(float)
            for key, value in node.parameters().items()
            if isinstance(value, np.ndarray)
        }
        nodes[name] = replace(node, **own)
    return Graph(nodes, graph.edges, dt=1e-3)


KINDS = {
    "xylo_a2": lambda rng: layered(rng, synapses=int(rng.integers(1, 3)))[0],
    "speck2f": lambda rng: in_floats(random_network(rng)),
}


@pytest.mark.parametrize("chip", KINDS)
def test_what_is_trained_is_what_is_shipped(chip, tmp_path):
    counts = dict.fromkeys(("refused", "cannot be trained", "dead when trained", "equal"), 0)
    spikes_seen, seed = 0, -1
    while counts["equal"] < NETWORKS:
        seed += 1
        assert seed < 20 * NETWORKS, counts
        rng = np.random.default_rng(seed)
        graph = KINDS[chip](rng)
        x = rng.poisson(0.5, (3, 15, *graph.shape(graph.input)))
        try:
            d = deploy(graph, chip, calibration=x)
        except DeployError:
            counts["refused"] += 1
            continue
        try:
            modules = {timing: d.as_module(timing=timing) for timing in d.family.TIMINGS}
        except ValueError:
            counts["cannot be trained"] += 1
            continue
        for timing, module in modules.items():
            assert np.array_equal(module(x).numpy(force=True), outputs(d, x, timing)), seed
            change(module, seed)
        try:
            trained = {timing: module.deployment() for timing, module in modules.items()}
        except DeployError:
            counts["dead when trained"] += 1
            continue
        for timing, module in modules.items():
            wanted = outputs(trained[timing], x, timing)
            assert np.array_equal(module(x).numpy(force=True), wanted), seed
            spikes_seen += int(np.abs(wanted).sum() > 0)
        if seed % 10 == 0:
            again = Deployment.load(trained[timing].save(tmp_path / f"{seed}"))
            assert np.array_equal(outputs(again, x, timing), wanted), seed
            module.project()
            check_same_values(module, again.as_module(timing=timing))
        counts["equal"] += 1
    print(chip, counts, f"{spikes_seen} runs with output")


def check_same_values(module, again):
    """The same integers, and the same unrounded values where the chip has the same steps."""
    steps, others = ({n: v.parameter.step for n, v in m.latents().items()} for m in (module, again))
    for name, integers in module.integers().items():
        assert np.array_equal(again.integers().get(name, 0), integers), name
        # integers that allow a smaller shift have smaller steps
        if steps[name] == others.get(name):
            assert torch.equal(module.get_parameter(name), again.get_parameter(name)), name


def outputs(d, x, timing):
    return d.simulate(x, timing=timing).output_values.astype(np.float32)


@torch.no_grad()
def change(module, seed):
    """Move the parameters by some integers; some of them leave their range."""
    torch.manual_seed(seed)
    for name, parameter in module.named_parameters():
        step = module.latents()[name].parameter.step
        parameter.add_(3 * step * torch.randn(parameter.shape))
