"""Modules to NIR and back, against sinabs: the same spikes whichever of the two writes or reads.

Runs in sinabs' environment:
``.venv-oracles/sinabs/bin/python -m tests.oracles.frameworks.nir_modules``. It records nothing.
"""

import sys
import warnings

import sinabs.layers as sl
import sinabs.nir
import torch

from toolchain import nn
from toolchain.frontends.nir import from_nir, to_nir

BATCH, STEPS = 2, 60


def networks(layers):
    """By name: the same network of sinabs' layers or of ours, and the shape of its input."""
    torch.manual_seed(3)
    floor = {"min_v_mem": -1.0}
    conv = torch.nn.Conv2d(2, 4, 3), layers.IAFSqueeze(batch_size=BATCH, **floor)
    flat = layers.SumPool2d(2), torch.nn.Flatten(), torch.nn.Linear(36, 5)
    last = layers.LIFSqueeze(tau_mem=12.5, batch_size=BATCH, norm_input=False)
    yield "conv", torch.nn.Sequential(*conv, *flat, last), (2, 8, 8)
    taus = torch.linspace(3, 40, 8)
    each = {"tau_mem": taus, "spike_threshold": torch.linspace(0.5, 1, 8)}  # sinabs needs both
    lif = layers.LIFSqueeze(**each, batch_size=BATCH, norm_input=False)
    leak = layers.ExpLeakSqueeze(tau_mem=9.0, batch_size=BATCH)
    dense = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)
    yield "dense", torch.nn.Sequential(dense[0], lif, dense[1], leak), (4,)


def run(net, x):
    for layer in net.modules():
        if hasattr(layer, "reset_states"):
            layer.reset_states()
    out = net(x)
    return (out[0] if isinstance(out, tuple) else out).detach()


def main():
    warnings.simplefilter("ignore")
    faults = 0
    pairs = zip([*networks(sl)], [*networks(nn)], strict=True)  # each from the same seed
    for (name, theirs, shape), (_, ours, _) in pairs:
        x = torch.rand(BATCH * STEPS, *shape) * 2
        wanted = run(theirs, x)
        graphs = {"sinabs": sinabs.nir.to_nir(theirs, x), "ours": to_nir(ours, x)}
        found = {"our layers": run(ours, x)}
        for writer, graph in graphs.items():
            found[f"{writer} to ours"] = run(from_nir(graph, batch_size=BATCH), x)
            found[f"{writer} to sinabs"] = run(sinabs.nir.from_nir(graph, batch_size=BATCH), x)
        for how, out in found.items():
            wrong = int((out != wanted).sum())
            faults += wrong > 0
            sys.stdout.write(f"{name}, {how}: {wrong} of {out.numel()} values differ\n")
    return faults


if __name__ == "__main__":
    sys.exit(main())
