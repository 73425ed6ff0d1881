"""The contract of Xylo, for tests that hold a program and a chip apart."""

from toolchain.chips.contract import Options
from toolchain.chips.functions import Bound
from toolchain.chips.load import load_chip
from toolchain.chips.xylo.family import Xylo

ANY = Xylo.on(load_chip("xylo_a2"))
"""For what is the same on every chip."""

QUANTIZERS = Xylo.QUANTIZERS
shape, lag, lags = ANY.shape, ANY.lag, ANY.lags


def on(chip, program):
    return Bound(program, Xylo.on(chip))


def bound(program):
    return on(load_chip(program.chip), program)


def simulate(program, spikes, **rest):
    return bound(program).simulate(spikes, **rest)


def activity(program, spikes):
    return bound(program).activity(spikes)


def activity_at(program, rates, steps):
    return bound(program).activity_at(rates, steps)


def placement(program):
    return bound(program).placement()


def resources(program, chip):
    return on(chip, program).resources()


def check(program, chip):
    return on(chip, program).check()


def quantize(graph, chip, calibration, method="auto"):
    family = Xylo.on(chip)
    draft = family.unfit(graph, method, Options(), calibrated=calibration is not None)
    return family.quantize(graph, calibration, method) if draft is None else (draft, ())


def lower(graph, chip):
    return Xylo.on(chip).lower(graph, Options()).program
