"""Records the output states of xylosim for small networks whose outputs never fire.

Run in an environment with numpy and xylosim (``requirements-xylosim.txt``), from this folder::

    python xylo_readout_vectors.py
"""

from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data" / "xylo_readout.npz"
CORES = ("v1", "v2")
NETWORKS = 6
"""A core."""


def cases(core, networks=NETWORKS):
    """``(network, raster)`` of each recording; some membranes have no memory."""
    # found beside this script when it is run, not where its constants are read
    import xylo_networks

    for seed in range(networks):
        rng = np.random.default_rng([seed, CORES.index(core), 11])
        net = xylo_networks.random_network(rng, core, most_hidden=12)
        net["threshold_out"][:] = 32767
        net["weight_shift_out"] = int(rng.integers(0, 4))
        net["dash_mem_out"][:: 1 + seed % 3] = 0
        yield net, xylo_networks.random_raster(rng, net, 24)


def record():
    """One dict of arrays a network: what it is, what it is given, what its outputs were."""
    import xylosim_oracle

    for core in CORES:
        for net, raster in cases(core):
            states = xylosim_oracle.run(core, net, raster)
            pairs = [(pre, post) for pre, targets in enumerate(net["aliases"]) for post in targets]
            net["aliases"] = np.array(pairs, int).reshape(-1, 2)
            yield (
                net
                | {"core": int(core[1]), "raster": raster, "calls": np.array([[0, 24, 1]])}
                | {f"want_{name}": states[name] for name in ("v_mem_out", "i_syn_out", "spikes")}
            )


if __name__ == "__main__":
    import xylo_vectors

    np.savez_compressed(DATA, **xylo_vectors.pack(list(record())))
