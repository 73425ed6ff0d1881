"""Records what xylosim does with small networks, for tests that run without it.

Run in an environment with numpy and xylosim (``requirements-xylosim.txt``), from this folder::

    python xylo_vectors.py

The file holds each array of all networks end to end, with its shapes beside: a file of many small
arrays is mostly headers. Everything fits int16.
"""

from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data" / "xylo_v2.npz"
CORES = ("v1", "v2")
NETWORKS = 60
"""A core: those made by hand, ``LARGE``, and random ones for the rest."""

LARGE = ((1000, 5), (500, 6), (250, 8))
"""Hidden neurons and steps."""

STEPS = (10, 31)
MOST_HIDDEN = 20


def cases(core):
    """``(network, raster, calls)`` of each recording."""
    # found beside this script when it is run, not where its constants are read
    import xylo_networks

    for make in xylo_networks.SPECIAL:
        yield make(core)
    for seed in range(NETWORKS - len(xylo_networks.SPECIAL)):
        rng = np.random.default_rng([seed, CORES.index(core), 4])
        if seed < len(LARGE):
            hidden, steps = LARGE[seed]
            sizes = {"least_hidden": hidden, "most_hidden": hidden, "densities": [4 / hidden]}
        else:
            steps, sizes = int(rng.integers(*STEPS)), {"most_hidden": MOST_HIDDEN}
        net, raster, calls = xylo_networks.random_case(rng, core, steps, **sizes)
        for offset, which in enumerate(("in", "rec", "out")):
            net[f"weight_shift_{which}"] = (seed + 3 * offset) % 10
        yield net, raster, calls


def record():
    """One dict of arrays a network: what it is, what it is given, what every state was."""
    import xylosim_oracle

    for core in CORES:
        for net, raster, calls in cases(core):
            states = xylosim_oracle.run(core, net, raster, calls)
            pairs = [(pre, post) for pre, targets in enumerate(net["aliases"]) for post in targets]
            net["aliases"] = np.array(pairs, int).reshape(-1, 2)
            yield (
                net
                | {"core": int(core[1]), "raster": raster, "calls": np.array(calls, int)}
                | {f"want_{name}": array for name, array in states.items()}
            )


def pack(records):
    """Arrays of all networks end to end; a network without an array has a shape of -1."""
    packed = {}
    for name in sorted({name for found in records for name in found}):
        arrays = [np.asarray(found[name]) if name in found else None for found in records]
        axes = max(a.ndim for a in arrays if a is not None)
        shapes = np.full((len(records), axes), -1, np.int16)
        for shape, array in zip(shapes, arrays, strict=True):
            if array is not None:
                shape[:] = array.shape
        values = np.concatenate([a.reshape(-1) for a in arrays if a is not None])
        packed[f"{name}.shapes"] = shapes
        packed[name] = values.astype(np.int16)
        if not np.array_equal(packed[name], values):
            raise ValueError(f"{name} does not fit 16 bits")
    return packed


def unpack(path=DATA):
    """The dicts that ``record`` gave, with the aliases as lists."""
    with np.load(path, allow_pickle=False) as file:
        packed = dict(file)
    number = len(packed["core.shapes"])
    records = [{} for _ in range(number)]
    for name in packed:
        if name.endswith(".shapes"):
            continue
        at = 0
        for found, shape in zip(records, packed[f"{name}.shapes"].tolist(), strict=True):
            if -1 not in shape:
                size = int(np.prod(shape))
                found[name] = packed[name][at : at + size].reshape(shape)
                at += size
    for found in records:
        pairs = found["aliases"].tolist()
        hidden = len(found["threshold"])
        found["aliases"] = [[b for a, b in pairs if a == n] for n in range(hidden)]
        found["core"] = f"v{int(found['core'])}"
        for name in ("weight_shift_in", "weight_shift_rec", "weight_shift_out"):
            found[name] = int(found[name])
        found["calls"] = [(a, b, bool(reset)) for a, b, reset in found["calls"].tolist()]
    return records


if __name__ == "__main__":
    np.savez_compressed(DATA, **pack(list(record())))
