"""Small networks with what sinabs' layers did, for tests that run without sinabs.

``python tests/oracles/speck_vectors.py`` writes both files anew; it needs requirements-sinabs.txt.
Of many more networks only digests are kept: those in ``speck_digests.json``.
An archive of plain arrays: ``<case>.program`` (JSON as bytes), ``<case>.raster``, and for each core
``<case>.<core>.<weight | bias | initial | spikes | v_mem>``.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from toolchain.chips.speck import simulate
from toolchain.chips.speck.store import from_arrays, to_arrays

FILE = Path(__file__).parent / "data" / "speck_clocked.npz"
SEEDS = range(1000, 1030)
DIGESTS = Path(__file__).parent / "data" / "speck_digests.json"
MANY = range(2000, 2220)


def digest(*arrays):
    """Short hash of whole numbers, whatever their type."""
    return hashlib.sha256(b"".join(a.astype("<i8").tobytes() for a in arrays)).hexdigest()[:16]


def write_digests():
    """By seed and layer, for every case of ``MANY`` that stays within 16 bits."""
    import sinabs_oracle
    import speck_networks

    found = {}
    for seed in MANY:
        program, raster = speck_networks.many_case(seed)
        if not any(simulate(program, raster).saturations.values()):
            spikes, v_mem = sinabs_oracle.run(program, raster)
            found[seed] = {name: digest(spikes[name], v_mem[name]) for name in spikes}
    DIGESTS.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")


def write():
    """Record every case that stays within 16 bits, where sinabs is the reference."""
    # found beside this script when it is run, not where its records are read
    import sinabs_oracle
    import speck_networks

    entries = {}
    for seed in SEEDS:
        program, raster = speck_networks.random_case(
            seed, branches=seed % 5 == 0, batch=1, steps=20
        )
        if any(simulate(program, raster).saturations.values()):
            continue
        arrays, metadata = to_arrays(program)
        spikes, v_mem = sinabs_oracle.run(program, raster)
        case = dict(arrays)
        case["program"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
        case["raster"] = raster.astype(np.uint8)
        case |= {f"{name}.spikes": value.astype(np.int32) for name, value in spikes.items()}
        case |= {f"{name}.v_mem": value.astype(np.int16) for name, value in v_mem.items()}
        entries |= {f"{seed}.{name}": value for name, value in case.items()}
    np.savez_compressed(FILE, **entries)


def read():
    """(case, program, raster, recorded arrays by name) of every case."""
    with np.load(FILE, allow_pickle=False) as archive:
        entries = {name: archive[name] for name in archive.files}
    for case in sorted({name.split(".")[0] for name in entries}):
        own = {
            k.removeprefix(f"{case}."): v for k, v in entries.items() if k.startswith(f"{case}.")
        }
        metadata = json.loads(own.pop("program").tobytes())
        parts = ("weight", "bias", "initial")
        arrays = {name: value for name, value in own.items() if name.split(".")[-1] in parts}
        yield case, from_arrays(arrays, metadata), own.pop("raster"), own


if __name__ == "__main__":
    write()
    write_digests()
