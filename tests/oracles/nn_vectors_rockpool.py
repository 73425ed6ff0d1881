"""What rockpool's layers gave, for tests that run without rockpool.

``python tests/oracles/nn_vectors_rockpool.py`` writes the file anew; it needs
requirements-rockpool.txt.
"""

import sys
import types

# rockpool imports the chip vendor's package, whose public version installs another when imported;
# an empty module in its place is all that these layers need
sys.modules["samna"] = types.ModuleType("samna")

import nn_cases  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from rockpool.nn.modules import LIFTorch, LinearTorch, TimeStepDropout  # noqa: E402
from rockpool.nn.modules.torch.lif_torch import PeriodicExponential, StepPWL  # noqa: E402
from rockpool.nn.networks.synnet import SynNet  # noqa: E402

FILE = "nn_rockpool.npz"
NAMES = {
    "LIFTorch": LIFTorch,
    "LinearTorch": LinearTorch,
    "TimeStepDropout": TimeStepDropout,
    "PeriodicExponential": PeriodicExponential,
    "StepPWL": StepPWL,
    "SynNet": SynNet,
}
PERIODIC = {"spike_generation_fn": {"made": ["PeriodicExponential", "class"]}}
TAUS = {"tau_mem": {"array": "tau_mem"}, "tau_syn": {"array": "tau_syn"}}
CONSTANTS = {"threshold": {"array": "threshold"}, "bias": {"array": "bias"}}


def cases():
    """Neuron layers with every option, by name."""
    made = {}

    def add(name, **arguments):
        made[name] = {"layer": "LIFTorch", "arguments": {"shape": [4, 4], **arguments}}

    for name, surrogate in (("pwl", {}), ("periodic", PERIODIC)):
        add(f"default_{name}", **surrogate)
        add(f"constants_{name}", **TAUS, **CONSTANTS, **surrogate)
        add(f"max_spikes_{name}", **TAUS, max_spikes_per_dt=2, **surrogate)
        add(f"window_{name}", **CONSTANTS, learning_window=0.25, **surrogate)
        add(f"recurrent_{name}", **TAUS, has_rec=True, w_rec={"array": "w_rec"}, **surrogate)
    add("one_spike", tau_mem=5e-3, tau_syn=3e-3, max_spikes_per_dt=1, **PERIODIC)
    add("dt", **TAUS, dt=2.5e-3)
    for synapses in (2, 3):
        shape = {"shape": [4 * synapses, 4]}
        tau = {"tau_mem": {"array": "tau_mem"}, "tau_syn": {"array": f"tau_syn_{synapses}"}}
        add(f"synapses_{synapses}", **tau, **CONSTANTS, **shape)
        add(f"synapses_{synapses}_shared", tau_syn={"array": f"tau_row_{synapses}"}, **shape)
        rec = {"has_rec": True, "w_rec": {"array": f"w_rec_{synapses}"}}
        add(f"synapses_{synapses}_recurrent", **tau, **rec, **shape, **PERIODIC)
    for mode in ("decays", "bitshifts"):
        add(f"{mode}_default", leak_mode=mode)
        add(f"{mode}_default_2", leak_mode=mode, shape=[8, 4])
    add("decays", leak_mode="decays", alpha={"array": "alpha"}, beta={"array": "beta"}, **CONSTANTS)
    dashes = {"dash_mem": {"array": "dash_mem"}, "dash_syn": {"array": "dash_syn"}}
    add("bitshifts", leak_mode="bitshifts", **dashes, **CONSTANTS)
    return made


def shared():
    """Inputs and constants of all cases."""
    rng = np.random.default_rng(11)
    arrays = {
        "input": rng.normal(0.3, 0.7, (2, 30, 12)),
        "tau_mem": rng.uniform(2e-3, 3e-2, 4),
        "tau_syn": rng.uniform(2e-3, 3e-2, (4, 1)),
        "threshold": rng.uniform(0.5, 2, 4),
        "bias": rng.normal(0, 0.1, 4),
        "w_rec": rng.normal(0, 0.3, (4, 4)),
        "alpha": rng.uniform(0.5, 0.95, 4),
        "beta": rng.uniform(0.5, 0.95, (4, 1)),
        "dash_mem": rng.integers(1, 6, 4),
        "dash_syn": rng.integers(1, 6, (4, 1)),
        "weight": rng.normal(0, 0.5, (4, 3)),
        "offset": rng.normal(0, 0.5, 3),
    }
    for synapses in (2, 3):
        arrays[f"tau_syn_{synapses}"] = rng.uniform(2e-3, 3e-2, (4, synapses))
        arrays[f"tau_row_{synapses}"] = rng.uniform(2e-3, 3e-2, (1, synapses))
        arrays[f"w_rec_{synapses}"] = rng.normal(0, 0.06, (4, 4 * synapses))
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def run(case, arrays):
    """Outputs, records and gradients of one call; outputs of two calls in a row on one sample."""
    layer = nn_cases.build(case, arrays, NAMES)
    x = torch.from_numpy(arrays["input"][..., : case["arguments"]["shape"][0]].copy())
    x.requires_grad_(True)
    out, _, record = layer(x, record=True)
    found = {"out": out.detach().numpy()}
    found |= {name: record[name].detach().numpy()[:, -1] for name in ("vmem", "isyn", "irec")}
    found |= nn_cases.gradients(layer, out, x, 3)
    layer.reset_state()
    alone = x.detach()[1:]
    found["halves"] = np.concatenate(
        [layer(half)[0].detach().numpy() for half in (alone[:, :11], alone[:, 11:])], axis=1
    )
    return found


