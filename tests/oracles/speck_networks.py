"""Small random Speck programs and rasters that keep them busy."""

import numpy as np

from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram


def random_case(seed, *, branches=False, batch=2, steps=24):
    """A program of one to four layers, and counts (batch, steps, channels, y, x) for it."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(5, 17)), int(rng.integers(5, 17)))
    program = random_program(rng, shape, int(rng.integers(1, 5)), branches=branches)
    rate = rng.choice([0.02, 0.1, 0.3])
    counts = (rng.random((batch, steps, *shape)) < rate) * rng.integers(
        1, 4, (batch, steps, *shape)
    )
    return program, counts.astype(rng.choice(["u1", "i4", "i8"]))


def random_program(rng, input_shape, layers, *, branches=False):
    names = [f"spk{index}" for index in range(layers)]
    cores, shape = [], input_shape
    for name in names:
        core = _random_core(rng, name, shape)
        core["monitor"] = name == names[-1]
        cores.append(core)
        shape = SpeckCore(**core).output_shape
        if name != names[-1]:
            pooling = int(rng.choice([p for p in (1, 1, 2, 4) if min(shape[1:]) >= p]))
            core["destinations"] = (Destination(layer=f"spk{len(cores)}", pooling=pooling),)
            shape = (shape[0], shape[1] // pooling, shape[2] // pooling)
    if branches:
        cores += _detour(rng, cores)
        cores = sorted(cores, key=lambda core: core["name"])
    return SpeckProgram(
        chip="speck2f",
        dt=1e-3,
        input_shape=input_shape,
        cores=tuple(SpeckCore(**core) for core in cores),
        inputs=(Destination(layer="spk0"),),
        outputs=(names[-1],),
    )


def _detour(rng, cores):
    """A second way from the first core to the second: through a core that keeps the shape."""
    if len(cores) < 2:
        return []
    first = cores[0]["destinations"][0]
    shape = cores[1]["input_shape"]
    side = _random_core(rng, "spk0b", shape)
    side |= {
        "weight": rng.integers(-60, 90, (shape[0], shape[0], 3, 3)),
        "bias": None,
        "initial": None,
        "stride": (1, 1),
        "padding": (1, 1),
        "destinations": (Destination(layer="spk1"),),
    }
    cores[0]["destinations"] = (first, Destination(layer="spk0b", pooling=first.pooling))
    return [side]


def _random_core(rng, name, shape):
    channels, height, width = shape
    outputs = int(rng.integers(1, 9))
    linear = rng.random() < 0.2
    kernel = (height, width) if linear else tuple(rng.integers(1, min(height, width, 5) + 1, 2))
    padding = (0, 0) if linear else tuple(rng.integers(0, 3, 2).tolist())
    scale = int(rng.choice([10, 40, 127]))
    threshold = int(rng.integers(1, 4 * scale))
    core = {
        "name": name,
        "weight_name": f"conv_{name}",
        "weight": rng.integers(-scale, scale + 1, (outputs, channels, *kernel)),
        "stride": (1, 1) if linear else tuple(rng.choice([1, 1, 2, 3, 4], 2).tolist()),
        "padding": padding,
        "input_shape": shape,
        "threshold_high": threshold,
        "threshold_low": int(rng.choice([-1, -threshold, -10 * threshold, -32768])),
        "return_to_zero": bool(rng.random() < 0.4),
    }
    if rng.random() < 0.4:
        core["bias"] = rng.integers(-threshold, threshold // 2 + 1, outputs)
    if rng.random() < 0.2:
        plain = SpeckCore(**core).output_shape
        core["initial"] = rng.integers(-threshold, 3 * threshold, plain)
    return core
