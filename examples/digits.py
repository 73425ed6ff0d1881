"""Handwritten digits as spikes, and two networks that classify them.

The digits are scikit-learn's bundled scans (1797 images of 8 x 8 pixels, 0 to 16). The encoding is
deterministic: a pixel of value p spikes p times in 16 timesteps, evenly spread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from toolchain.nn import CubaLIF, FlattenTime, IAFSqueeze, SumPool2d, detach_states, reset_states

LEVELS = 16  # grey levels of a pixel
HOLD = 6  # timesteps for which a column of the image is the input of Xylo
FLUSH = 12  # timesteps without input at the end, for the last spikes to pass the layers
CLASSES = 10

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Digits:
    """Images (n, 8, 8) of 0..16 and their labels (n,), in a fixed split."""

    train: Ints
    train_labels: Ints
    test: Ints
    test_labels: Ints


def digits() -> Digits:
    """Return the digits with a quarter of the images, stratified by label, for testing."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.int64)
    parts = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
    return Digits(train=parts[0], train_labels=parts[2], test=parts[1], test_labels=parts[3])


def rate_coded(images: Ints) -> Ints:
    """Encode images as spikes (n, 16, 1, 8, 8) with a rate per pixel, as from a camera."""
    steps = np.arange(LEVELS + 1).reshape(-1, 1, 1, 1, 1)
    spikes = np.diff(steps * images[:, None] // LEVELS, axis=0)
    return np.moveaxis(spikes, 0, 1)


def columns_over_time(images: Ints) -> Ints:
    """Encode images as spikes (n, time, 8), one column after the other, one channel per row."""
    steps = np.arange(HOLD + 1).reshape(-1, 1, 1, 1)
    repeated = np.diff(steps * images // LEVELS, axis=0)  # (hold, n, rows, columns)
    spikes = repeated.transpose(1, 3, 0, 2).reshape(len(images), -1, 8)
    return np.pad(spikes, ((0, 0), (0, FLUSH), (0, 0)))


# ---- network (a): convolutions and integrate-and-fire neurons, for Speck ----


def convolutional_network() -> nn.Sequential:
    """Build 1 x 8 x 8 -> 16 and 32 feature maps -> 10 classes, without biases (leaks on Speck)."""

    def neurons() -> IAFSqueeze:
        return IAFSqueeze(num_timesteps=LEVELS, spike_threshold=1.0, min_v_mem=-1.0)

    return nn.Sequential(
        OrderedDict(
            flatten_time=FlattenTime(),
            conv1=nn.Conv2d(1, 16, 3, padding=1, bias=False),
            iaf1=neurons(),
            pool1=SumPool2d(2),
            conv2=nn.Conv2d(16, 32, 3, padding=1, bias=False),
            iaf2=neurons(),
            pool2=SumPool2d(2),
            flatten=nn.Flatten(),
            dense=nn.Linear(128, CLASSES, bias=False),
            iaf3=neurons(),
        )
    )


def class_counts(spikes: NDArray[np.generic] | torch.Tensor) -> torch.Tensor:
    """Sum spikes over time: (batch * time, 10) or (batch, time, 10) -> (batch, 10)."""
    return torch.as_tensor(spikes).reshape(-1, LEVELS, CLASSES).sum(dim=1).float()


# ---- network (b): leaky neurons with many time constants, for Xylo ----

# Xylo Audio 2 has eight outputs. The ten digits are code words of the extended Hamming code, any
# two of which differ in four or all eight bits; the prediction is the code word nearest to the
# spike counts.
CODE_WORDS = (0x0F, 0x33, 0x3C, 0x55, 0x5A, 0x66, 0x69, 0x96, 0x99, 0xA5)
CODE = np.unpackbits(np.array(CODE_WORDS, dtype=np.uint8)[:, None], axis=1)


def synnet() -> nn.Sequential:
    """Build 8 -> 60 -> 60 -> 8 neurons with several synaptic time constants in hidden layers."""
    dt = 1e-3

    def time_constant(dash: int) -> float:
        """Return the time constant of a decay by a bit shift of ``dash``, s."""
        return float(-dt / np.log(1 - 2.0**-dash))

    def hidden(constants: int) -> CubaLIF:
        tau_syn = torch.tensor([time_constant(2 + n % constants) for n in range(60)])
        return CubaLIF(
            60, tau_mem=tau_mem, tau_syn=tau_syn, dt=dt, max_spikes_per_dt=31, trained=()
        )

    tau_mem = time_constant(3)
    last = CubaLIF(8, tau_mem=tau_mem, tau_syn=tau_mem, dt=dt, max_spikes_per_dt=1, trained=())
    net = nn.Sequential(
        OrderedDict(
            linear1=nn.Linear(8, 60, bias=False),
            lif1=hidden(2),
            linear2=nn.Linear(60, 60, bias=False),
            lif2=hidden(4),
            linear3=nn.Linear(60, 8, bias=False),
            lif_out=last,
        )
    )
    for linear, neurons in zip(list(net)[::2], list(net)[1::2], strict=True):
        # a slow synapse sums its input over tau / dt timesteps, so its weights start smaller
        nn.init.normal_(linear.weight, std=1.5 / linear.in_features**0.5)
        linear.weight.data *= (dt / neurons.tau_syn.reshape(-1, 1)).expand_as(linear.weight)
    return net


def code_distances(spikes: NDArray[np.generic] | torch.Tensor) -> torch.Tensor:
    """Return the match of spikes (batch, time, 8) with each digit's code word, (batch, 10)."""
    counts = torch.as_tensor(spikes).float().sum(dim=1)
    return counts @ torch.as_tensor(2.0 * CODE.T - 1.0, dtype=torch.float32)


# ---- both ----


def train(
    model: nn.Module,
    spikes: Ints,
    labels: Ints,
    score: Callable[[torch.Tensor], torch.Tensor],
    *,
    epochs: int,
    rate: float,
    temperature: float,
    description: str,
    show: bool = True,
    penalty: Callable[[nn.Module], torch.Tensor] | None = None,
) -> None:
    """Train with Adam on the cross-entropy of ``score(model(spikes))``, in a fixed order.

    ``penalty`` is called after each pass and returns a further term of the loss.
    """
    inputs, targets = torch.as_tensor(spikes).float(), torch.as_tensor(labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    batches = (len(inputs) + 63) // 64
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * batches)
    order = torch.Generator().manual_seed(0)
    for _ in track(range(epochs), description=description, disable=not show):
        for part in torch.randperm(len(inputs), generator=order).split(64):
            reset_states(model)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(
                score(model(inputs[part])) / temperature, targets[part]
            )
            if penalty is not None:
                loss = loss + penalty(model)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    detach_states(model)
    reset_states(model)


def accuracy(scores: torch.Tensor, labels: Ints) -> float:
    """Return the percentage of samples whose highest score is that of their label."""
    return 100.0 * float((scores.argmax(dim=1).numpy() == labels).mean())
