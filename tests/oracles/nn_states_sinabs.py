"""State dictionaries exchanged with sinabs, both ways; needs requirements-sinabs.txt.

``python -m tests.oracles.nn_states_sinabs`` compares; with ``--record`` it writes what sinabs' own
layers have saved, for a test that runs without sinabs.
"""

import argparse
import sys

import numpy as np
import sinabs.layers as sl
import torch
from sinabs.from_torch import from_model

import toolchain.nn as tn
from tests.oracles.nn_saved import FILE, LAYERS, analog, image, layer, rows


def networks(namespace, convert):
    """Layers and networks from the classes of ``namespace``, each with its input, by name."""
    found = {name: (lambda name=name: layer(name, namespace), rows(name)) for name in LAYERS}
    found["from_model"] = (lambda: convert(analog(), batch_size=2).spiking_model, image())
    return found


def main():
    """Exchange every state dictionary; print and count the differences."""
    parser = argparse.ArgumentParser()
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--record", action="store_true", help="write what sinabs saved")
    mode.add_argument("--check", action="store_true", help="compare with the record (default)")
    record = parser.parse_args().record
    theirs, ours = networks(sl, from_model), networks(tn, tn.from_model)
    saved, faults = {}, []
    for name, (build, data) in theirs.items():
        torch.manual_seed(1)
        source = build()
        new = {key: value.clone() for key, value in source.state_dict().items()}
        source(data)
        used = {key: value.detach().clone() for key, value in source.state_dict().items()}
        saved[name] = {"new": new, "used": used, "next": source(data)}
        faults += [f"{name}: {fault}" for fault in exchanged(build, ours[name][0], data)]
    if not record:
        faults += differing(flat(saved))
    for fault in faults:
        sys.stdout.write(f"DIFFERS {fault}\n")
    sys.stdout.write(f"sinabs: {len(saved)} state dictionaries, {len(faults)} faults\n")
    if record and not faults:
        np.savez_compressed(FILE, **flat(saved))
    sys.exit(1 if faults else 0)


def exchanged(theirs, ours, data):
    """Yield what differs when each side takes the weights of the other, after a run of both."""
    for source_of, receiver_of, direction in ((theirs, ours, "read"), (ours, theirs, "written")):
        torch.manual_seed(2)
        source, receiver = source_of(), receiver_of()
        if source_of is ours:
            source(data)  # its states are written as those of a new layer
        if set(source.state_dict()) != set(receiver.state_dict()):
            yield f"{direction}: {sorted(set(source.state_dict()) ^ set(receiver.state_dict()))}"
            continue
        try:
            receiver.load_state_dict(source.state_dict(), strict=True)
        except RuntimeError as fault:
            yield f"{direction}: {fault}"
            continue
        for module in source.modules():
            if hasattr(module, "reset_states"):
                module.reset_states()
        if not torch.equal(source(data), receiver(data)):
            yield f"{direction}: other outputs"


def differing(arrays):
    """Yield the arrays that are not those of the record."""
    with np.load(FILE) as before:
        yield from (f"recorded: {name}" for name in set(before.files) ^ set(arrays))
        for name in set(before.files) & set(arrays):
            if not np.allclose(before[name], arrays[name], rtol=1e-4, atol=1e-5):
                yield f"recorded: {name}"


def flat(saved):
    """Return the arrays of all cases as ``case/new/key``, ``case/used/key``, ``case/next``."""
    arrays = {}
    for case, each in saved.items():
        arrays[f"{case}/next"] = each["next"].detach().numpy()
        for kind in ("new", "used"):
            values = each[kind].items()
            arrays |= {f"{case}/{kind}/{key}": value.numpy() for key, value in values}
    return arrays


if __name__ == "__main__":
    main()
