"""Layers as plain data, built alike from the original's names and from ours, and what they gave.

A case is ``{"layer": name, "arguments": {...}}`` in JSON, where ``{"array": key}`` stands for a
tensor of the archive, ``{"made": [name, ...]}`` for a function or an activation with its arguments,
and ``{"linear": [key, key]}`` for an ``nn.Linear`` of a weight and a bias. Archives hold plain
arrays only.
"""

import json
from pathlib import Path

import numpy as np
import torch

DATA = Path(__file__).parent / "data"


def build(case, arrays, names):
    """The layer of a case, from ``names``: what has the original's names, or ours."""
    given = {k: _made(v, arrays, names) for k, v in case["arguments"].items()}
    return names[case["layer"]](**given)


def _made(value, arrays, names):
    if not isinstance(value, dict):
        return tuple(value) if isinstance(value, list) else value
    if "array" in value:
        return torch.from_numpy(arrays[value["array"]])
    if "made" in value:
        name, *rest = value["made"]
        return names[name] if rest == ["class"] else names[name](*rest)
    weight, bias = (torch.from_numpy(arrays[key]) for key in value["linear"])
    layer = torch.nn.Linear(*reversed(weight.shape))
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


def gradients(layer, out, x, seed):
    """Of ``sum(out * random)`` with respect to the input and every parameter, by name."""
    weights = torch.from_numpy(np.random.default_rng(seed).normal(size=tuple(out.shape))).to(out)
    (out * weights).sum().backward()
    found = {"input": x.grad}
    found |= {name: p.grad for name, p in layer.named_parameters() if p.grad is not None}
    return {f"grad.{name}": value.numpy() for name, value in found.items()}


def _numbers(kind, shape):
    """Return a function that draws numbers of a kind, always the same."""

    def draw():
        random = torch.Generator().manual_seed(9)
        if kind == "spikes":
            return (torch.rand(shape, generator=random) < 0.4).float()
        if kind == "counts":
            return torch.poisson(torch.rand(shape, generator=random), generator=random)
        return torch.randn(shape, generator=random)

    return draw


_IMAGES = {kind: _numbers(kind, (9, 2, 6, 7)) for kind in ("spikes", "counts", "real")}
STATELESS = {
    **{
        f"SpikingMaxPooling2dLayer {kind}": (
            lambda names: names["SpikingMaxPooling2dLayer"]((2, 3)),
            data,
        )
        for kind, data in _IMAGES.items()
    },
    "SpikingMaxPooling2dLayer padding": (
        lambda names: names["SpikingMaxPooling2dLayer"]((3, 2), (2, 1), (1, 0, 2, 1)),
        _IMAGES["spikes"],
    ),
    "Cropping2dLayer": (
        lambda names: names["Cropping2dLayer"](((1, 2), (0, 3))),
        _IMAGES["real"],
    ),
    "ChannelShift": (lambda names: names["ChannelShift"](2), _IMAGES["real"]),
    "ChannelShift negative": (lambda names: names["ChannelShift"](-1), _IMAGES["real"]),
    "ChannelShift axis": (lambda names: names["ChannelShift"](3, -1), _IMAGES["real"]),
    "QuantizeLayer": (lambda names: names["QuantizeLayer"](), _IMAGES["real"]),
    "QuantizeLayer off": (lambda names: names["QuantizeLayer"](False), _IMAGES["real"]),
    "SumPool2d ceil_mode": (
        lambda names: names["SumPool2d"](2, ceil_mode=True),
        _IMAGES["counts"],
    ),
    "SumPool2d ceil_mode stride": (
        lambda names: names["SumPool2d"]((3, 2), 3, True),
        _IMAGES["real"],
    ),
    "Repeat": (
        lambda names: names["Repeat"](torch.nn.AvgPool2d(2)),
        _numbers("real", (2, 3, 2, 6, 6)),
    ),
    "Merge": (
        lambda names: lambda x: names["Merge"]()(x, x[:4, :, :5] * 2),
        _IMAGES["real"],
    ),
    "StochasticRounding": (lambda names: names["StochasticRounding"].apply, _IMAGES["real"]),
    "Img2SpikeLayer": (
        lambda names: names["Img2SpikeLayer"]((1, 3, 4), tw=20, norm=2.0, squeeze=True),
        _numbers("real", (1, 3, 4)),
    ),
    "Img2SpikeLayer negative": (
        lambda names: names["Img2SpikeLayer"]((2, 3), 20, 400.0, 1.5, negative_spikes=True),
        _numbers("real", (2, 3)),
    ),
    "Sig2SpikeLayer": (
        lambda names: names["Sig2SpikeLayer"](3, tw=2, norm_level=1.5),
        _numbers("real", (3, 9)),
    ),
    "Sig2SpikeLayer values": (
        lambda names: names["Sig2SpikeLayer"](3, tw=2, spk_out=False),
        _numbers("real", (3, 9)),
    ),
}
"""Layers without state, built from the names of either, and what draws their input."""


def outcome(layer, data):
    """Return output and gradient of a layer; random numbers are seeded."""
    data.requires_grad_(True)
    torch.manual_seed(5)
    out = layer(data)
    found = {"out": out.detach().numpy()}
    if out.requires_grad and data.dim() > 3:
        weights = np.random.default_rng(5).normal(size=tuple(out.shape))
        (out * torch.from_numpy(weights).to(out)).sum().backward()
        found["grad"] = data.grad.numpy()
    return found


def write(name, cases, shared, recorded):
    """``cases`` and ``shared`` arrays, and ``recorded`` arrays by case."""
    arrays = {"cases": np.frombuffer(json.dumps(cases).encode(), np.uint8)}
    arrays |= {f"shared.{key}": value for key, value in shared.items()}
    for case, values in recorded.items():
        arrays |= {f"{case}.{key}": _small(value) for key, value in values.items()}
    np.savez_compressed(DATA / name, **arrays)


def _small(value):
    """Spike counts as bytes; other numbers in single precision."""
    value = np.asarray(value)
    if value.size and (value == np.rint(value)).all() and value.min() >= 0 and value.max() < 256:
        return value.astype(np.uint8)
    return value.astype(np.float32)


def read(name):
    """(cases by name, shared arrays, recorded arrays by case)."""
    with np.load(DATA / name, allow_pickle=False) as archive:
        entries = {key: archive[key] for key in archive.files}
    cases = json.loads(entries.pop("cases").tobytes())
    by_case = {case: {} for case in cases}
    shared = {}
    for key, value in entries.items():
        case, _, what = key.partition(".")
        (shared if case == "shared" else by_case[case])[what] = value
    return cases, shared, by_case
