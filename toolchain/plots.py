"""Results drawn onto axes that the caller gives; matplotlib is needed only here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from toolchain.across_chips import ChipComparison
from toolchain.chips.contract import Resource
from toolchain.estimate import Estimate, Figure
from toolchain.extras import needed_by
from toolchain.runs.compare import Comparison
from toolchain.runs.recording import Recording

with needed_by("toolchain.plots"):
    from matplotlib.axes import Axes

__all__ = ["plot_chips", "plot_comparison", "plot_power", "plot_raster", "plot_resources"]

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")


def plot_raster(axes: Axes, recording: Recording, sample: int = 0) -> None:
    """Spikes of one sample over time, a colour a layer, neurons stacked.

    Raises:
        ValueError: ``recording`` was made without ``record=True``.
    """
    if not recording.layers:
        raise ValueError("nothing to draw: simulate with record=True")
    base, ticks = 0, []
    for colour, (name, layer) in enumerate(recording.layers.items()):
        spikes = layer.spikes[sample].reshape(layer.spikes.shape[1], -1)
        time, neuron = np.nonzero(spikes)
        counts = spikes[time, neuron]
        axes.scatter(
            time,
            base + neuron,
            s=2.0 + 2.0 * np.minimum(counts, 5),
            marker="|",
            color=COLOURS[colour % len(COLOURS)],
            linewidths=0.8,
        )
        ticks.append((base + spikes.shape[1] / 2, f"{name}\n{spikes.shape[1]} neurons"))
        base += spikes.shape[1]
        axes.axhline(base - 0.5, color="0.8", linewidth=0.5)
    axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks])
    axes.set_ylim(base, -1)
    axes.set_xlabel("timestep")
    axes.set_ylabel("layer")


def plot_resources(axes: Axes, resources: Sequence[Resource]) -> None:
    """A bar a resource, as a share of what the chip has; the numbers stand beside it."""
    rows = [row for row in resources if row.limit]
    layers = list(dict.fromkeys(row.layer for row in rows))
    shares = [100 * row.used / row.limit for row in rows]
    colours = [COLOURS[layers.index(row.layer) % len(COLOURS)] for row in rows]
    places = np.arange(len(rows))
    axes.barh(places, shares, color=colours)
    for place, share, row in zip(places, shares, rows, strict=True):
        axes.text(share + 1, float(place), f"{row.used:,} of {row.limit:,}", va="center", size=7)
    axes.set_yticks(places, [f"{row.layer} ({row.place}): {row.resource}" for row in rows], size=7)
    axes.invert_yaxis()
    axes.set_xlim(0, max(100.0, *shares) * 1.25)
    axes.axvline(100, color="0.3", linewidth=0.8)
    axes.set_xlabel("% of the chip's limit")


def plot_comparison(axes: Axes, comparison: Comparison) -> None:
    """How far each layer's spike counts agree with the trained network's, a bar a run."""
    layers = comparison.layers
    runs = list(comparison.agreement)
    width = 0.8 / max(1, len(runs))
    for number, run in enumerate(runs):
        axes.bar(
            np.arange(len(layers)) + (number - (len(runs) - 1) / 2) * width,
            [100 * layer.agreement[run] for layer in layers],
            width=width,
            color=COLOURS[number],
            label=run,
        )
    axes.set_xticks(np.arange(len(layers)), [layer.name for layer in layers])
    axes.set_ylim(0, 100)
    axes.set_ylabel("agreement of spike counts, %")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(runs), frameon=False)


def plot_power(axes: Axes, estimate: Estimate) -> None:
    """A bar a rail, idle and dynamic end to end, with the range of both together.

    A bar is as long as the nominal value, or as the low end of a range without one. Where the
    range has no end nothing but the known part is drawn.

    Raises:
        ValueError: nothing is known of the chip's power.
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
    axes.set_yticks(places, [f"{rail}\n{figure}" for rail, figure in rails.items()], size=7)
    axes.invert_yaxis()
    axes.set_xlabel("µW")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)


def plot_chips(
    axes: Axes,
    comparison: ChipComparison,
    what: Literal["power", "energy_per_inference", "latency"] = "energy_per_inference",
) -> None:
    """A line a chip from the low to the high end, and a dot at the nominal value if there is one.

    Which chips have no figure stands beside them. The axis starts at 0, or is one of tens where
    the largest figure is more than twenty times the smallest; an end that is unknown is left out.

    Raises:
        ValueError: of no chip anything is known.
    """
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
    else:
        axes.set_xlim(0, 1.05 * max(high))
    labels = []
    for row, figure in zip(comparison.rows, figures, strict=True):
        told = "does not fit" if not row.fits else "unknown" if figure is None else str(figure)
        labels.append(f"{row.chip}\n{told}")
    axes.set_yticks(range(len(labels)), labels, size=7)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(f"{what.replace('_', ' ')}, {drawn[0].unit}")


def _length(figure: Figure | None) -> float:
    if figure is None:
        return 0.0
    return figure.low if figure.nominal is None else figure.nominal
