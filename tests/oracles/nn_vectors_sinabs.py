"""What sinabs' layers gave, for tests that run without sinabs.

``python tests/oracles/nn_vectors_sinabs.py`` writes the file anew; it needs
requirements-sinabs.txt.
"""

from itertools import product

import nn_cases
import numpy as np
import sinabs
import sinabs.activation as sa
import sinabs.layers as sl
import torch

FILE = "nn_sinabs.npz"
NAMES = {**vars(sl), **vars(sa)}
MULTI, SINGLE, MAX3 = (
    {"made": x} for x in (["MultiSpike", "class"], ["SingleSpike", "class"], ["MaxSpike", 3])
)
FUNCTIONS = {"multi": MULTI, "single": SINGLE, "max": MAX3}
RESETS = {
    "zero": ["MembraneReset"],
    "zero_plus": ["MembraneReset", 0.125],
    "less": ["MembraneSubtract", 0.75],
}
ONE = {"array": "one"}
LOW = {"spike_threshold": {"array": "low"}}


def cases():
    """Every layer with every option, by name."""
    made = {}
    for name, layer, arguments in (*functions(), *options(), *shapes()):
        if not layer.startswith("ExpLeak"):
            arguments = {"spike_threshold": ONE, **arguments}
        made[name] = {"layer": layer, "arguments": arguments}
    return made


def functions():
    """Spike functions, resets, floors, thresholds and gradients."""
    for layer, base in (
        ("IAF", {}),
        ("LIF", {"tau_mem": 3.0, "tau_syn": 3.0, "norm_input": False}),
        ("ALIF", {"tau_mem": 7.0, "tau_adapt": 11.0, "norm_input": False}),
    ):
        yield f"{layer}_default", layer, base
        yield f"{layer}_floor", layer, {"min_v_mem": -0.25, **base}
        yield f"{layer}_threshold", layer, {**base, "spike_threshold": {"array": "thresholds"}}
        for name, made_of in FUNCTIONS.items():
            yield f"{layer}_{name}", layer, {"spike_fn": made_of, **base}
        for name, made_of in RESETS.items():
            yield f"{layer}_reset_{name}", layer, {"reset_fn": {"made": made_of}, **base}
    yield "IAF_unlimited", "IAF", {"spike_fn": {"made": ["MaxSpike"]}}
    for name in ("PeriodicExponential", "Gaussian", "MultiGaussian", "Heaviside"):
        yield f"IAF_{name}", "IAF", {"surrogate_grad_fn": {"made": [name]}}


def options():
    """Synapses, gains and trained decays."""
    taus = {"array": "taus"}
    yield "IAF_tau_syn", "IAF", {"tau_syn": 4.0}
    for syn, norm, alphas in product((None, 4.0), (True, False), (True, False)):
        given = {"norm_input": norm, "train_alphas": alphas}
        tail = f"syn{syn}_norm{norm}_alphas{alphas}".replace(".", "_")
        if syn is None:
            yield f"ExpLeak_{tail}", "ExpLeak", {"tau_mem": taus, **given}
        given |= {"tau_syn": syn, **(LOW if norm else {})}
        yield f"LIF_{tail}", "LIF", {"tau_mem": taus, **given}
        yield f"ALIF_{tail}", "ALIF", {"tau_mem": 9.0, "tau_adapt": taus, **given}
    scale = {"adapt_scale": 0.4, "norm_input": False, "spike_fn": MULTI}
    yield "ALIF_scale", "ALIF", {"tau_mem": 9.0, "tau_adapt": 5.0, **scale}


