"""Growth of processor time with steps, samples, neurons and spikes, over three decades.

    python -m benchmarks.growth docs/growth.svg

The exponent is the slope of a straight line through the logarithms, over the last two decades:
below, the fixed cost of a call counts. Run as a program, it draws all points.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.extraction import loop
from benchmarks.figure import Figure
from benchmarks.measure import interleaved, load
from toolchain import extract
from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram
from toolchain.chips.speck import simulate as speck_simulate
from toolchain.chips.xylo import XyloProgram
from toolchain.chips.xylo import simulate as xylo_simulate

__all__ = ["figures"]

MOST = 1.05
"""Largest exponent: linear, and what the spread of the measurement adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Times by size.

    Attributes:
        name: what grows.
        sizes: over three decades, ascending.
        work: returns the work of a size.
    """

    name: str
    sizes: tuple[int, ...]
    work: Callable[[int], Callable[[], object]]

    def times(self, repeats: int) -> dict[int, float]:
        """Return the least processor time at each size, s."""
        works = {str(size): self.work(size) for size in self.sizes}
        return {int(size): taken.cpu for size, taken in interleaved(works, repeats).items()}


def exponent(times: dict[int, float]) -> float:
    """Return the slope over the last two decades."""
    sizes = np.array([size for size in times if 100 * size >= max(times)], float)
    seconds = np.array([times[int(size)] for size in sizes])
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _xylo() -> XyloProgram:
    rng = np.random.default_rng(0)
    return XyloProgram.from_specification(
        "xylo_a2", weights_in=rng.integers(-60, 128, (16, 128)),
        weights_rec=rng.integers(-127, 121, (128, 128)),
        weights_out=rng.integers(-99, 99, (128, 8)),
        dash_mem=4, dash_syn=3, dash_mem_out=4, dash_syn_out=3, threshold=3000, threshold_out=2000,
    )  # fmt: skip


def _speck(side: int) -> SpeckProgram:
    rng = np.random.default_rng(0)
    core = SpeckCore(
        name="spk", weight_name="conv", weight=rng.integers(-40, 60, (4, 1, 3, 3)),
        input_shape=(1, side, side), padding=(1, 1), threshold_high=200, threshold_low=-200,
        monitor=True,
    )  # fmt: skip
    return SpeckProgram(
        chip="speck2f", dt=1e-3, input_shape=(1, side, side), cores=(core,),
        inputs=(Destination(layer="spk"),), outputs=("spk",),
    )  # fmt: skip


def _spikes(shape: tuple[int, ...], rate: float = 0.05) -> np.ndarray:
    return (np.random.default_rng(1).random(shape, np.float32) < rate).astype(np.uint8)


def curves() -> tuple[Curve, ...]:
    """Return what is measured."""
    xylo, map64 = _xylo(), _speck(64)

    def steps(size: int) -> Callable[[], object]:
        raster = _spikes((1, size, 16))
        return lambda: xylo_simulate(xylo, raster, threads=1)

    def batch(size: int) -> Callable[[], object]:
        raster = _spikes((size, 100, 16))
        return lambda: xylo_simulate(xylo, raster, threads=1)

    def speck_steps(size: int) -> Callable[[], object]:
        raster, program = _spikes((1, size, 1, 16, 16)), _speck(16)
        return lambda: speck_simulate(program, raster, threads=1)

    def neurons(pixels: int) -> Callable[[], object]:
        side = round(pixels**0.5)
        raster, program = _spikes((1, 100, 1, side, side)), _speck(side)
        return lambda: speck_simulate(program, raster, threads=1)

    def rate(per_mille: int) -> Callable[[], object]:
        raster = _spikes((1, 100, 1, 64, 64), per_mille / 1000)
        return lambda: speck_simulate(map64, raster, threads=1)

    def traced(size: int) -> Callable[[], object]:
        model, sample = loop(), torch.as_tensor(_spikes((1, size, 16))).float()
        return lambda: extract(model, sample, 1e-3)

    decades = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)
    return (
        Curve(name="Xylo, steps", sizes=decades, work=steps),
        Curve(name="Xylo, samples", sizes=(1, 4, 10, 32, 100, 320, 1000), work=batch),
        Curve(name="Speck, steps", sizes=decades, work=speck_steps),
        Curve(
            name="Speck, neurons of a map", sizes=(16, 64, 256, 1024, 4096, 16_384), work=neurons
        ),
        Curve(name="Speck, input rate", sizes=(1, 3, 10, 32, 100, 320, 1000), work=rate),
        Curve(name="extract, steps of a loop", sizes=(2, 6, 20, 60, 200, 600, 2000), work=traced),
    )


def figures(repeats: int) -> Iterator[Figure]:
    """Yield the exponent of each curve."""
    torch.set_num_threads(1)
    for curve in curves():
        times = curve.times(min(repeats, 3))
        yield Figure(
            name=f"growth, {curve.name}", value=exponent(times), unit="exponent", better="less",
            cpu=times[max(times)], load=load(), limit=MOST,
        )  # fmt: skip


def draw(path: str) -> None:
    """Draw the times of each curve over its sizes."""
    import matplotlib

    matplotlib.use("agg")
    # ids that do not change from run to run
    matplotlib.rcParams["svg.hashsalt"] = "growth"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for curve in curves():
        times = curve.times(3)
        relative = [t / times[max(times)] for t in times.values()]
        label = f"{curve.name}: {exponent(times):.2f}"
        axes.loglog([s / max(times) for s in times], relative, "o-", markersize=3, label=label)
    axes.loglog([1e-3, 1], [1e-3, 1], "k:", linewidth=1, label="linear")
    axes.set(xlabel="size, share of the largest", ylabel="processor time, share of the largest")
    axes.legend(title="exponent over the last two decades", fontsize=8, title_fontsize=8)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    torch.set_num_threads(1)
    draw(sys.argv[1])
