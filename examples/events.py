"""Camera events on a Speck, processed one by one and in timesteps, and the difference.

    python examples/events.py [--out out/events]

Bars cross the camera in four directions. A network with weights set by hand classifies them: a
kernel per direction after the chip's sensor layer, and a neuron per direction that sums the spikes
of its kernel. Inputs are event arrays, as in a recording.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from toolchain import deploy
from toolchain.chips.speck import SpeckOptions
from toolchain.ir import Conv2d, Flatten, Graph, Input, Linear, Neuron, Output, Sensor
from toolchain.plots import plot_comparison

mpl.use("Agg")

SIZE = 32  # height and width of the part of the camera that is used, pixels
DIRECTIONS = ("right", "left", "down", "up")
DTYPE = [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i2")]


def moving_bar(direction: str, rng: np.random.Generator) -> NDArray[np.void]:
    """Return the events of a bright bar of 4 pixels that crosses the view in 32 ms.

    ON events are at its front, OFF events at its back.
    """
    along, front = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    edges = [(front, 1000 * front, 1), (front - 4, 1000 * front, 0)]
    events = np.concatenate([_edge(*edge, along, direction, rng) for edge in edges])
    return np.asarray(events[np.argsort(events["t"], kind="stable")])


def _edge(
    place: NDArray[np.int64],
    time: NDArray[np.int64],
    polarity: int,
    along: NDArray[np.int64],
    direction: str,
    rng: np.random.Generator,
) -> NDArray[np.void]:
    active = (place >= 0) & (rng.random(place.shape) < 0.8)
    events = np.zeros(active.sum(), DTYPE)
    position = place[active]
    if direction in ("left", "up"):
        position = SIZE - 1 - position
    across, beside = ("x", "y") if direction in ("right", "left") else ("y", "x")
    events[across], events[beside] = position, along[active]
    events["t"] = time[active] + rng.integers(0, 1000, active.sum())
    events["p"] = polarity
    return events


def detectors() -> Graph:
    """Build the network: one kernel per direction for ON events in front and OFF events behind.

    A bar in the opposite direction drives the membrane to its lower limit.
    """
    profile = np.array([-2.0, -1.0, 1.0, 2.0]) / 16  # OFF events behind, ON events in front
    to_right = np.stack([-np.tile(profile, (4, 1)), np.tile(profile, (4, 1))])  # (polarity, y, x)
    down = to_right.swapaxes(1, 2)
    kernels = np.stack([to_right, to_right[..., ::-1], down, down[:, ::-1]])
    per_map = (SIZE // 2 // 4) ** 2
    return Graph.chain(
        {
            "input": Input(shape=(2, SIZE, SIZE)),
            "camera": Sensor(pool=(2, 2), size=(SIZE // 2, SIZE // 2)),
            "kernels": Conv2d(weight=kernels, stride=4),
            "edges": Neuron(shape=(4, SIZE // 8, SIZE // 8), v_threshold=3.0, v_min=-0.5),
            "flatten": Flatten(),
            "sum": Linear(weight=np.kron(np.eye(4), np.full(per_map, 0.4))),
            "direction": Neuron(shape=(4,), v_threshold=1.0, v_min=-1.0),
            "output": Output(),
        },
        dt=1e-3,
    )


def main() -> None:
    """Deploy the network, classify the bars and draw the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/events"))
    out: Path = parser.parse_args().out
    rng = np.random.default_rng(0)
    recordings = [moving_bar(direction, rng) for direction in DIRECTIONS * 3]
    d = deploy(
        detectors(),
        chip="speck2f",
        calibration=recordings[:4],
        options=SpeckOptions(placement={"direction": 3}),
    )
    print(d)
    counts = d.simulate(recordings[4:], timing="event").spikes.sum(axis=1)
    for direction, row in zip(DIRECTIONS, counts, strict=False):
        print(f"{direction:6} {row}  -> {DIRECTIONS[row.argmax()]}")
    comparison = d.compare(recordings[4:], options=SpeckOptions(permutations=5))
    print(comparison)
    figure = Figure(figsize=(6, 3), layout="constrained")
    plot_comparison(figure.subplots(), comparison)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "comparison.png", dpi=150)
    print(f"picture: {out / 'comparison.png'}")


if __name__ == "__main__":
    main()
