import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tests.builders import chain
from toolchain import deploy
from toolchain.ir import Conv2d, Linear, Neuron
from toolchain.plots import plot_comparison, plot_power, plot_raster, plot_resources

mpl.use("Agg")


@pytest.fixture(scope="module")
def deployment():
    return deployed("lif1")


def deployed(name):
    neuron = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}
    graph = chain(
        (2,),
        fc1=Linear(weight=np.ones((3, 2))),
        **{name: Neuron(shape=(3,), **neuron)},
        fc2=Linear(weight=np.ones((1, 3))),
        lif2=Neuron(shape=(1,), **neuron),
        dt=1e-3,
    )
    return deploy(graph, chip="xylo")


def axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_a_raster_shows_every_layer_by_name(deployment):
    ax = axes()
    plot_raster(ax, deployment.simulate(np.ones((1, 10, 2)), record=True))
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["lif1\n3 neurons", "lif2\n1 neuron"]


def test_a_name_is_drawn_as_it_is_without_hidden_characters():
    d, spikes = deployed("$\\frac$\ud800\u202e\n"), np.ones((1, 10, 2))
    wanted = "$\\frac$" + r"\ud800\u202e\n"
    drawn = [
        (plot_raster, d.simulate(spikes, record=True), "y", f"{wanted}\n3 neurons"),
        (plot_comparison, d.compare(spikes), "x", wanted),
        (plot_resources, d.resources(), "y", f"{wanted} (hidden 0..2): hidden neurons"),
    ]
    for plot, result, axis, label in drawn:
        ax = axes()
        plot(ax, result)
        FigureCanvasAgg(ax.figure).draw()  # an invalid formula, or a surrogate, is an error
        texts = [
            each.get_text().replace("\\$", "$") for each in getattr(ax, f"get_{axis}ticklabels")()
        ]
        assert label in texts


def test_a_raster_without_record_is_refused(deployment):
    with pytest.raises(ValueError, match="record=True"):
        plot_raster(axes(), deployment.simulate(np.ones((1, 10, 2))))


def test_a_bar_stands_for_each_resource(deployment):
    ax = axes()
    plot_resources(ax, deployment.resources())
    assert len(ax.patches) == len(deployment.resources())


def test_a_bar_stands_for_each_rail_and_a_line_for_its_range(deployment):
    ax, found = axes(), deployment.estimate(np.ones((1, 10, 2)))
    plot_power(ax, found)
    idle, dynamic = ax.patches[:4], ax.patches[4:]
    rails = found.power_by_rail
    for bar, top, figure in zip(idle, dynamic, rails.values(), strict=True):
        assert bar.get_width() + top.get_width() == pytest.approx(figure.nominal)
        assert top.get_x() == pytest.approx(bar.get_width())
    spans = [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()]
    assert spans == [[figure.low, figure.high] for figure in rails.values()]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [f"{rail}\n{figure}" for rail, figure in rails.items()]
    assert ax.get_xlabel() == "µW"
    legend = {text.get_text() for text in ax.get_legend().get_texts()}
    assert legend == {"idle", "dynamic", "range"}


def test_a_range_alone_is_drawn_from_its_low_end():
    d = deploy(small_speck(), chip="speck2e")
    ax, found = axes(), d.estimate(np.ones((1, 3, 1, 4, 4), int))
    plot_power(ax, found)
    logic = list(found.power_by_rail).index("logic")
    assert ax.patches[5 + logic].get_width() == pytest.approx(found.dynamic["logic"].low)


def test_a_chip_of_unknown_power_cannot_be_drawn():
    d = deploy(small_speck(), chip="dynapcnn")
    with pytest.raises(ValueError, match=r"^nothing to draw: no power of dynapcnn is known$"):
        plot_power(axes(), d.estimate(np.ones((1, 3, 1, 4, 4), int)))


def small_speck():
    return chain(
        (1, 4, 4),
        conv=Conv2d(weight=np.ones((2, 1, 3, 3))),
        **{"if": Neuron(shape=(2, 2, 2), v_threshold=1.0, v_min=-1.0)},
        dt=1e-3,
    )
