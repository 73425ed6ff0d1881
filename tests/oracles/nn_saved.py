"""Layers whose state dictionaries are exchanged with sinabs, built alike from either's names."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

FILE = Path(__file__).parent / "data" / "nn_states_sinabs.npz"
TAUS = torch.tensor([3.0, 5.0, 9.0, 20.0])


def _back():
    return nn.Linear(4, 4)


LAYERS = {
    "IAF": ("IAF", lambda: {"spike_threshold": torch.tensor(0.75), "min_v_mem": -1.0}),
    "IAF tau_syn": ("IAF", lambda: {"tau_syn": 3.0}),
    "LIF": ("LIF", lambda: {"tau_mem": TAUS, "norm_input": False}),
    "LIF everything": (
        "LIF",
        lambda: {
            **{"tau_mem": TAUS, "tau_syn": 4.0, "min_v_mem": -0.5, "norm_input": False},
            "spike_threshold": TAUS / 10,
        },
    ),
    "LIF train_alphas": (
        "LIF",
        lambda: {"tau_mem": 9.0, "tau_syn": 4.0, "train_alphas": True, "norm_input": False},
    ),
    "ExpLeak": ("ExpLeak", lambda: {"tau_mem": 9.0}),
    "ExpLeak min_v_mem": ("ExpLeak", lambda: {"tau_mem": 9.0, "min_v_mem": -0.1}),
    "ALIF": ("ALIF", lambda: {"tau_mem": 9.0, "tau_adapt": 5.0, "norm_input": False}),
    "ALIF train_alphas": (
        "ALIF",
        lambda: {
            **{"tau_mem": TAUS, "tau_adapt": 5.0, "tau_syn": 4.0, "train_alphas": True},
            **{"min_v_mem": -0.5, "spike_threshold": torch.tensor(0.1)},
        },
    ),
    "IAFRecurrent": ("IAFRecurrent", lambda: {"rec_connect": _back()}),
    "LIFRecurrent": (
        "LIFRecurrent",
        lambda: {
            "tau_mem": 9.0,
            "norm_input": False,
            "rec_connect": nn.Sequential(nn.Flatten(), _back()),
        },
    ),
    "ALIFRecurrent": (
        "ALIFRecurrent",
        lambda: {"tau_mem": 9.0, "tau_adapt": 5.0, "norm_input": False, "rec_connect": _back()},
    ),
    "IAFSqueeze": ("IAFSqueeze", lambda: {"batch_size": 2, "min_v_mem": -1.0}),
    "LIFSqueeze": ("LIFSqueeze", lambda: {"num_timesteps": 6, "tau_mem": 9.0}),
    "ExpLeakSqueeze": ("ExpLeakSqueeze", lambda: {"batch_size": 2, "tau_mem": 9.0}),
    "IAF shape": ("IAF", lambda: {"shape": (2, 4)}),
}
"""Name of a class and its arguments, by case."""


def layer(name, namespace):
    """The layer of a case after a linear one, from the classes of ``namespace``."""
    kind, arguments = LAYERS[name]
    return nn.Sequential(nn.Linear(4, 4), getattr(namespace, kind)(**arguments()))


def rows(name):
    """Input of a case, (2, 6, 4), or (2 * 6, 4) for a Squeeze layer."""
    data = torch.rand(2, 6, 4, generator=torch.Generator().manual_seed(3)) * 4
    return data.flatten(0, 1) if "Squeeze" in name else data


def analog():
    """A convolutional network of ReLUs."""
    return nn.Sequential(
        *(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(8, 4), nn.ReLU()),
    )


def image():
    """Input of the network of ReLUs, (2 * 6, 1, 6, 6)."""
    return torch.rand(12, 1, 6, 6, generator=torch.Generator().manual_seed(4)) * 4


def recorded():
    """Return ``{"new": state_dict, "used": state_dict, "next": output}`` by case, as in sinabs."""
    found = {}
    with np.load(FILE) as archive:
        for path in archive.files:
            case, kind, *key = path.split("/")
            value = torch.from_numpy(archive[path])
            entry = found.setdefault(case, {"new": {}, "used": {}})
            if key:
                entry[kind][key[0]] = value
            else:
                entry[kind] = value
    return found
