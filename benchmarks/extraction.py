"""Time of ``extract`` against one forward pass of the model on the same sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sinabs.layers as sl
import torch
from torch import nn

from benchmarks.figure import Figure
from benchmarks.measure import interleaved, load
from tests.frontends.tracing.step_layers import Leaky
from toolchain import extract
from toolchain.nn import SynNet

__all__ = ["figures", "loop"]


def synnet() -> tuple[Any, torch.Tensor]:
    """Return rockpool's SynNet in the layers of this project, and 4 samples of 200 steps."""
    torch.manual_seed(0)
    return SynNet(n_classes=10, n_channels=16, dt=1e-3), _spikes(0.05, 4, 200, 16)


def convolutions() -> tuple[Any, torch.Tensor]:
    """Return a network of sinabs' own layers for 34 x 34 pixels, and a sample of 80 steps."""
    torch.manual_seed(1)

    def iaf() -> nn.Module:
        return sl.IAFSqueeze(batch_size=1)

    network = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, bias=False), iaf(), sl.SumPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, bias=False), iaf(), sl.SumPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1, bias=False), iaf(), sl.SumPool2d(2),
        nn.Flatten(), nn.Linear(256, 10, bias=False), iaf(),
    )  # fmt: skip
    return network, _spikes(0.1, 80, 2, 34, 34)


def loop() -> Any:
    """Return a network that calls layers of one step in a loop, in the manner of snnTorch."""

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(16, 32, bias=False), nn.Linear(32, 8, bias=False)
            self.hidden, self.last = Leaky(0.9), Leaky(0.8)

        def forward(self, spikes: torch.Tensor) -> torch.Tensor:
            hidden, last, out = None, None, []
            for step in range(spikes.shape[1]):
                fired, hidden = self.hidden(self.first(spikes[:, step]), hidden)
                fired, last = self.last(self.second(fired), last)
                out.append(fired)
            return torch.stack(out, 1)

    torch.manual_seed(2)
    return Steps()


def figures(repeats: int) -> Iterator[Figure]:
    """Yield the ratio for each kind of network."""
    torch.set_num_threads(1)
    for name, (model, sample) in {
        "SynNet": synnet(),
        "sinabs": convolutions(),
        "loop of 200 steps": (loop(), _spikes(0.1, 4, 200, 16)),
    }.items():
        times = interleaved(
            {
                "forward": _forward(model, sample),
                "extract": lambda model=model, sample=sample: extract(model, sample, 1e-3),
            },
            repeats,
        )
        taken = times["extract"]
        yield Figure(
            name=f"extract against a forward pass, {name}", value=taken.cpu / times["forward"].cpu,
            unit="x", better="less", cpu=taken.cpu, wall=taken.wall, load=load(),
        )  # fmt: skip


def _forward(model: Any, sample: torch.Tensor) -> Callable[[], object]:
    def work() -> object:
        if hasattr(model, "reset_states"):
            model.reset_states()
        for layer in model.modules():
            if isinstance(layer, sl.StatefulLayer):
                layer.reset_states()
        with torch.no_grad():
            return model(sample)

    return work


def _spikes(rate: float, *shape: int) -> torch.Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(0)) < rate).float()
