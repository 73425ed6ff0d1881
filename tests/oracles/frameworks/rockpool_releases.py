"""Files of ``module.save()`` of one release of rockpool, compared with its live networks.

Runs in an environment with that release, ``make rockpool-releases`` builds one for each, as
``python -m tests.oracles.frameworks.rockpool_releases [--record]``. Each network of the release is
run on the same spikes in double precision, saved, and its file loaded; every entry of the output
has to be equal. With ``--record`` the files and outputs are written, which ``make test`` reads.
"""

import argparse
import inspect
import json
import sys
import tempfile
import types
import warnings
import zlib
from pathlib import Path

# rockpool imports the vendor's package, whose public version installs another when imported
sys.modules["samna"] = types.ModuleType("samna")

import torch  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import rockpool
    from rockpool.nn import modules
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules import ExpSynTorch, LIFNeuronTorch, LIFTorch, LinearTorch, aLIFTorch

from tests.oracles.frameworks import archive, harness  # noqa: E402
from toolchain import load  # noqa: E402
from toolchain.diagnostics import ModelFileError  # noqa: E402

RELEASE = rockpool.__version__
NAME = f"rockpool_{RELEASE}"
INPUTS, HIDDEN, OUT = harness.NEURONS, 5, 3
HAS_MODES = "leak_mode" in inspect.signature(LIFTorch.__init__).parameters


def grid(*shape, scale=64):
    """Random numbers with few digits, so that the recorded files stay small."""
    return torch.round(torch.randn(*shape) * 0.6 * scale) / scale


def constants(low, high, *shape):
    """Random constants in 1/1024."""
    return torch.randint(int(low * 1024), int(high * 1024) + 1, shape) / 1024


def mode(name, **fields):
    """Options of LIFTorch for another leak than time constants, in the release's own words."""
    if HAS_MODES:
        return {"leak_mode": name, **fields}
    switch = {"decays": "decay_training", "bitshifts": "BitShift_training"}[name]
    return {switch: True, **fields}


def dense(rows, columns, **options):
    return LinearTorch((rows, columns), weight=grid(rows, columns), **options)


def network(kind=LIFTorch, synapses=1, **options):
    """Hidden neurons and spiking outputs."""

    def build():
        given = {name: value() if callable(value) else value for name, value in options.items()}
        shape = (HIDDEN * synapses, HIDDEN) if kind is not LIFNeuronTorch else HIDDEN
        return Sequential(
            dense(INPUTS, HIDDEN * synapses),
            kind(shape, **given),
            dense(HIDDEN, OUT),
            LIFTorch(OUT, tau_mem=1 / 128, tau_syn=1 / 64, threshold=0.5, max_spikes_per_dt=1),
        )

    return build


def synnet(output="spikes", gain=1.0, **options):
    def build():
        from rockpool.nn.networks import SynNet

        net = SynNet(
            n_channels=INPUTS,
            n_classes=OUT,
            size_hidden_layers=[6, HIDDEN],
            time_constants_per_layer=[2, 2],
            output=output,
            **options,
        )
        for module in net.seq.modules().values():
            if isinstance(module, LinearTorch):
                module.weight.data = grid(*module.weight.shape) * gain
        return net

    return build


