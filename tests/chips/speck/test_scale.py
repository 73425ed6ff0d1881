"""Factors on features, as NIR has them: in the weights beside them, or refused by name."""

import numpy as np
import pytest

from tests.builders import chain
from tests.chips.speck.graphs import conv, iaf
from toolchain import DeployError, deploy
from toolchain.fidelity.ledger import Fidelity
from toolchain.ir import (
    AvgPool2d,
    Conv2d,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Output,
    Scale,
)

RNG = np.random.default_rng(1)


def image(factor, *, behind=False):
    """A factor on the input, or with ``behind`` on spikes that are pooled and flattened next."""
    rng = np.random.default_rng(0)
    spiking = {"v_threshold": 1.0, "v_min": -1.0}
    scale = {"factor": Scale(scale=factor)}
    return chain(
        (2, 6, 6),
        **{} if behind else scale,
        conv=Conv2d(weight=rng.normal(0.1, 0.4, (2, 2, 3, 3)), padding=1),
        if1=Neuron(shape=(2, 6, 6), **spiking),
        **scale if behind else {},
        pool=AvgPool2d(kernel=2, stride=2),
        flat=Flatten(),
        fc=Linear(weight=rng.normal(0.1, 0.4, (3, 18))),
        if2=Neuron(shape=(3,), **spiking),
        dt=1e-3,
    )


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("factor", [2.0, np.array([0.5, 3.0]).reshape(2, 1, 1)])
def test_a_factor_moves_into_the_weights_that_read_it(factor, behind):
    spikes = np.random.default_rng(1).poisson(0.2, (4, 20, 2, 6, 6))
    d = deploy(image(factor, behind=behind), "speck", calibration=spikes)
    (change,) = d.ledger["factor"].changes
    assert (change.before, change.after) == ("Scale", "removed")
    assert change.fidelity is Fidelity.EXACT
    plain = image(1.0, behind=behind)
    taken = "fc" if behind else "conv"
    each = np.broadcast_to(factor, (2, 1, 1))
    weight = plain[taken].weight.reshape(len(plain[taken].weight), 2, -1, 1) * each
    weight = weight.reshape(plain[taken].weight.shape)
    by_hand = plain.replace(
        {taken: type(plain[taken])(**plain[taken].parameters() | {"weight": weight})}
    )
    again = deploy(by_hand, "speck", calibration=spikes)
    assert d.config() == again.config()
    np.testing.assert_array_equal(d.reference(spikes).spikes, again.reference(spikes).spikes)


def test_a_factor_of_each_pixel_makes_the_next_weights_dense():
    factor = np.linspace(0.2, 1, 36).reshape(1, 6, 6)
    d, spikes = deploy(image(factor), "speck"), RNG.integers(0, 2, (1, 6, 2, 6, 6))
    assert d.ledger["factor"].fidelity is Fidelity.EXACT
    assert d.program["if1"].weight.shape == (72, 2, 6, 6)
    found, wanted = d.simulate(spikes), d.reference_quantized(spikes)
    np.testing.assert_array_equal(found.spikes, wanted.spikes)
    assert found.spikes.any()


def test_a_factor_whose_dense_weights_would_be_too_large_is_refused_by_name():
    factor = Scale(scale=np.arange(1.0, 6401).reshape(1, 80, 80))
    nodes = {"input": Input(shape=(1, 80, 80)), "factor": factor}
    nodes |= {"conv": conv(1, 1, 3), "spk": iaf((1, 78, 78)), "output": Output()}
    with pytest.raises(DeployError) as refused:
        deploy(Graph.chain(nodes), "speck")
    (finding,) = (found for found in refused.value.diagnostics if found.where == "factor")
    assert finding.rule == "node_kinds"
    assert "one dense weight would have 6 084 x 6 400 numbers, more than 16 777" in finding.message
    assert refused.value.ledger["factor"].fidelity is Fidelity.UNSUPPORTED
