"""Random regions of linear layers, merged into one weight: what torch computes, and every spike."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.passes.random_regions import random_region
from tests.passes.test_regions import check_region
from toolchain import DeployError, deploy
from toolchain.ir import Neuron

REGIONS = 2000

pytestmark = pytest.mark.campaign


def test_every_operation_in_a_hundred_random_regions():
    operations, weights = Counter(), Counter()
    for seed in range(REGIONS):
        used, kinds = check_region(seed // 2, whole=bool(seed % 2))
        operations.update(used)
        weights.update(kinds)
    print(f"\n{REGIONS} regions: half in float64 within 1e-9 of torch, half with whole numbers")
    print("and neurons behind, 0 differing spikes. Merged into", dict(weights))
    for name, count in sorted(operations.items()):
        print(f"{count:6} {name}")
    assert min(operations.values()) >= 100
    assert len(operations) == 25


def leaky(name, node):
    """Neurons that Xylo computes in place of those of the region."""
    most = 1 if name == "end" else 31
    return replace(node, alpha_syn=np.array([0.5]), alpha_mem=0.875, max_spikes=most, v_min=None)


@pytest.mark.parametrize(("chip", "quantizer"), [("speck2f", "common"), ("xylo_a2", "channel")])
def test_a_random_region_is_deployed_exactly_or_refused_in_words(chip, quantizer):
    found = Counter()
    for seed in range(300):
        case = random_region(seed, whole=True)
        graph = case.graph.map(Neuron, leaky) if chip == "xylo_a2" else case.graph
        try:
            deployed = deploy(graph, chip, quantizer=quantizer)
        except DeployError as refused:
            found.update({finding.rule for finding in refused.diagnostics}, refused=1)
            continue
        run, steps = deployed.simulate(case.raster), case.raster.shape[1]
        found.update(deployed=1, spikes=int(run.spikes.sum()))
        # neurons of Xylo decay in integers, which the float interpreter does not
        if chip == "speck2f" and not any(run.saturations.values()):
            wanted = deployed.reference_quantized(case.raster).spikes.reshape(steps, -1)
            np.testing.assert_array_equal(run.spikes.reshape(steps, -1), wanted)
            found.update(exact=1)
    print(f"\n300 regions on {chip}:", dict(found))
    assert found["deployed"] >= (200 if chip == "speck2f" else 20)
    assert found["spikes"] > 100
