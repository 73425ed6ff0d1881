"""What the frameworks' importers make of NIR, and what their exporters write, against ours.

Runs in each framework's environment:
``.venv-oracles/sinabs/bin/python -m tests.oracles.frameworks.nir_importers sinabs``. With
``--record`` it writes the framework's part of ``data/frameworks/nir_importers.npz``, which
``make test`` replays; in any case it compares our Graph's output with that of the framework.
"""

import argparse
import importlib.metadata
import sys
import tempfile
import types
import warnings
from pathlib import Path

import numpy as np

from tests.oracles import nir_cases
from toolchain.frontends.nir import from_object, to_graph
from toolchain.frontends.nir.read import read
from toolchain.frontends.nir.write import as_bytes
from toolchain.runs.interpret import interpret

SIZE = nir_cases.NEURONS
RECORDED = Path(__file__).parents[1] / "data" / "frameworks" / "nir_importers.npz"


def graph(layer):
    import nir

    made = {
        "input": lambda f: nir.Input(input_type={"input": f["shape"]}),
        "output": lambda f: nir.Output(output_type={"output": f["shape"]}),
    }
    nodes = {
        name: made[name](fields) if name in made else getattr(nir, kind)(**fields)
        for name, (kind, fields) in nir_cases.nodes(layer).items()
    }
    return nir.NIRGraph(nodes, nir_cases.EDGES)


def sinabs(nir_graph, x, told):
    import torch
    from sinabs.nir import from_nir

    out, _ = from_nir(nir_graph, batch_size=1)(torch.tensor(x))
    return out.detach().numpy()


def stepwise(net, x):
    """One step after the other, the state handed on."""
    import torch

    state, out = None, []
    for row in torch.tensor(x):
        value, state = net(row[None], state)
        out.append(value.detach().numpy()[0])
    return np.stack(out)


def norse(nir_graph, x, told):
    from norse.torch import from_nir

    return stepwise(from_nir(nir_graph, dt=told["dt"]), x)


def snntorch(nir_graph, x, told):
    from snntorch.import_nir import import_from_nir

    return stepwise(import_from_nir(nir_graph), x)


def spikingjelly(nir_graph, x, told):
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return stepwise(import_from_nir(nir_graph, dt=told["dt"]), x)


def rockpool(nir_graph, x, told):
    # the public package of that name runs pip when it is imported
    sys.modules["samna"] = types.ModuleType("samna")
    from rockpool.nn.modules.torch.nir import from_nir

    return from_nir(nir_graph)


IMPORTERS = {f.__name__: f for f in (norse, rockpool, sinabs, snntorch, spikingjelly)}


# ---- networks, run by the framework and exported by it ----


def weight():
    return np.random.default_rng(3).normal(0.3, 0.6, (SIZE, SIZE)).astype(np.float32)


def linear(torch):
    made = torch.nn.Linear(SIZE, SIZE, bias=False)
    made.weight.data = torch.tensor(weight())
    return made


def sinabs_network(name):
    import sinabs.layers as sl
    import torch
    from sinabs.nir import to_nir

    floor = {"LIF": None, "IAF": -1.0}[name]
    kind = {"LIF": sl.LIFSqueeze, "IAF": sl.IAFSqueeze}[name]
    how = {"tau_mem": 12.0, "norm_input": False} if name == "LIF" else {"min_v_mem": floor}
    net = torch.nn.Sequential(linear(torch), kind(batch_size=1, **how))
    exported = to_nir(net, torch.zeros(1, SIZE))
    net[1].reset_states()
    return exported, net(x_of(torch)).detach().numpy()


def norse_network(name):
    import norse.torch as nt
    import torch
    from norse.torch import to_nir

    fields = {"tau_mem_inv": 60.0, "v_th": 0.1, "v_leak": 0.0, "v_reset": 0.0}
    how = nt.LIFBoxParameters(**{key: torch.full((SIZE,), v) for key, v in fields.items()})
    cell = nt.LIFBoxCell(how, dt=nir_cases.DT)
    net = nt.SequentialState(linear(torch), cell)
    return to_nir(net, torch.zeros(1, SIZE)), stepwise(net, x_of(torch).numpy())


def snntorch_network(name):
    import snntorch
    import torch
    from snntorch.export_nir import export_to_nir

    kind, _, option = name.partition(", ")
    how = {
        "beta": torch.full((SIZE,), 0.9),
        "threshold": torch.full((SIZE,), 1.5),
        "init_hidden": True,
        "reset_mechanism": "zero" if option == "zero" else "subtract",
        "reset_delay": option != "no delay",
    }
    if kind == "Synaptic":
        how["alpha"] = torch.full((SIZE,), 0.7)
    net = torch.nn.Sequential(linear(torch), getattr(snntorch, kind)(**how))
    native = np.concatenate([net(row[None]).detach().numpy() for row in x_of(torch)])
    return export_to_nir(net, torch.zeros(1, SIZE), ignore_dims=[0]), native


