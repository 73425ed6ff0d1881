"""Records the RAM files that xylosim's writer makes, for tests that run without it.

Run in an environment with numpy, pyyaml and xylosim (``requirements-xylosim.txt``), from this
folder::

    python xylo_ram_files.py

The writer takes two decays a neuron, so that networks with one synapse are given to it with second
synapses that have no weights. The file is compressed JSON: what each network is, its input, and the
text of every file.
"""

import contextlib
import gzip
import io
import json
import tempfile
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data" / "xylo_ram_files.json.gz"
CORES = ("v1", "v2")
SEEDS = range(8)
STEPS = 10
MOST_HIDDEN = 12


def written(core, net, raster, dt):
    """Name to text of the files that the writer makes of a run from zero states."""
    # found beside this script when it is run, in the tests' package when they are
    try:
        import xylosim_oracle
    except ImportError:
        from tests.oracles import xylosim_oracle
    from xylosim import tools

    writer = {"v1": tools.save_to_RAM_files_V1, "v2": tools.save_to_RAM_files_V2}[core]
    raster = np.asarray(raster)
    layer, lists = xylosim_oracle.build(core, with_two_synapses(net))
    layer.evolve(raster.tolist())
    with tempfile.TemporaryDirectory() as parent, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(parent) / "files"
        writer(str(folder), layer, raster, dt)
        found = {
            path.relative_to(folder).as_posix(): path.read_bytes().decode("ascii")
            for path in folder.rglob("*")
            if path.is_file()
        }
    del lists
    return found


def with_two_synapses(net):
    """``net`` with second synapses, without weights where it has none."""
    if net["weights_in"].shape[2] == 2:
        return net
    padded = {
        name: np.concatenate([net[name], np.zeros_like(net[name])], axis=2)
        for name in ("weights_in", "weights_rec")
    }
    return net | padded


def representable(net):
    """``net`` as far as the format can hold it: small biases, one alias, a weight to an output."""
    net = dict(net)
    for name in ("bias", "bias_out"):
        net[name] = np.clip(net[name], -128, 127)
    net["aliases"] = [targets[:1] for targets in net["aliases"]]
    if not net["weights_out"].any():
        net["weights_out"] = net["weights_out"].copy()
        net["weights_out"][0, 0] = -3
    return net


def asleep():
    """A quiet network whose core sleeps before, between and after two inputs; last output unused.

    Neuron 0 passes its spikes on to 2, which drives 0; all weights are onto first synapses.
    """
    weights_in = np.zeros((16, 3, 1), int)
    weights_in[15, 1], weights_in[2] = -128, 40
    weights_rec = np.zeros((3, 3, 1), int)
    weights_rec[2, 0], weights_rec[2, 2] = 7, -1
    weights_out = np.zeros((3, 4), int)
    weights_out[0, 1], weights_out[2, 2] = -1, 127
    net = {
        "weights_in": weights_in,
        "weights_rec": weights_rec,
        "weights_out": weights_out,
        "dash_mem": np.array([1, 0, 2]),
        "dash_syn": np.array([1, 2, 0]),
        "dash_syn_2": np.array([15, 3, 4]),
        "dash_mem_out": np.array([1, 1, 2, 0]),
        "dash_syn_out": np.array([0, 1, 1, 2]),
        "threshold": np.array([30, 32767, 25]),
        "threshold_out": np.array([1, 5, 300, 50]),
        "bias": np.zeros(3, int),
        "bias_out": np.zeros(4, int),
        "aliases": [[2], [], []],
        "weight_shift_in": 0,
        "weight_shift_rec": 2,
        "weight_shift_out": 1,
    }
    raster = np.zeros((40, 16), int)
    raster[4, 2], raster[4, 15], raster[24, 2] = 2, 15, 1
    return net, raster


def cases(core):
    """Networks and rasters that the writer is asked about."""
    import xylo_networks

    yield asleep()
    for seed in SEEDS:
        rng = np.random.default_rng([seed, CORES.index(core), 7])
        net = representable(xylo_networks.random_network(rng, core, MOST_HIDDEN))
        yield net, xylo_networks.random_raster(rng, net, STEPS)


def record():
    """One JSON-able record a network."""
    for core in CORES:
        for number, (net, raster) in enumerate(cases(core)):
            dt = (None, 1e-3, 0.009994)[number % 3]
            arrays = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in net.items()}
            yield {
                "core": core,
                "dt": dt,
                "net": arrays,
                "raster": raster.tolist(),
                "files": written(core, net, raster, dt),
            }


def unpack(path=DATA):
    """The records, with arrays as arrays."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        records = json.load(file)
    for found in records:
        net = found["net"]
        found["net"] = {
            k: np.array(v) if isinstance(v, list) and k != "aliases" else v for k, v in net.items()
        }
        found["raster"] = np.array(found["raster"])
    return records


if __name__ == "__main__":
    text = json.dumps(list(record()), separators=(",", ":"), sort_keys=True)
    # no name and no time in the header, so that the same records are the same file
    DATA.write_bytes(gzip.compress(text.encode("ascii"), mtime=0))
