"""What a run really exercised, told from its states alone: corners by name, each with a count.

Every sum is redone from the states before it, so that a cut at a rail is seen where it happened
and not where its trace may have decayed; the currents that result must be the recorded ones.
"""

from collections import Counter

import numpy as np

LOW, HIGH = -32768, 32767
SHIFTS = range(9)
THRESHOLDS = {
    "1": lambda v: v == 1,
    "32767": lambda v: v == HIGH,
    "0": lambda v: v == 0,
    "below 0": lambda v: (v < 0) & (v > LOW),
    "-32768": lambda v: v == LOW,
}


def features(program, raster, calls, states):
    """Counts by name; ``states`` are those of one sample, time first."""
    before = Before(calls, len(raster))
    reached = Counter()
    for find in (_currents, _membranes, _spikes, _aliases, _loads, _sleep):
        for name, count in find(program, raster, states, before):
            reached[name] += int(count)
    reached.update(
        {
            "reset between calls": sum(reset for _, _, reset in calls[1:]),
            "continued from a state": sum(
                bool(states["v_mem"][a - 1].any()) for a, _, reset in calls[1:] if not reset
            ),
        }
    )
    return +reached


def required(core):
    """What recordings of ``core`` must reach together."""
    layers = ("hidden", "output")
    ends = ("high", "low")
    names = [f"{layer} current cut {end}" for layer in layers for end in ends]
    names += [f"{layer} current: {how}" for layer in layers for how in ("id order", "each spike")]
    names += [f"{layer} membrane cut {end}" for layer in layers for end in ends]
    names += [
        f"{state} dash {dash} {side} 0"
        for state in ("current", "membrane")
        for dash in range(16)
        for side in ("above", "below")
    ]
    names += [f"{state} decays by the least" for state in ("current", "membrane")]
    names += ["15 input spikes", "several hidden spikes", "31 hidden spikes", "1 output spike"]
    names += [f"{layer} left over at the cap" for layer in layers]
    names += [f"{layer} threshold {name}" for layer in layers for name in THRESHOLDS]
    kinds = ("forward", "backward", "to itself", "chained", "to several", "from a full source")
    names += [f"alias {kind}" for kind in (*kinds, "onto a recurrent neuron", "fills to the cap")]
    names += [f"shift {which} {n}" for which in ("in", "rec", "out") for n in (*SHIFTS, "above 8")]
    names += ["shifted weight wraps", "second synapse", "silence, then spikes"]
    names += ["one hidden neuron", "one input", "one output", "over 200 neurons", "1000 neurons"]
    names += ["reset between calls", "continued from a state"]
    if core == "v2":
        names += [f"{layer} increment cut {end}" for layer in layers for end in ends]
        names += [f"{layer} biased increment cut {end}" for layer in layers for end in ends]
        names += [f"{layer} {what}" for layer in layers for what in ("wrapping corner", "bias")]
        names += [
            f"{what} {bias} a bias"
            for what in ("asleep", "awake", "woken")
            for bias in ("with", "without")
        ]
    return set(names)


class Before:
    """States one step earlier: zeros at the start and after a reset."""

    def __init__(self, calls, steps):
        self.fresh = [first for first, _, reset in calls if reset]
        self.steps = steps

    def __call__(self, states):
        earlier = np.zeros(states.shape, np.int64)
        earlier[1:] = states[:-1]
        earlier[self.fresh] = 0
        return earlier


def _clamp(x):
    return np.clip(x, LOW, HIGH)


def _wrap(x):
    return (x - LOW) % 65536 + LOW


def _leak(states, dash):
    lost = states >> dash
    return np.where((lost == 0) & (states > 0), 1, lost)


def _rails(name, raw):
    yield f"{name} cut high", (raw > HIGH).sum()
    yield f"{name} cut low", (raw < LOW).sum()


def _decays(name, states, dash):
    for d in range(16):
        yield f"{name} dash {d} above 0", ((states > 0) & (dash == d)).sum()
        yield f"{name} dash {d} below 0", ((states < 0) & (dash == d)).sum()
    yield f"{name} decays by the least", ((states > 0) & (states >> dash == 0)).sum()


def _weights(weights, shift):
    return _wrap(weights.astype(np.int64) << shift)


def _currents(p, raster, found, before):
    sent = before(found["hidden_spikes"])
    counts = np.concatenate([np.asarray(raster, np.int64), sent], axis=1)
    rows = np.concatenate(
        [_weights(p.weights_in, p.weight_shift_in), _weights(p.weights_rec, p.weight_shift_rec)]
    )
    names = ("i_syn", "i_syn_2")[: p.synapses]
    for s, (name, dash) in enumerate(zip(names, (p.dash_syn, p.dash_syn_2), strict=False)):
        yield from _current("hidden", counts, rows[:, :, s], before, found[name], dash)
    rows = _weights(p.weights_out, p.weight_shift_out)
    yield from _current("output", sent, rows, before, found["i_syn_out"], p.dash_syn_out)


