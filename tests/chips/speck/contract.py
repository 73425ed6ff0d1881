"""The contract of Speck, for tests that hold a program and a chip apart."""

from toolchain.chips.contract import Options
from toolchain.chips.functions import Bound
from toolchain.chips.load import load_chip
from toolchain.chips.speck.family import Speck
from toolchain.chips.speck.options import SpeckOptions

ANY = Speck.on(load_chip("speck2f"))
"""For what is the same on every chip."""

QUANTIZERS = Speck.QUANTIZERS
shape, lag, lags, counts = ANY.shape, ANY.lag, ANY.lags, ANY.counts


def on(chip, program):
    return Bound(program, Speck.on(chip))


def bound(program):
    return on(load_chip(program.chip), program)


def simulate(program, spikes, **rest):
    return bound(program).simulate(spikes, **rest)


def activity(program, spikes):
    return bound(program).activity(spikes)


def place(program, chip, by_hand=None):
    placed, findings = on(chip, program).place(SpeckOptions(placement=by_hand))
    return placed.program, findings


def check(program, chip):
    return on(chip, program).check()


def quantize(graph, chip, calibration, method="auto"):
    family = Speck.on(chip)
    draft = family.unfit(graph, method, Options(), calibrated=calibration is not None)
    return family.quantize(graph, calibration, method) if draft is None else (draft, ())


def lower(graph, chip):
    return Speck.on(chip).lower(graph, Options()).program
