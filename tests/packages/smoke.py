"""Uses what every install offers, in the current folder, and needs no optional package.

``python smoke.py FOLDER`` with the folder of an artifact of an 8-input network for Xylo.
"""

import sys
import warnings

import numpy as np

import toolchain
from toolchain import Deployment, DeployWarning, deploy, list_chips, load
from toolchain.frontends import nir
from toolchain.ir import Conv2d, Graph, Input, Neuron, Output

warnings.simplefilter("ignore", DeployWarning)  # that there is no calibration
counts = np.random.default_rng(0).poisson(0.2, (2, 30, 8))
saved = Deployment.load(sys.argv[1])
assert saved.simulate(counts).spikes.any()
assert saved.estimate(counts).power.nominal > 0
saved.save("again")
assert str(load("again")) == str(saved.graph)

weight = np.random.default_rng(0).normal(0, 0.5, (2, 1, 3, 3))
layers = {
    "input": Input(shape=(1, 6, 6)),
    "conv": Conv2d(weight=weight),
    "iaf": Neuron(shape=(2, 4, 4), v_threshold=1.0),
    "output": Output(),
}
graph = Graph.chain(layers, dt=1e-3)
assert deploy(graph, "speck2f").chip.name == "speck2f"
nir.save(graph, "network.nir")
from_file = deploy("network.nir", "speck2f", dt=1e-3)
assert from_file.simulate(np.ones((1, 10, 1, 6, 6), int)).spikes.any()

assert len(list_chips()) == 9
assert "torch" not in sys.modules
sys.stdout.write(toolchain.__file__)
