"""Small random Speck programs and rasters that keep them busy."""

from dataclasses import replace

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


def many_case(seed):
    """A third of them branched, over 50 steps: those that only digests are kept of."""
    return random_case(seed, branches=seed % 3 == 0, batch=1, steps=50)


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
    side = _same_shape(rng, "spk0b", cores[1]["input_shape"], "spk1")
    cores[0]["destinations"] = (first, Destination(layer="spk0b", pooling=first.pooling))
    return [side]


def _same_shape(rng, name, shape, to):
    """A core that sends what it makes of a map of that shape to another that takes the same."""
    return _random_core(rng, name, shape) | {
        "weight": rng.integers(-60, 90, (shape[0], shape[0], 3, 3)),
        "bias": None,
        "initial": None,
        "stride": (1, 1),
        "padding": (1, 1),
        "destinations": (Destination(layer=to),),
    }


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


def random_event_case(seed):
    """A small program, one or two event arrays for it, their steps of 1 ms, and choices."""
    rng = np.random.default_rng([seed, 1])
    shape = (int(rng.integers(1, 4)), int(rng.integers(4, 9)), int(rng.integers(4, 9)))
    program = random_program(rng, shape, int(rng.integers(1, 4)), branches=seed % 3 == 0)
    cores = list(program.cores)
    if seed % 7 == 0:  # close to the ends of 16 bits
        ends = rng.choice([-32700, 32600], cores[0].output_shape)
        cores[0] = replace(cores[0], initial=ends, threshold_high=30000, threshold_low=-32768)
    inputs = program.inputs
    if seed % 4 == 0:  # two ways from the input into the first core
        cores.insert(0, SpeckCore(**_same_shape(rng, "before", shape, "spk0")))
        inputs = (Destination(layer="before"), Destination(layer="spk0"))
    outputs = program.outputs
    if len(cores) > 1 and seed % 2:
        cores[0] = replace(cores[0], monitor=True)
        outputs = (cores[0].name, *outputs)
    program = replace(program, cores=tuple(cores), inputs=inputs, outputs=outputs)
    steps = int(rng.integers(1, 6))
    streams = [random_stream(rng, shape, steps * 1000) for _ in range(rng.integers(1, 3))]
    choices = {
        "spike_order": str(rng.choice(["position", "channel"])),
        "overflow": str(rng.choice(["clamp", "wrap"])),
        "zero_weights": bool(rng.random() < 0.7),
        "leak_fires": bool(rng.random() < 0.7),
        "leak_first": bool(rng.random() < 0.3),
        "partial_windows": str(rng.choice(["drop", "drop", "pass"])),
        "merging": str(rng.choice(["event", "time"])),
    }
    return program, streams, steps, choices


def random_stream(rng, shape, end):
    """An event array with many events of the same time, all before ``end`` µs."""
    stream = np.empty(int(rng.integers(0, 40)), [("x", "u1"), ("y", "i2"), ("t", "i8"), ("p", "?")])
    stream["x"] = rng.integers(0, shape[2], stream.size)
    stream["y"] = rng.integers(0, shape[1], stream.size)
    stream["t"] = np.sort(rng.integers(0, max(2, end // 300), stream.size)) * 300
    stream["t"] = np.minimum(stream["t"], end - 1)
    kinds = [*stream.dtype.descr[:3], ("p", "u1")]
    stream = stream.astype(kinds)
    stream["p"] = rng.integers(0, shape[0], stream.size)
    return stream
