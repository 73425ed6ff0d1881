"""Linear operations between two layers of neurons, in the spellings that people use.

Each class takes maps of (rows, 4, 8, 8) and returns (rows, 16); the matrices of the frameworks run
them between neurons of theirs.
"""

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["Functions", "Layers"]


class Layers(nn.Module):
    """Layers of torch, slices, sums and concatenations."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(4, 4, 1, bias=False)
        self.pad, self.up = nn.ZeroPad2d((1, 1, 0, 0)), nn.ConvTranspose2d(8, 3, 2)
        self.line, self.pool = nn.Conv1d(3, 4, 3, stride=2), nn.AdaptiveAvgPool1d(7)
        self.norm, self.fc = nn.BatchNorm1d(4), nn.Linear(32, 16)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)
        nn.init.normal_(self.fc.weight, 0.3, 1.0)

    def forward(self, y):
        joined = torch.cat([y[:, 1:3] / 2, self.mix(y) + y, 2 * y[:, [0, 3]]], 1)
        maps = self.up(F.avg_pool2d(self.pad(joined), 2))
        lines = self.pool(self.norm(self.line(maps.flatten(2))))
        return self.fc(torch.cat([lines.flatten(1), y.mean((2, 3))], 1))


class Functions(nn.Module):
    """Functions of torch with parameters, constants and other orders of axes."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(6, 2, 3, 2) / 2)
        self.gain, self.weight = (
            nn.Parameter(torch.rand(6, 1, 1)),
            nn.Parameter(torch.randn(30, 16)),
        )
        self.mix = nn.Parameter(torch.randn(3, 6) / 2)

    def forward(self, y):
        maps = F.conv2d(y, self.kernel, padding="same", groups=2) * self.gain + 0.01
        maps = torch.stack([maps, y[:, :2].repeat(1, 3, 1, 1)]).sum(0)
        maps = torch.einsum("bchw,oc->bhwo", F.interpolate(maps, (4, 4)), self.mix)
        parts = maps.permute(0, 3, 1, 2).roll(1, 2).split(2, dim=2)
        maps = F.adaptive_avg_pool2d(F.pad(parts[0] - parts[1], (2, -1)), (2, 5))
        return maps.reshape(len(y), -1) @ self.weight
