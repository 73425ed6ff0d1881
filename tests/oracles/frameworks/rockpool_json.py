"""Files of rockpool's ``module.save()``: each has to give the Graph of the network that saved it.

Needs requirements-rockpool.txt, and runs as
``python -m tests.oracles.frameworks.rockpool_json [--record]``. With ``--record`` it writes the
files and what the networks gave, which ``make test`` reads; in any case it compares the Graph of
each file with that of its network, and with the recorded files and outputs.
"""

import argparse
import json
import sys
import tempfile
import zlib
from pathlib import Path

# stands in for the vendor's package first
from tests.oracles.frameworks.rockpool import CONSTANTS, TAUS, dense, uniform  # isort: skip

import torch
from rockpool.nn.combinators import Residual, Sequential
from rockpool.nn.modules import (
    ExpSynTorch,
    LIFBitshiftTorch,
    LIFNeuronTorch,
    LIFTorch,
    LinearTorch,
    TimeStepDropout,
    TorchModule,
    aLIFTorch,
)
from rockpool.nn.networks.synnet import SynNet
from rockpool.parameters import Constant, SimulationParameter

from tests.oracles.frameworks import archive, harness
from toolchain import extract, load
from toolchain.diagnostics import ModelFileError

NAME = "rockpool_json"
FILES = archive.DATA / NAME
N, OUT = harness.NEURONS, 5


def given(options):
    """Options with their random numbers drawn."""
    return {name: value() if callable(value) else value for name, value in options.items()}


def readout():
    """What makes the outputs fewer than the inputs."""
    return LinearTorch((N, OUT), weight=torch.randn(N, OUT) * 0.8), LIFTorch(OUT, tau_mem=5e-3)


def hidden(kind=LIFTorch, synapses=1, gain=0.6, **options):
    """A hidden layer of one kind of neuron and a readout."""

    def build():
        layer = kind((N * synapses, N) if kind is not LIFNeuronTorch else N, **given(options))
        return Sequential(dense(N * synapses, gain), layer, *readout())

    return build


def synnet(weight=0.05, **options):
    def build():
        made = {"size_hidden_layers": [12, 10], "time_constants_per_layer": [3, 2], **options}
        net = SynNet(n_channels=N, n_classes=OUT, **made)
        for name in net.seq.modules():
            if name.endswith("linear"):
                net.seq[name].weight.data += weight
        return net

    return build


def deep():
    """Twelve layers: in the order of their numbers, and not of the alphabet."""
    layers = [layer for _ in range(5) for layer in (dense(gain=1.0), LIFTorch(N, **given(TAUS)))]
    return Sequential(*layers, *readout())


def used_before():
    model = hidden(**TAUS)()
    model(torch.rand(3, 50, N))
    return model


class Own(TorchModule):
    """A network whose forward is the user's own."""

    def __init__(self, **options):
        super().__init__(shape=(N, OUT), spiking_input=True, spiking_output=True)
        self.first, (self.second, self.last) = dense(), readout()

    def forward(self, data):
        return self.last(self.second(self.first(data)[0])[0])


class Beside(Own):
    """With a parameter of its own beside its layers."""

    def __init__(self):
        super().__init__()
        self.scale = SimulationParameter(2.0)


PASSING = {
    "taus": hidden(**TAUS, **CONSTANTS),
    "decays": hidden(leak_mode="decays", alpha=lambda: uniform(0.5, 0.95), beta=Constant(0.7)),
    "bitshifts": hidden(
        leak_mode="bitshifts",
        dash_mem=lambda: uniform(1, 6),
        dash_syn=lambda: uniform(1, 6, N, 1),
    ),
    "two_synapses": hidden(synapses=2, tau_syn=lambda: uniform(2e-3, 3e-2, N, 2)),
    "shared_synapses": hidden(synapses=2, tau_syn=lambda: uniform(2e-3, 3e-2, 1, 2)),
    "recurrent": hidden(has_rec=True, w_rec=lambda: torch.randn(N, N) * 0.02, **TAUS),
    "most_spikes": hidden(max_spikes_per_dt=2, gain=1.5, tau_mem=Constant(0.01)),
    "after_potential": hidden(
        aLIFTorch, w_ahp=lambda: uniform(-1, 0), tau_ahp=lambda: uniform(2e-3, 3e-2), **TAUS
    ),
    "LIFNeuronTorch": hidden(LIFNeuronTorch, tau_mem=lambda: uniform(2e-3, 3e-2)),
    "bias": lambda: Sequential(dense(has_bias=True), LIFTorch(N), *readout()),
    "dropout": lambda: Sequential(dense(), LIFTorch(N), TimeStepDropout((N,), 0.3), *readout()),
    "ExpSynTorch": lambda: Sequential(*readout(), ExpSynTorch(OUT, tau=Constant(4e-3))),
    "nested": lambda: Sequential(Sequential(dense(), LIFTorch(N)), Sequential(*readout())),
    "deep": deep,
    "used_before": used_before,
    "SynNet": synnet(),
    "SynNet_options": synnet(p_dropout=0.2, dt=2e-3, tau_syn_base=5e-3, threshold_out=0.5),
    "SynNet_membrane": synnet(output="vmem"),
}

