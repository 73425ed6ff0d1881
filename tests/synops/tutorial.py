"""The network and input of sinabs' synops tutorial."""

import torch
from torch import nn

from toolchain.nn import FlattenTime, IAFSqueeze, SumPool2d, UnflattenTime

BATCH, STEPS = 5, 10
LAYERS, SPIKING = (1, 4, 7, 10), (2, 5, 8, 11)


def network():
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


def data():
    return torch.ones(BATCH, STEPS, 1, 28, 28)