NETS = [
    {"size_hidden_layers": [24, 24, 24], "time_constants_per_layer": [2, 4, 8]},
    {"size_hidden_layers": [60], "time_constants_per_layer": [10]},
    {"size_hidden_layers": [10], "time_constants_per_layer": [10], "tau_syn_base": 3e-3},
    {"size_hidden_layers": [7, 5], "time_constants_per_layer": [3, 2], "tau_mem": 5e-3},
    {"size_hidden_layers": [4], "time_constants_per_layer": [4], "quantize_time_constants": False},
    {"size_hidden_layers": [8], "time_constants_per_layer": [3], "tau_syn_out": 7e-3},
    {"size_hidden_layers": [12], "time_constants_per_layer": [5], "dt": 2e-3, "tau_syn_base": 5e-3},
    {"size_hidden_layers": [6], "time_constants_per_layer": [6], "dt": 1e-2, "tau_mem": 2e-2}
    | {"tau_syn_base": 1.5e-2, "tau_syn_out": 4e-2},
    {"size_hidden_layers": [5, 5], "time_constants_per_layer": [1, 9], "tau_syn_base": 1.7e-3},
    {"size_hidden_layers": [9], "time_constants_per_layer": [2], "tau_mem": 1.2e-2}
    | {"train_time_constants": True, "train_threshold": True, "threshold": 0.7},
    {"size_hidden_layers": [3], "time_constants_per_layer": [2], "threshold_out": [0.5, 2.0, 1.0]}
    | {"p_dropout": 0.3, "max_spikes_per_dt": 4, "max_spikes_per_dt_out": 3},
]
NET = {"n_channels": 5, "n_classes": 3}


def networks():
    """Constants of every SynNet; of the first few also what they gave in spikes and membranes."""
    made = {}
    for number, options in enumerate(NETS):
        torch.manual_seed(number)
        arguments = {**NET, **options}
        net = SynNet(**arguments)
        for name in net.lif_names:
            layer = net.seq[name]
            for constant in ("tau_mem", "tau_syn", "threshold", "bias"):
                made[f"{number}.{name}.{constant}"] = getattr(layer, constant).detach().numpy()
            made[f"{number}.{name}.max_spikes"] = np.array(float(layer.max_spikes_per_dt))
        names = [name for name in net.seq.modules() if name.endswith("linear")]
        more = 0.6 if "threshold_out" in options else 0.15  # so that every network fires
        weights = {name: 2 * net.seq[name].weight.detach() + more for name in names}
        if sum(w.numel() for w in weights.values()) > 400:
            continue
        for name, weight in weights.items():
            net.seq[name].weight.data = weight
            made[f"{number}.{name}.weight"] = weight.numpy()
        for name in net.seq.modules():
            if name.endswith("dropout"):
                net.seq[name].training = False
        made[f"{number}.out"] = net(network_input())[0].detach().numpy()
    made["vmem"] = membrane(made)
    return made


def network_input():
    """Spikes for every network."""
    rng = np.random.default_rng(5)
    return torch.from_numpy(rng.poisson(0.6, (2, 40, 5)).astype(np.float32))


def membrane(made):
    """What the fourth network gives with ``output="vmem"``."""
    net = SynNet(**NET, **NETS[3], output="vmem")
    for name in ("0_linear", "1_linear", "out_linear"):
        net.seq[name].weight.data = torch.from_numpy(made[f"3.{name}.weight"])
    return net(network_input())[0].detach().numpy()


def dense(arrays):
    """LinearTorch with and without bias, and dropout in evaluation."""
    x = torch.from_numpy(arrays["input"][..., :4].copy())
    weight, bias = (torch.from_numpy(arrays[name]) for name in ("weight", "offset"))
    plain = LinearTorch((4, 3), weight=weight)
    biased = LinearTorch((4, 3), weight=weight, bias=bias, has_bias=True)
    return {
        "plain": plain(x)[0].detach().numpy(),
        "biased": biased(x)[0].detach().numpy(),
        "printed": np.frombuffer(str(SynNet(**NET, **NETS[0], p_dropout=0.1)).encode(), np.uint8),
    }


def main():
    """Record every case."""
    arrays = shared()
    recorded = {name: run(case, arrays) for name, case in cases().items()}
    extra = {f"synnet.{k}": v for k, v in networks().items()}
    extra |= {f"dense.{k}": v for k, v in dense(arrays).items()}
    extra["synnet.input"] = network_input().numpy().astype(np.uint8)
    nets = {"synnets": {"arguments": [{**NET, **options} for options in NETS]}}
    nn_cases.write(FILE, {**cases(), **nets}, arrays | extra, recorded)


if __name__ == "__main__":
    main()