SCALARS = {"tau_mem": 1 / 64, "tau_syn": 1 / 128, "threshold": 1.0, "bias": 0.0}
CASES = {
    "scalars": network(**SCALARS, max_spikes_per_dt=31),
    "vectors": network(
        tau_mem=lambda: constants(0.004, 0.03, HIDDEN),
        tau_syn=lambda: constants(0.004, 0.03, HIDDEN, 1),
        threshold=lambda: constants(0.5, 2, HIDDEN),
        bias=lambda: constants(0, 0.05, HIDDEN),
    ),
    "decays": network(
        **mode("decays", alpha=lambda: constants(0.5, 0.95, HIDDEN), beta=lambda: torch.tensor(0.5))
    ),
    "bitshifts": network(
        **mode(
            "bitshifts",
            dash_mem=lambda: torch.randint(1, 6, (HIDDEN,)).float(),
            dash_syn=lambda: torch.randint(1, 6, (HIDDEN, 1)).float(),
        )
    ),
    "two_synapses": network(synapses=2, tau_syn=lambda: constants(0.004, 0.03, HIDDEN, 2)),
    "recurrent": network(has_rec=True, w_rec=lambda: grid(HIDDEN, HIDDEN) / 2, **SCALARS),
    "recurrent_two_synapses": network(
        synapses=2, has_rec=True, w_rec=lambda: grid(HIDDEN, 2 * HIDDEN) / 4
    ),
    "after_potential": network(
        aLIFTorch, w_ahp=lambda: -constants(0.1, 0.9, HIDDEN), tau_ahp=lambda: torch.tensor(0.0625)
    ),
    "LIFNeuronTorch": network(LIFNeuronTorch, tau_mem=lambda: torch.tensor(1 / 64)),
    "bias": lambda: Sequential(
        dense(INPUTS, HIDDEN, has_bias=True, bias=constants(0, 0.1, HIDDEN)), LIFTorch(HIDDEN)
    ),
    "ExpSynTorch": lambda: Sequential(
        dense(INPUTS, HIDDEN), LIFTorch(HIDDEN), dense(HIDDEN, OUT), ExpSynTorch(OUT, tau=1 / 128)
    ),
    "nested": lambda: Sequential(
        Sequential(dense(INPUTS, HIDDEN), LIFTorch(HIDDEN)), dense(HIDDEN, OUT)
    ),
}
if hasattr(modules, "TimeStepDropout"):
    CASES["dropout"] = lambda: Sequential(
        dense(INPUTS, HIDDEN),
        LIFTorch(HIDDEN),
        modules.TimeStepDropout((HIDDEN,), 0.25),
        modules.UnitDropout((HIDDEN,), 0.25),
    )
    CASES["SynNet"] = synnet(p_dropout=0.25)
    # a small gain: before 2.9 the outputs spike where their membrane reaches 100
    CASES["SynNet_membrane"] = synnet("vmem", 0.25, tau_syn_base=1 / 128)


class Recorded(torch.nn.Module):
    """A network that records its states, without which a SynNet before 2.9 gives no membrane."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, data):
        return self.net(data, record=True)


REFUSED = {"LIFNeuronTorch": "before 2.8"}
"""Networks whose file some releases leave incomplete, and a part of the refusal."""


def run(name, path):
    """Yield the faults of a network, then what is recorded of it."""
    case = harness.Case(
        name=name,
        build=lambda: Recorded(CASES[name]()),
        reset=lambda model: model.net.reset_state(),
    )
    torch.manual_seed(zlib.crc32(name.encode()))
    CASES[name]().save(str(path))
    spikes = harness.INPUTS[case.input]
    entry = {"file": json.loads(path.read_text())}
    try:
        read = load(path)
    except ModelFileError as fault:
        told = str(fault).removeprefix(f"{path}: ")
        if name not in REFUSED or REFUSED[name] not in told:
            yield f"refused: {told}"
        yield entry | {"refused": told}
        return
    out = harness._native(case)
    whole = name not in ("ExpSynTorch", "SynNet_membrane", "nested")
    if not out.any():
        yield "the network gives nothing"
    yield from harness.output_faults(read, spikes, out, spikes=whole)
    entry["provenance"] = {k: v for k, v in read.provenance.items() if k != "file"}
    yield entry | {"output": archive.pack(out)}


def main():
    """Run every case, and record or compare it."""
    parser = argparse.ArgumentParser(description="files of a release of rockpool")
    parser.add_argument("--record", action="store_true", help="write what the tests read")
    parser.add_argument("--check", action="store_true", help="compare with the record (default)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    made, faults = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name in CASES:
            *wrong, made[name] = run(name, Path(folder) / f"{name}.json")
            faults += [f"{name}: {fault}" for fault in wrong]
    data = {"release": RELEASE, "cases": made}
    if options.record and not faults:
        archive.write(NAME, data)
    elif not options.record:
        faults += archive.differences(archive.read(NAME), data)
    for fault in faults:
        sys.stdout.write(f"DIFFERS {fault}\n")
    entries = sum(
        archive.unpack(entry["output"]).size for entry in made.values() if "output" in entry
    )
    refused = sum("refused" in entry for entry in made.values())
    sys.stdout.write(
        f"rockpool {RELEASE}: {len(made) - refused} files read, {refused} refused, "
        f"{entries} entries compared, {len(faults)} faults\n"
    )
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