def _current(layer, counts, rows, before, states, dash):
    """One synapse of one layer, one source at a time."""
    reached, filled = Counter(), np.empty(states.shape, np.int64)
    for t, start in enumerate(before(states)):
        active = np.flatnonzero(counts[t])
        steps = counts[t, active, None] * rows[active]
        total = start
        for step in steps:
            raw = total + step
            total = _clamp(raw)
            if (raw != total).any():
                reached.update(dict(_rails(f"{layer} current", raw)))
        filled[t] = total
        if (np.abs(start) + np.abs(steps).sum(axis=0) > HIGH).any():
            turned = start
            for step in steps[::-1]:
                turned = _clamp(turned + step)
            reached[f"{layer} current: id order"] += (turned != total).sum()
            at_once = _clamp(start + steps.sum(axis=0))
            reached[f"{layer} current: each spike"] += (at_once != total).sum()
    dash = dash.astype(np.int64)
    np.testing.assert_array_equal(filled - _leak(filled, dash), states)
    yield from reached.items()
    yield from _decays("current", filled, dash)


def _membranes(p, _, found, before):
    second = found["i_syn_2"] if p.synapses == 2 else 0
    driven = {
        "hidden": (found["v_mem"], found["i_syn"].astype(np.int64) + second, p.dash_mem, p.bias),
        "output": (found["v_mem_out"], found["i_syn_out"], p.dash_mem_out, p.bias_out),
    }
    for layer, (states, drive, dash, bias) in driven.items():
        start, dash = before(states), dash.astype(np.int64)
        yield from _decays("membrane", start, dash)
        lost = _leak(start, dash)
        if p.core == "v1":
            yield from _rails(f"{layer} membrane", _wrap(start - lost) + drive)
            continue
        yield f"{layer} wrapping corner", (lost == LOW).sum()
        yield f"{layer} bias", (bias != 0).sum()
        raw = _wrap(-lost) + drive
        yield from _rails(f"{layer} increment", raw)
        raw = _clamp(raw) + bias
        yield from _rails(f"{layer} biased increment", raw)
        yield from _rails(f"{layer} membrane", start + _clamp(raw))


def _spikes(p, raster, found, _):
    hidden, outputs = found["hidden_spikes"], found["spikes"]
    yield "15 input spikes", (np.asarray(raster) == 15).sum()
    yield "several hidden spikes", (hidden > 1).sum()
    yield "31 hidden spikes", (hidden == 31).sum()
    yield "1 output spike", (outputs == 1).sum()
    full = (hidden == 31) & (found["v_mem"] >= p.threshold)
    yield "hidden left over at the cap", full.sum()
    full = (outputs == 1) & (found["v_mem_out"] >= p.threshold_out)
    yield "output left over at the cap", full.sum()
    for name, holds in THRESHOLDS.items():
        yield f"hidden threshold {name}", hidden[:, holds(p.threshold)].sum()
        yield f"output threshold {name}", outputs[:, holds(p.threshold_out)].sum()


def _aliases(p, _, found, __):
    spikes = found["hidden_spikes"]
    pairs = [(pre, post) for pre, targets in enumerate(p.aliases) for post in targets]
    lower = {post for pre, post in pairs if pre < post}
    for pre, post in pairs:
        passed = spikes[:, pre] > 0
        times = passed.sum()
        kind = "to itself" if pre == post else "forward" if pre < post else "backward"
        yield f"alias {kind}", times
        yield "alias chained", times * (pre in lower and pre < post)
        yield "alias to several", times * (len(set(p.aliases[pre])) > 1)
        yield "alias from a full source", (spikes[:, pre] == 31).sum()
        recurrent = p.weights_rec[post].any() and p.weights_rec[:, post].any()
        yield "alias onto a recurrent neuron", times * recurrent
        filled = passed & (spikes[:, pre] < 31) & (spikes[:, post] == 31)
        yield "alias fills to the cap", filled.sum()


def _loads(p, raster, found, _):
    matrices = {
        "in": (p.weights_in, p.weight_shift_in, np.asarray(raster)),
        "rec": (p.weights_rec, p.weight_shift_rec, found["hidden_spikes"]),
        "out": (p.weights_out, p.weight_shift_out, found["hidden_spikes"]),
    }
    for name, (weights, shift, spikes) in matrices.items():
        used = spikes.any(axis=0) & weights.reshape(len(weights), -1).any(axis=1)
        yield f"shift {name} {shift if shift in SHIFTS else 'above 8'}", used.sum()
        wide = weights[used].astype(np.int64) << shift
        yield "shifted weight wraps", (wide != _wrap(wide)).sum()
    yield "second synapse", p.synapses == 2 and (found["i_syn_2"] != 0).sum()
    yield "silence, then spikes", _silences(np.asarray(raster).any(axis=1))
    yield "one hidden neuron", p.hidden == 1
    yield "one input", p.inputs == 1
    yield "one output", p.outputs == 1
    yield "over 200 neurons", p.hidden > 200
    yield "1000 neurons", p.hidden == 1000


def _silences(busy):
    """Stretches of five quiet steps or more between busy ones."""
    return int((np.diff(np.flatnonzero(busy)) > 5).sum())


def _sleep(p, _, found, __):
    if p.core == "v1":
        return
    asleep, bias = found["hibernation"], "with a bias" if p.has_bias else "without a bias"
    yield f"asleep {bias}", asleep.sum()
    yield f"awake {bias}", (~asleep).sum()
    yield f"woken {bias}", (asleep[:-1] & ~asleep[1:]).sum()
