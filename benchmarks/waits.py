"""Processor time and memory of the calls that take longest, each in a process of its own.

python -m benchmarks.waits NAME
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import numpy as np

from benchmarks.figure import Figure
from benchmarks.measure import in_process, load, report, yardstick
from benchmarks.networks import camera, camera_spikes, layered, too_large
from toolchain import DeployError, Deployment, compare_chips, deploy

__all__ = ["figures"]

Work = Callable[[], object]
EVENT = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")]


def speck_deploy(samples: int, steps: int) -> Work:
    """Deploy nine cores with calibration spikes, after a small one that loads compiled code."""
    network, spikes = camera(), camera_spikes(samples, steps)
    ready = partial(deploy, network, "speck", sample=_sample(), dt=1e-3)
    ready(calibration=spikes[:1, :2])
    return lambda: ready(calibration=spikes)


def refusal() -> Work:
    """Refuse a network by its shapes, with calibration spikes."""
    network, spikes = too_large(), camera_spikes(8, 10)

    def work() -> None:
        with suppress(DeployError):
            deploy(network, "speck2f", calibration=spikes)
            raise SystemExit("was not refused")

    with suppress(DeployError):
        deploy(network, "speck2f")
    return work


def verb(name: str) -> Work:
    """Call ``reference`` or ``compare`` with 32 samples of 50 steps."""
    d, spikes = _deployed(), camera_spikes(32, 50)
    _prepared(d)
    return lambda: getattr(d, name)(spikes)


def recordings() -> Work:
    """Compare on a recording of 6.5 s in steps of 1 ms, as events."""
    d = _deployed()
    _prepared(d)
    events = _events(np.random.default_rng(0), 6.5, 300_000)
    return lambda: d.compare([events])


def xylo_deploy() -> Work:
    """Deploy 992 hidden neurons with 64 samples, from torch layers."""
    import torch
    from torch import nn

    from toolchain.nn import CubaLIF

    torch.manual_seed(2)
    torch.set_num_threads(1)
    lif = {"tau_mem": 10e-3, "tau_syn": 5e-3, "dt": 1e-3}
    network = nn.Sequential(
        nn.Linear(16, 992, bias=False), CubaLIF(992, **lif),
        nn.Linear(992, 8, bias=False), CubaLIF(8, **lif),
    )  # fmt: skip
    spikes = (torch.rand(64, 50, 16) < 0.1).float()
    calibration = spikes.numpy().astype(np.uint8)
    ready = partial(deploy, network, "xylo", sample=spikes, dt=1e-3)
    ready(calibration=calibration[:2, :5])
    return lambda: ready(calibration=calibration)


def chips() -> Work:
    """Compare all chips on two layers of 300 neurons."""
    network = layered([16, 300, 300, 8])
    compare_chips(layered([4, 8, 2]))
    return lambda: compare_chips(network)


def stream() -> Work:
    """Simulate 20 s of events at 50 000 a second as a stream, after 2 s of it."""
    d, rng = _deployed(), np.random.default_rng(0)
    session = d.session()

    def packets(first: int, last: int) -> Iterator[np.ndarray]:
        for n in range(first, last):
            yield _events(rng, 0.1, 50_000, start=0.1 * n)

    def run(first: int, last: int) -> None:
        for _ in session.stream(packets(first, last)):
            pass

    run(0, 20)
    return lambda: run(20, 220)


WAITS: dict[str, tuple[str, Callable[[], Work]]] = {
    "deploy-small": ("Speck deploy, 9 cores, 8 samples of 10 steps", partial(speck_deploy, 8, 10)),
    "deploy-large": ("Speck deploy, 9 cores, 32 of 50", partial(speck_deploy, 32, 50)),
    "refusal": ("refusal by shapes, with calibration", refusal),
    "reference": ("reference, 32 samples of 50 steps of 128 x 128", partial(verb, "reference")),
    "compare": ("compare, 32 samples of 50 steps of 128 x 128", partial(verb, "compare")),
    "recordings": ("compare, a recording of 6.5 s at 1 ms", recordings),
    "xylo": ("Xylo deploy, 992 hidden neurons, 64 samples", xylo_deploy),
    "chips": ("compare_chips, 300 + 300 hidden neurons", chips),
    "stream": ("stream of 20 s of 50 000 events a second", stream),
}


def figures(repeats: int) -> Iterator[Figure]:
    """Yield time and memory of each wait, beyond what the same work took for a smaller input."""
    for name, (text, _) in WAITS.items():
        child = in_process("-m", "benchmarks.waits", name, repeats=1 if repeats < 5 else 2)
        common = {"better": "less", "cpu": child.cpu, "wall": child.wall, "load": load()}
        yield Figure(name=text, value=child.cpu, unit="s", scale=yardstick(), **common)
        yield Figure(name=f"{text}: memory", value=child.growth, unit="MB", **common)


def _sample() -> object:
    import torch

    return torch.as_tensor(camera_spikes(1, 5)[0]).float()


def _deployed() -> Deployment:
    return deploy(camera(), "speck", sample=_sample(), dt=1e-3)


def _prepared(d: Deployment) -> None:
    """Load the compiled code and what is imported on first use."""
    d.compare(camera_spikes(1, 2))


def _events(rng: np.random.Generator, seconds: float, rate: int, start: float = 0.0) -> np.ndarray:
    """Return random events of so many seconds, ``rate`` a second, from ``start`` on."""
    events = np.zeros(int(seconds * rate), EVENT)
    events["x"], events["y"] = rng.integers(0, 128, (2, len(events)))
    events["p"] = rng.integers(0, 2, len(events))
    events["t"] = np.sort(rng.integers(0, int(1e6 * seconds), len(events))) + round(1e6 * start)
    return events


if __name__ == "__main__":
    report(WAITS[sys.argv[1]][1])
