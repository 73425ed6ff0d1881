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