def spikingjelly_network(name):
    import torch
    from spikingjelly.activation_based import layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    fc = layer.Linear(SIZE, SIZE, bias=False)
    fc.weight.data = torch.tensor(weight())
    how = {"tau": 8.0} if name == "LIFNode" else {}
    net = torch.nn.Sequential(fc, getattr(neuron, name)(v_threshold=0.7, **how))
    native = np.concatenate([net(row[None]).detach().numpy() for row in x_of(torch)])
    return export_to_nir(net, torch.zeros(1, SIZE), dt=nir_cases.DT), native


def rockpool_network(name):
    sys.modules["samna"] = types.ModuleType("samna")
    import torch
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules import LIFTorch, LinearTorch
    from rockpool.nn.modules.torch.nir import to_nir

    fc = LinearTorch((SIZE, SIZE))
    fc.weight.data = torch.tensor(weight().T.copy())
    taus = {"tau_mem": torch.linspace(0.01, 0.03, SIZE), "tau_syn": torch.full((SIZE, 1), 0.015)}
    net = Sequential(fc, LIFTorch((SIZE, SIZE), **taus, threshold=1.0, dt=nir_cases.DT))
    native, *_ = net(x_of(torch)[None])
    return to_nir(net, torch.zeros(1, 5, SIZE)), native[0].detach().numpy()


NETWORKS = {
    "norse": norse_network,
    "rockpool": rockpool_network,
    "sinabs": sinabs_network,
    "snntorch": snntorch_network,
    "spikingjelly": spikingjelly_network,
}


def x_of(torch):
    return torch.tensor(nir_cases.drive(SIZE))


def export(framework, name):
    """The exported graph as a file's bytes, and what the network gave."""
    exported, native = NETWORKS[framework](name)
    return np.frombuffer(as_bytes(from_object(exported)), np.uint8), native.astype(np.float32)


def compare_exported(framework, name, data, native):
    told, dialect = nir_cases.EXPORTED[framework][name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nir"
        path.write_bytes(data.tobytes())
        mine = to_graph(read(path), dialect=dialect, **told)
    out = interpret(mine, nir_cases.drive(SIZE)[None]).spikes[0]
    return f"exported, {int(native.sum())} spikes", bool((out == native).all())


def run(framework, name):
    """What the importer's network gives, or the text of its error."""
    layer, told = nir_cases.CASES[framework][name]
    try:
        made = IMPORTERS[framework](graph(layer), nir_cases.drive(len(layer[1]["r"])), told)
    except AttributeError as fault:
        if framework != "rockpool":
            raise
        return np.array(f"{type(fault).__name__}: {fault}")
    return np.asarray(made, dtype=np.float32)


def compare(framework, name, theirs):
    """Whether ours says the same."""
    layer, told = nir_cases.CASES[framework][name]
    try:
        mine = to_graph(nir_cases.as_file(layer), dialect=framework, **told)
    except ValueError as fault:
        return f"refused: {fault}", theirs.dtype.kind == "U"
    out = interpret(mine, nir_cases.drive(len(layer[1]["r"]))[None]).spikes[0]
    if layer[0] == "LI":
        return "membranes", bool(np.allclose(out, theirs, atol=1e-4))
    return f"{int(theirs.sum())} spikes", bool((out == theirs).all())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("framework", choices=sorted(IMPORTERS))
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    framework = arguments.framework
    found = {f"{framework}/{name}": run(framework, name) for name in nir_cases.CASES[framework]}
    found[f"{framework}/version"] = np.array(importlib.metadata.version(framework))
    found[f"{framework}/nir"] = np.array(importlib.metadata.version("nir"))
    said = [
        (n, *compare(framework, n, found[f"{framework}/{n}"])) for n in nir_cases.CASES[framework]
    ]
    for name in nir_cases.EXPORTED[framework]:
        data, native = export(framework, name)
        found |= {f"{framework}/{name}/file": data, f"{framework}/{name}/native": native}
        said.append((name, *compare_exported(framework, name, data, native)))
    faults = sum(not same for _, _, same in said)
    for name, text, same in said:
        sys.stdout.write(f"{'same' if same else 'DIFFERENT'} {framework} {name}: {text}\n")
    before = dict(np.load(RECORDED)) if RECORDED.exists() else {}
    if arguments.record:
        np.savez_compressed(RECORDED, **{**before, **found})
    else:
        kept = [key for key in found if not key.endswith("/file")]  # edges come in any order
        faults += sum(not np.array_equal(before[key], found[key]) for key in kept)
    return faults


if __name__ == "__main__":
    sys.exit(main())