def shapes():
    """Recurrence, and batch and time in one axis."""
    rec = {"rec_connect": {"linear": ["w_rec", "b_rec"]}}
    plain = {"tau_mem": 6.0, "tau_syn": 3.0, "norm_input": False}
    yield "IAFRecurrent", "IAFRecurrent", rec
    yield "IAFRecurrent_max", "IAFRecurrent", {"spike_fn": MAX3, "min_v_mem": -1.0, **rec}
    yield "LIFRecurrent", "LIFRecurrent", {"tau_mem": 6.0, **LOW, **rec}
    yield "LIFRecurrent_syn", "LIFRecurrent", {**plain, **rec}
    adaptive = {"tau_mem": 6.0, "tau_adapt": 9.0, **rec}
    yield "ALIFRecurrent", "ALIFRecurrent", {**adaptive, **LOW}
    yield (
        "ALIFRecurrent_multi",
        "ALIFRecurrent",
        {**adaptive, "norm_input": False, "spike_fn": MULTI},
    )
    yield "ExpLeak_floor", "ExpLeak", {"tau_mem": 6.0, "min_v_mem": -0.25}
    for how in ({"batch_size": 2}, {"num_timesteps": 30}):
        tail = "_".join(how)
        yield f"IAFSqueeze_{tail}", "IAFSqueeze", {"min_v_mem": -1.0, **how}
        yield f"LIFSqueeze_{tail}", "LIFSqueeze", {"tau_mem": 6.0, **LOW, **how}
        yield f"ExpLeakSqueeze_{tail}", "ExpLeakSqueeze", {"tau_mem": 6.0, **how}


def shared():
    """Input and constants of all cases."""
    rng = np.random.default_rng(7)
    arrays = {
        "input": rng.normal(0.35, 0.9, (2, 30, 4)),
        "thresholds": rng.uniform(0.4, 2, 4),
        "taus": rng.uniform(2, 30, 4),
        "w_rec": rng.normal(0, 0.3, (4, 4)),
        "b_rec": rng.normal(0, 0.2, 4),
        "one": np.ones(()),
        "low": np.full((), 0.0625),
    }
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def run(case, arrays):
    """Outputs of two calls in a row, membrane at the end, and gradients of the first."""
    torch.manual_seed(0)
    layer = nn_cases.build(case, arrays, NAMES)
    squeezed = "Squeeze" in case["layer"]
    x = torch.from_numpy(arrays["input"]).clone()
    x = (x.flatten(0, 1) if squeezed else x).requires_grad_(True)
    out = layer(x)
    found = {"out": out.detach().numpy(), **nn_cases.gradients(layer, out, x, 3)}
    sinabs.zero_grad(layer)
    found["again"] = layer(x.detach().flip(0)).detach().numpy()
    found["v_mem"] = layer.v_mem.detach().numpy()
    return found


def surrogates():
    """d spikes / d v over a range of v, for several thresholds."""
    v = torch.linspace(-2, 5, 71)
    made = {}
    for threshold in (0.5, 1.0, 1.5):
        for name in (
            *("SingleExponential", "Gaussian", "MultiGaussian", "Heaviside", "PeriodicExponential"),
        ):
            made[f"{name}_{threshold}"] = NAMES[name]()(v, torch.tensor(threshold)).numpy()
    return {"v": v.numpy(), **made}


def relus():
    """NeuromorphicReLU in each of its modes, without the random one."""
    x = torch.tensor([[1.7, -0.5, 2.5], [0.9, 3.0, 3.99], [0.5, 1.5, -2.0]], requires_grad=True)
    made = {"x": x.detach().numpy()}
    for name, options, training in (
        ("floor", {"fanout": 7}, True),
        ("nearest", {"stochastic_rounding": True, "fanout": 2}, False),
        ("plain", {"quantize": False}, True),
    ):
        layer = sl.NeuromorphicReLU(**options).train(training)
        x.grad = None
        out = layer(x)
        (out.sum() + 2 * layer.activity).backward()
        made |= {name: out.detach().numpy(), f"{name}_activity": layer.activity.detach().numpy()}
        made[f"{name}_grad"] = x.grad.numpy()
    return made


def stateless():
    """Return output and gradient of each layer of ``nn_cases.STATELESS``."""
    made = {}
    for name, (build, data) in nn_cases.STATELESS.items():
        for key, value in nn_cases.outcome(build(NAMES), data()).items():
            made[f"{name}.{key}"] = value
    return made


def main():
    """Record every case."""
    arrays = shared()
    recorded = {name: run(case, arrays) for name, case in cases().items()}
    extra = {f"surrogate.{k}": v for k, v in surrogates().items()}
    extra |= {f"relu.{k}": v for k, v in relus().items()}
    extra |= {f"stateless.{k}": v for k, v in stateless().items()}
    nn_cases.write(FILE, cases(), arrays | extra, recorded)


if __name__ == "__main__":
    main()
