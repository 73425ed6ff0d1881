"""What sinabs' DVSLayer gave, and how it sets up the chip, for tests that run without sinabs.

``python tests/oracles/dvs_vectors_sinabs.py`` writes the file anew; it needs
requirements-sinabs.txt. The layer lives in a package that imports samna, which is never imported:
empty modules stand in for it.
"""

import importlib.abc
import importlib.machinery
import json
import sys
import types

import nn_cases
import numpy as np
import torch

FILE = "dvs_sinabs.npz"
SIZES = {"small": (12, 10), "odd": (7, 9), "camera": (128, 128)}


class StandIn(types.ModuleType):
    """A module in which everything is another one."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, StandIn(f"{self.__name__}.{name}"))
        return getattr(self, name)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds stand-ins for samna and everything in it."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("samna", "samnagui"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        pass


def cases():
    """Every option alone, and several at once."""
    named = {
        "plain": {},
        "merged": {"merge_polarities": True},
        "pooled": {"pool": [2, 2]},
        "pooled_rows": {"pool": [4, 1]},
        "cropped": {"crop": [[1, 5], [2, 9]]},
        "flip_x": {"flip_x": True},
        "flip_y": {"flip_y": True},
        "swapped": {"swap_xy": True},
        "pixels": {"disable_pixel_array": False},
        "pooled_cropped": {"pool": [2, 1], "crop": [[1, 5], [2, 9]]},
        "cropped_flipped": {"crop": [[0, 5], [3, 9]], "flip_x": True, "flip_y": True},
        "cropped_turned": {"crop": [[0, 5], [3, 9]], "flip_x": True, "swap_xy": True},
        "turned_back": {"flip_x": True, "flip_y": True, "swap_xy": True},
        "everything": {
            "pool": [2, 1],
            "crop": [[1, 5], [2, 9]],
            "merge_polarities": True,
            "flip_x": True,
            "flip_y": True,
            "swap_xy": True,
            "disable_pixel_array": False,
        },
    }
    made = {name: (SIZES["small"], given) for name, given in named.items()}
    made["odd"] = (SIZES["odd"], {"pool": [2, 4], "flip_y": True, "swap_xy": True})
    turned = {"merge_polarities": True, "flip_x": True, "swap_xy": True}
    made["camera"] = (SIZES["camera"], {"pool": [1, 2], "crop": [[20, 62], [12, 32]], **turned})
    return {
        name: {"layer": "DVSLayer", "arguments": {"input_shape": list(size), **given}}
        for name, (size, given) in made.items()
    }


def shared():
    """Counts of events for each size, most of them 0; one frame of the camera."""
    rng = np.random.default_rng(11)
    rows = {"small": 6, "odd": 6, "camera": 1}
    return {
        f"{height}x{width}": rng.poisson(0.2, (rows[name], 2, height, width)).astype(np.uint8)
        for name, (height, width) in SIZES.items()
    }


def run(case, arrays, names):
    """Output, its shape after pooling, and the configuration."""
    layer = nn_cases.build(case, arrays, names)
    size = "x".join(map(str, case["arguments"]["input_shape"]))
    out = layer(torch.from_numpy(arrays[size]).float())
    config = json.dumps(layer.get_config_dict()).encode()
    return {
        "out": out.numpy(),
        "pooled": np.array(layer.get_output_shape_after_pooling()),
        "config": np.frombuffer(config, np.uint8),
    }


def main():
    """Record every case."""
    sys.meta_path.insert(0, Finder())
    from sinabs.backend.dynapcnn.dvs_layer import DVSLayer

    arrays = shared()
    recorded = {name: run(case, arrays, {"DVSLayer": DVSLayer}) for name, case in cases().items()}
    nn_cases.write(FILE, cases(), arrays, recorded)


if __name__ == "__main__":
    main()
