"""Plots of results, drawn onto the caller's axes; matplotlib is needed only here.

A layer has the same colour in every picture, numbers the same form as in the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from toolchain.across_chips import ChipComparison
from toolchain.chips.contract import Resource
from toolchain.estimate import Estimate, Figure
from toolchain.extras import needed_by
from toolchain.report import count, plural, visible
from toolchain.runs.compare import RUNS, Comparison
from toolchain.runs.recording import Recording

with needed_by("toolchain.plots"):
    from matplotlib.axes import Axes

__all__ = ["plot_chips", "plot_comparison", "plot_power", "plot_raster", "plot_resources"]

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
INPUT_COLOUR = "0.6"
"""Colour of the network's input, which has no neurons."""


def plot_raster(axes: Axes, recording: Recording, sample: int = 0) -> None:
    """Plot the spikes of one sample over time: one colour a layer, neurons stacked.

    Raises:
        ValueError: ``recording`` has no layers; simulate with ``record=True``.

    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from toolchain.runs import LayerRecord, Recording
    >>> spikes, axes = np.eye(5, dtype=int)[np.newaxis], Figure().subplots()
    >>> layers = {"lif": LayerRecord(spikes=spikes, v_mem=spikes)}
    >>> plot_raster(axes, Recording(spikes=spikes, layers=layers))
    >>> axes.get_yticklabels()[0].get_text().split()
    ['lif', '5', 'neurons']
    """
    if not recording.layers:
        raise ValueError("nothing to draw: simulate with record=True")
    base, ticks = 0, []
    colours = layer_colours(recording.layers)
    for name, layer in recording.layers.items():
        spikes = layer.spikes[sample].reshape(layer.spikes.shape[1], -1)
        time, neuron = np.nonzero(spikes)
        counts = spikes[time, neuron]
        axes.scatter(
            time,
            base + neuron,
            s=2.0 + 2.0 * np.minimum(counts, 5),
            marker="|",
            color=colours[name],
            linewidths=0.8,
        )
        ticks.append(
            (base + spikes.shape[1] / 2, f"{_label(name)}\n{plural(spikes.shape[1], 'neuron')}")
        )
        base += spikes.shape[1]
        axes.axhline(base - 0.5, color="0.8", linewidth=0.5)
    axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks])
    axes.set_ylim(base, -1)
    axes.set_xlabel("timestep")
    axes.set_ylabel("layer")


def plot_resources(axes: Axes, resources: Sequence[Resource]) -> None:
    """Plot the used part of each resource as a bar, in % of the chip's limit, with both numbers.

    >>> from matplotlib.figure import Figure
    >>> from toolchain.chips.contract import Resource
    >>> row = {"resource": "hidden neurons", "used": 250, "limit": 1000, "unit": "neuron"}
    >>> axes = Figure().subplots()
    >>> plot_resources(axes, [Resource(layer="lif", place="hidden 0..249", **row)])
    >>> axes.texts[0].get_text()
    '250 of 1 000'
    """
    rows = [row for row in resources if row.limit]
    neurons = dict.fromkeys(row.layer for row in resources if row.unit != "channel")
    colours = layer_colours(neurons)
    shares = [100 * row.used / row.limit for row in rows]
    places = np.arange(len(rows))
    axes.barh(places, shares, color=[colours.get(row.layer, INPUT_COLOUR) for row in rows])
    for place, share, row in zip(places, shares, rows, strict=True):
        axes.text(
            share + 1, float(place), f"{count(row.used)} of {count(row.limit)}", va="center", size=7
        )
    axes.set_yticks(
        places, [_label(f"{row.layer} ({row.place}): {row.resource}") for row in rows], size=7
    )
    axes.invert_yaxis()
    axes.set_xlim(0, max(100.0, *shares) * 1.25)
    axes.axvline(100, color="0.3", linewidth=0.8)
    axes.set_xlabel("% of the chip's limit")


def plot_comparison(axes: Axes, comparison: Comparison) -> None:
    """Plot the agreement of each layer's spike counts with the trained network: one bar a run.

    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from toolchain import deploy
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> lif = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}
    >>> graph = Graph.chain(
    ...     {
    ...         "input": Input(shape=(4,)),
    ...         "fc1": Linear(weight=np.eye(3, 4)),
    ...         "lif1": Neuron(shape=(3,), **lif),
    ...         "fc2": Linear(weight=np.eye(2, 3)),
    ...         "lif2": Neuron(shape=(2,), **lif),
    ...         "output": Output(),
    ...     },
    ...     dt=1e-3,
    ... )
    >>> d, axes = deploy(graph, "xylo_a2"), Figure().subplots()
    >>> spikes = np.ones((1, 20, 4), int)
    >>> plot_comparison(axes, d.compare(spikes))
    >>> axes.get_ylabel()
    'agreement of spike counts, %'
    """
    layers = comparison.layers
    runs = list(comparison.agreement)
    width = 0.8 / max(1, len(runs))
    for number, run in enumerate(runs):
        axes.bar(
            np.arange(len(layers)) + (number - (len(runs) - 1) / 2) * width,
            [100 * layer.agreement[run] for layer in layers],
            width=width,
            color=COLOURS[number],
            label=RUNS[run],
        )
    axes.set_xticks(np.arange(len(layers)), [_label(layer.name) for layer in layers])
    axes.set_ylim(0, 100)
    axes.set_ylabel("agreement of spike counts, %")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(runs), frameon=False)


