"""Cost of counting synops in the forward and backward pass of sinabs' synops tutorial network.

    python benchmarks/synops_hooks.py [repeats]

Variants: without hooks, with the hooks of this project and, if sinabs is installed, with sinabs'
hooks, on the same layers and input, interleaved in random order. The table has medians and the
median ratio to the run without hooks of the same repeat.
"""

import copy
import importlib.util
import random
import statistics
import sys
import time
import warnings

import torch
from torch import nn

from toolchain.nn import FlattenTime, IAFSqueeze, SumPool2d, UnflattenTime, reset_states
from toolchain.synops import register_synops_hooks

BATCH, STEPS = 5, 10


def network() -> nn.Sequential:
    """Build the tutorial's network with the layers of this package."""
    torch.manual_seed(1)
    spiking = {"batch_size": BATCH}
    return nn.Sequential(
        FlattenTime(),
        nn.Conv2d(1, 16, 5, bias=False),
        IAFSqueeze(**spiking),
        SumPool2d(2),
        nn.Conv2d(16, 32, 5, bias=False),
        IAFSqueeze(**spiking),
        SumPool2d(2),
        nn.Conv2d(32, 120, 4, bias=False),
        IAFSqueeze(**spiking),
        nn.Flatten(),
        nn.Linear(120, 10, bias=False),
        IAFSqueeze(**spiking),
        UnflattenTime(BATCH),
    )


def variants() -> dict[str, nn.Module]:
    """Return copies of the network: two without hooks, and one with the hooks of each project."""
    plain = network()
    found = {"plain": plain, "plain again": copy.deepcopy(plain)}
    found["ours"] = copy.deepcopy(plain)
    register_synops_hooks(found["ours"])
    if importlib.util.find_spec("sinabs") is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sinabs.hooks import register_synops_hooks as others

        found["sinabs"] = copy.deepcopy(plain)
        others(found["sinabs"])
    return found


def milliseconds(model: nn.Module, data: torch.Tensor, in_loss: bool) -> float:
    """Time one forward and backward pass, ms; with ``in_loss`` also through the synop count."""
    reset_states(model)
    model.zero_grad()
    start = time.perf_counter()
    loss = model(data).square().mean()
    if in_loss and hasattr(model, "hook_data"):
        loss = loss + 1e-9 * model.hook_data["total_synops_per_timestep"]
    loss.backward()
    del loss  # to free the graph is part of a step, now or in the next one
    return (time.perf_counter() - start) * 1e3


def measure(repeats: int, in_loss: bool) -> dict[str, list[float]]:
    """Return the times of every variant, ms, in the order of the repeats."""
    data = torch.ones(BATCH, STEPS, 1, 28, 28)
    models = variants()
    times: dict[str, list[float]] = {name: [] for name in models}
    for repeat in range(repeats + 5):
        for name in random.sample(list(models), len(models)):
            taken = milliseconds(models[name], data, in_loss)
            if repeat >= 5:
                times[name].append(taken)
    return times


def main() -> None:
    """Measure and print the table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, {repeats} interleaved repeats")
    print(f"{'':14}{'median ms':>10}{'of plain':>10}{'min ms':>10}{'of plain':>10}")
    for in_loss in (False, True):
        print("synops in the loss" if in_loss else "count only")
        times = measure(repeats, in_loss)
        for name, taken in times.items():
            ratio = statistics.median(a / b for a, b in zip(taken, times["plain"], strict=True))
            least = min(taken) / min(times["plain"])
            print(
                f"  {name:12}{statistics.median(taken):10.2f}{ratio:10.3f}"
                f"{min(taken):10.2f}{least:10.3f}"
            )


if __name__ == "__main__":
    main()
