"""Make a network fit that Xylo Audio 2 refuses: prune it to the chip, and train on its integers.

100 recurrent neurons, all connected to all, classify the digits 0 to 7. A neuron of the chip has at
most 64 targets, so the network is refused. ``repair`` prunes it by magnitude, removes neurons as
the dearer way, and trains what is left on the chip's own integers until the accuracy of the float
network is reached again.
"""

from __future__ import annotations

import torch
from digits import columns_over_time, digits
from torch import nn

from toolchain import DeployError, deploy, repair
from toolchain.nn import CubaLIF, reset_states

NEURONS, CLASSES, DT = 100, 8, 1e-3


def network() -> nn.Sequential:
    """Build 8 -> 100 recurrent -> 8 neurons with small random weights."""
    taus = {"tau_mem": 10e-3, "tau_syn": 5e-3, "dt": DT, "trained": ()}
    model = nn.Sequential(
        nn.Linear(8, NEURONS, bias=False),
        CubaLIF(NEURONS, has_rec=True, max_spikes_per_dt=31, **taus),
        nn.Linear(NEURONS, CLASSES, bias=False),
        CubaLIF(CLASSES, max_spikes_per_dt=1, **taus),
    )
    for name, weight in model.named_parameters():
        size = 0.15 if name.endswith("w_rec") else 0.4
        nn.init.normal_(weight, std=size / weight.shape[1] ** 0.5)
    return model


def train(model: nn.Sequential, spikes: torch.Tensor, labels: torch.Tensor) -> None:
    """Train in torch for 6 epochs: Adam, cross-entropy of the spike counts."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(6):
        for part in torch.randperm(len(spikes)).split(32):
            reset_states(model)
            counts = model(spikes[part]).sum(dim=1)
            optimizer.zero_grad()
            nn.functional.cross_entropy(counts / 3, labels[part]).backward()
            optimizer.step()
    reset_states(model)


def main() -> None:
    """Train, be refused, and repair."""
    torch.manual_seed(0)
    data = digits()
    used = data.train_labels < CLASSES
    spikes, labels = columns_over_time(data.train[used]), data.train_labels[used]
    model = network()
    train(model, torch.as_tensor(spikes).float(), torch.as_tensor(labels))

    sample = torch.as_tensor(spikes[:2]).float()
    try:
        deploy(model, "xylo_a2", sample=sample)
    except DeployError as refused:
        print(refused, end="\n\n")

    result = repair(model, "xylo_a2", spikes, labels, sample=sample)
    print(result)

    unseen = data.test_labels < CLASSES
    counts = result.deployment.simulate(columns_over_time(data.test[unseen])).spikes.sum(axis=1)
    right = (counts.argmax(axis=1) == data.test_labels[unseen]).mean()
    print(f"\nunseen digits, on the chip: {100 * right:.1f} %")


if __name__ == "__main__":
    main()