def plot_power(axes: Axes, estimate: Estimate) -> None:
    """Plot the power of each rail: idle and dynamic stacked, with the range of their sum.

    The length of a bar is the nominal value, or the low end of a range without one. Of a range
    without upper end only the known part is drawn.

    Raises:
        ValueError: the power of the chip is unknown.

    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from toolchain import deploy
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> lif = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}
    >>> graph = Graph.chain(
    ...     {
    ...         "input": Input(shape=(4,)),
    ...         "fc1": Linear(weight=np.eye(3, 4)),
    ...         "lif1": Neuron(shape=(3,), **lif),
    ...         "fc2": Linear(weight=np.eye(2, 3)),
    ...         "lif2": Neuron(shape=(2,), **lif),
    ...         "output": Output(),
    ...     },
    ...     dt=1e-3,
    ... )
    >>> d, axes = deploy(graph, "xylo_a2"), Figure().subplots()
    >>> spikes = np.ones((1, 20, 4), int)
    >>> plot_power(axes, d.estimate(spikes))
    >>> axes.get_xlabel()
    'µW'
    """
    rails = estimate.power_by_rail
    if not rails:
        raise ValueError(f"nothing to draw: no power of {estimate.chip} is known")
    places, start = np.arange(len(rails)), np.zeros(len(rails))
    for kind, colour in (("idle", COLOURS[0]), ("dynamic", COLOURS[1])):
        part = getattr(estimate, kind)
        lengths = np.array([_length(part.get(rail)) for rail in rails])
        axes.barh(places, lengths, left=start, color=colour, label=kind)
        start = start + lengths
    ends = [(f.low, f.high if np.isfinite(f.high) else f.low) for f in rails.values()]
    axes.hlines(places, *zip(*ends, strict=True), color="0.2", linewidth=1.5, label="range")
    axes.set_yticks(places, [f"{_label(rail)}\n{figure}" for rail, figure in rails.items()], size=7)
    axes.invert_yaxis()
    axes.set_xlabel("µW")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)


def plot_chips(
    axes: Axes,
    comparison: ChipComparison,
    what: Literal["power", "energy_per_inference", "latency"] = "energy_per_inference",
) -> None:
    """Plot a figure of several chips: a line over its range, a dot at the nominal value.

    Chips without the figure are labelled with the reason. The axis starts at 0, or is logarithmic
    if the largest figure is more than twenty times the smallest; an unknown upper end is omitted.

    Raises:
        ValueError: the figure is unknown for all chips.

    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from toolchain import compare_chips
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> lif = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}
    >>> graph = Graph.chain(
    ...     {
    ...         "input": Input(shape=(4,)),
    ...         "fc1": Linear(weight=np.eye(3, 4)),
    ...         "lif1": Neuron(shape=(3,), **lif),
    ...         "fc2": Linear(weight=np.eye(2, 3)),
    ...         "lif2": Neuron(shape=(2,), **lif),
    ...         "output": Output(),
    ...     },
    ...     dt=1e-3,
    ... )
    >>> axes = Figure().subplots()
    >>> spikes = np.ones((1, 20, 4), int)
    >>> plot_chips(axes, compare_chips(graph, ["xylo_a2", "xylo_a3"], spikes=spikes))
    >>> axes.get_xlabel()
    'energy per inference, µJ/inference'
    """
    from matplotlib.ticker import NullFormatter

    figures = [getattr(row, what) for row in comparison.rows]
    known = [(place, f) for place, f in enumerate(figures) if f is not None and f.low > 0]
    if not known:
        raise ValueError(f"nothing to draw: no {what.replace('_', ' ')} of any chip is known")
    places, drawn = zip(*known, strict=True)
    low, high = zip(
        *((f.low, f.high if np.isfinite(f.high) else f.low) for f in drawn), strict=True
    )
    axes.hlines(places, low, high, color=COLOURS[0], linewidth=4)
    dots = [(f.nominal, place) for place, f in known if f.nominal is not None]
    axes.plot([x for x, _ in dots], [y for _, y in dots], "o", color="0.2")
    if max(high) > 20 * min(low):
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, 1.05 * max(high))
    labels = []
    for row, figure in zip(comparison.rows, figures, strict=True):
        value = "unknown" if figure is None else str(figure)
        labels.append(f"{row.chip}\n{value if row.fits else 'does not fit'}")
    axes.set_yticks(range(len(labels)), labels, size=7)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(f"{what.replace('_', ' ')}, {drawn[0].unit}")


def layer_colours(layers: Iterable[str]) -> dict[str, str]:
    """Return a colour for each layer of neurons, given in the network's order."""
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(layers)}


def _label(name: str) -> str:
    """Return a name on one line, whose characters matplotlib shows as they are."""
    return visible(name, one_line=True).replace("$", r"\$")


def _length(figure: Figure | None) -> float:
    if figure is None:
        return 0.0
    return figure.low if figure.nominal is None else figure.nominal