MEMBRANES = ("ExpSynTorch", "SynNet_membrane")
"""Networks whose output are states, not spikes."""

FACTORY = (
    "; pass factory='module:function', which builds a network whose load() reads the file, and "
    "sample="
)
NOT_SAVED = "their connections are not stored in the file, and only follow from the layer names "
REFUSED = {
    "residual": (
        lambda: Sequential(dense(), Residual(dense(), LIFTorch(N)), *readout()),
        "1_TorchResidual: is a TorchResidual; how it connects its layers is not stored in the file"
        + FACTORY,
    ),
    "residual_around_all": (
        lambda: Residual(dense(), LIFTorch(N)),
        "a Sequential and a Residual of the same layers are saved alike, and 16 inputs with as "
        "many outputs fit both" + FACTORY,
    ),
    "own_forward": (
        Own,
        f"the network: its layers are first, last, second; {NOT_SAVED}"
        "of Sequential (0_LinearTorch, 1_LIFTorch, ...) and SynNet" + FACTORY,
    ),
    "own_parameter": (
        Beside,
        "the outermost object has values of its own (scale) besides its layers; their use is "
        "not stored in the file" + FACTORY,
    ),
    "noise": (
        hidden(noise_std=0.1),
        "1_LIFTorch: noise_std is 0.1; a chip draws no noise, so set it to 0 first",
    ),
    "two_faults": (
        lambda: Sequential(
            dense(), LIFBitshiftTorch(N), dense(), LIFTorch(N, noise_std=0.1), *readout()
        ),
        "2 problems:\n"
        "  1_LIFBitshiftTorch: its decays are not stored in the file; save it as a "
        "LIFTorch with leak_mode='bitshifts', or pass factory= and sample=\n"
        "  3_LIFTorch: noise_std is 0.1; a chip draws no noise, so set it to 0 first",
    ),
    "alone": (
        lambda: LIFTorch(N),
        "contains one layer without its class; save a Sequential(...) of the layers",
    ),
}


def run(name, build, path):
    """Faults of a case that has to pass, and what is recorded of it."""
    case = harness.Case(name=name, build=build, reset=lambda model: model.reset_state())
    torch.manual_seed(zlib.crc32(name.encode()))
    model = build()
    model.save(str(path))
    spikes = harness.INPUTS[case.input]
    live, read = extract(model, torch.from_numpy(spikes)), load(path)
    if str(live) != str(read):
        yield f"the file gives\n{read}\nthe network\n{live}"
    out = harness._native(case)
    yield from harness.output_faults(read, spikes, out, spikes=name not in MEMBRANES)
    yield {"output": archive.pack(out), "file": json.loads(path.read_text())}


def run_refused(name, build, path, told):
    torch.manual_seed(zlib.crc32(name.encode()))
    build().save(str(path))
    try:
        load(path)
    except ModelFileError as fault:
        if str(fault) != f"{path}: {told}":
            yield f"is refused with: {fault}"
    else:
        yield "is not refused"
    yield {"refused": told, "file": json.loads(path.read_text())}


def main():
    """Run every case, and record or compare it."""
    parser = argparse.ArgumentParser(description="files of rockpool's module.save()")
    parser.add_argument("--record", action="store_true", help="write what the replay stands on")
    parser.add_argument("--check", action="store_true", help="compare with the record (default)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    made, faults = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name in [*PASSING, *REFUSED]:
            path = Path(folder) / name
            found = run_refused(name, *_refused(name, path)) if name in REFUSED else None
            *wrong, entry = found or run(name, PASSING[name], path)
            faults += [f"{name}: {fault}" for fault in wrong]
            made[name] = entry
    faults += _kept({"input": archive.pack(harness.INPUTS["spikes"]), "cases": made}, options)
    for fault in faults:
        sys.stdout.write(f"DIFFERS {fault}\n")
    counts = f"{len(PASSING)} files read, {len(REFUSED)} refused"
    sys.stdout.write(f"{NAME}: {counts}, {len(faults)} faults\n")
    sys.exit(1 if faults else 0)


def _refused(name, path):
    build, told = REFUSED[name]
    return build, path, told


def _kept(data, options):
    """The files and the outputs: written, or compared with those that were."""
    files = {name: entry.pop("file") for name, entry in data["cases"].items()}
    if options.record:
        FILES.mkdir(parents=True, exist_ok=True)
        for name, file in files.items():
            (FILES / f"{name}.json").write_text(json.dumps(file))
        archive.write(NAME, data)
        return []
    kept = {name: json.loads((FILES / f"{name}.json").read_text()) for name in files}
    return [
        *archive.differences(kept, files, "file"),
        *archive.differences(archive.read(NAME), data),
    ]


if __name__ == "__main__":
    main()
