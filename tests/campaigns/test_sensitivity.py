"""A layer that was damaged on purpose is ranked first, on 50 networks of both families."""

import numpy as np
import pytest

from tests.chips.speck.graphs import iaf
from tests.fidelity.damage import damaged
from tests.oracles.xylo_compared import EACH, KINDS, random_case
from toolchain import deploy
from toolchain.ir import Conv2d, Flatten, Graph, Input, Linear, Neuron, Output

XYLO, SPECK, SERIES = 36, 14, 41
"""Networks of each family, and the series of the former."""
NUMBER = len(KINDS) * EACH
SIZES = (0.3, 0.6, 1.2)
"""Damage, the first with which most of the loss is due to it."""


def xylo_case(number):
    """Network, calibration and other spikes."""
    case = random_case(number % NUMBER, SERIES + number // NUMBER)
    return case.graph, "xylo_a2", case.calibration, case.held_out


def speck_case(number):
    """A row of one to three convolutions and a dense layer, and its spikes."""
    rng = np.random.default_rng([SERIES, number])
    nodes, width, size = {"input": Input(shape=(2, 8, 8))}, 2, 8
    for layer in range(1 + number % 3):
        channels = int(rng.integers(4, 9))
        weight = rng.normal(0.05, 0.5, (channels, width, 3, 3)) / (9 * width) ** 0.5
        nodes |= {f"conv{layer}": Conv2d(weight=weight), f"if{layer}": None}
        size, width = size - 2, channels
        nodes[f"if{layer}"] = iaf((width, size, size), v_threshold=0.5)
    dense = rng.normal(0.02, 0.5, (6, width * size**2)) / (width * size**2) ** 0.5
    nodes |= {"flat": Flatten(), "fc": Linear(weight=dense), "out": iaf((6,), v_threshold=0.5)}
    graph = Graph.chain({**nodes, "output": Output()}, dt=1e-3)
    spikes = rng.poisson(0.3, (32, 20, 2, 8, 8))
    return graph, "speck2f", spikes[:8], spikes[8:]


@pytest.mark.campaign
@pytest.mark.parametrize("number", range(XYLO + SPECK))
def test_the_damaged_layer_is_first(number):
    make = xylo_case(number) if number < XYLO else speck_case(number - XYLO)
    graph, chip, calibration, held_out = make
    deployment = deploy(graph, chip, calibration=calibration)
    layers = [*graph.of(Neuron)]
    layer = layers[number % len(layers)]
    before = loss_of(deployment, held_out)
    for size in SIZES:
        worse = damaged(deployment, layer, number, size)
        if loss_of(worse, held_out) > 2 * before:
            break
    found = worse.sensitivity(held_out)
    print(
        f"{number} {chip} {layer} {size}: {[(r.layer, round(r.all_but, 3)) for r in found.layers]}"
    )
    assert found.layers[0].layer == layer


def loss_of(deployment, spikes):
    return 1 - deployment.compare(spikes).agreement["clocked"]
