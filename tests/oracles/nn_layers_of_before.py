"""Pickle layers of ``toolchain.nn`` with the package of an earlier state, and their next outputs.

Run it with that package, from before the states of a new layer were tensors:

    git worktree add ../before 2c66be6
    PYTHONPATH=../before .venv/bin/python tests/oracles/nn_layers_of_before.py
"""

from pathlib import Path

import torch

from toolchain import nn

FILE = Path(__file__).parent / "data" / "nn_layers_of_before.pt"


def main():
    torch.manual_seed(0)
    layers = [
        nn.IAF(min_v_mem=-1.0),
        nn.LIF(tau_mem=10.0, tau_syn=5.0, norm_input=False),
        nn.ALIF(
            tau_mem=9.0,
            tau_adapt=5.0,
            adapt_scale=0.7,
            spike_threshold=0.5,
            min_v_mem=-0.3,
            norm_input=False,
        ),
        nn.IAFRecurrent(rec_connect=torch.nn.Linear(4, 4)),
        nn.CubaLIF(4, tau_mem=10e-3, tau_syn=5e-3, dt=1e-3),
        nn.ExpLeak(tau_mem=9.0, norm_input=False),
        nn.SumPool2d((1, 2)),
    ]
    data = (torch.arange(64.0) * 7 % 13 / 5 - 0.4).reshape(2, 8, 4)
    given = [data[:, None] if isinstance(each, nn.SumPool2d) else data for each in layers]
    with torch.no_grad():
        for layer, rows in zip(layers, given, strict=True):
            layer(rows)
        torch.save(layers, FILE)
        outputs = [layer(rows) for layer, rows in zip(layers, given, strict=True)]
    torch.save(outputs, FILE.with_stem(f"{FILE.stem}_out"))


if __name__ == "__main__":
    main()
