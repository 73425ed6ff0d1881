import matplotlib as mpl
import numpy as np
import pytest

from toolchain import deploy
from toolchain.ir import Graph, Input, Linear, Neuron, Output
from toolchain.plots import plot_raster, plot_resources

mpl.use("Agg")


@pytest.fixture(scope="module")
def deployment():
    neuron = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}
    nodes = {
        "input": Input(shape=(2,)),
        "fc1": Linear(weight=np.ones((3, 2))),
        "lif1": Neuron(shape=(3,), **neuron),
        "fc2": Linear(weight=np.ones((1, 3))),
        "lif2": Neuron(shape=(1,), **neuron),
        "output": Output(),
    }
    return deploy(Graph.chain(nodes, dt=1e-3), chip="xylo")


def axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_a_raster_shows_every_layer_by_name(deployment):
    ax = axes()
    plot_raster(ax, deployment.simulate(np.ones((1, 10, 2)), record=True))
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["lif1\n3 neurons", "lif2\n1 neurons"]


def test_a_raster_without_record_is_refused(deployment):
    with pytest.raises(ValueError, match="record=True"):
        plot_raster(axes(), deployment.simulate(np.ones((1, 10, 2))))


def test_a_bar_stands_for_each_resource(deployment):
    ax = axes()
    plot_resources(ax, deployment.resources())
    assert len(ax.patches) == len(deployment.resources())
