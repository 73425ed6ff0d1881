"""Weights fitted to decays that the chip holds in place of the trained ones."""

from dataclasses import replace

import numpy as np
import pytest

from tests.oracles.xylo_compared import random_case
from toolchain import load_chip
from toolchain.chips.xylo.quantize import auto, drives
from toolchain.chips.xylo.quantize.decays import choose_decays, differs
from toolchain.chips.xylo.quantize.evaluator import COPIED, MANY, Evaluator
from toolchain.chips.xylo.quantize.membranes import membranes
from toolchain.runs.copies import with_copies
from toolchain.runs.interpret import interpret

CHIP = load_chip("xylo_a2")
TOP = 15


@pytest.fixture(scope="module")
def evaluator():
    """Two layers and outputs with recurrence, biases, and decays that no bit shift gives."""
    case = random_case(13)
    return Evaluator(case.graph, CHIP, case.calibration)


def populations(evaluator):
    for name, population in evaluator.populations.items():
        trace = evaluator.trace(name)
        yield name, population, trace, choose_decays(population, trace, TOP)


def test_membranes_are_those_of_the_float_network_before_resets(evaluator):
    record = interpret(evaluator.graph, evaluator.spikes, record=True).layers
    for name, population, trace, _ in populations(evaluator):
        after = np.moveaxis(record[name].v_mem, 2, 0) / population.threshold[:, None, None]
        found = membranes(population, trace)
        assert found == pytest.approx(after + trace.own, rel=1e-9, abs=1e-9)


def test_fitted_weights_spike_closer_and_zeros_stay(evaluator):
    before = after = 0.0
    for _, population, trace, decays in populations(evaluator):
        assert differs(population, decays)
        fitted, kept = drives.fit_drives(population, trace, decays, top=TOP, biases=True)
        start, end = drives._start(population, decays), drives._start(fitted, kept)
        assert not end[:, :-1][start[:, :-1] == 0].any()
        before += drives._distance(population, trace, decays, start)[0].sum()
        after += drives._distance(fitted, trace, kept, end)[0].sum()
    assert after < 0.9 * before


def test_without_biases_on_the_chip_none_is_fitted(evaluator):
    *_, (_, population, trace, decays) = populations(evaluator)
    fitted, kept = drives.fit_drives(population, trace, decays, top=TOP, biases=False)
    ratio = kept.threshold / population.threshold
    assert kept.bias == pytest.approx(population.bias * ratio, abs=1e-6) or not kept.bias.any()
    assert fitted.neurons == population.neurons


def test_what_cannot_be_fitted_is_returned_unchanged(evaluator):
    _, population, trace, decays = next(populations(evaluator))
    one = trace.part(1)
    assert drives.fit_drives(population, one, decays, top=TOP, biases=True)[0] is population
    twice = replace(population, sources=population.sources * 2)
    trace = replace(trace, spikes=trace.spikes * 2)
    assert drives.fit_drives(twice, trace, decays, top=TOP, biases=True)[0] is twice


def test_few_samples_get_copies_and_are_judged_without():
    case = random_case(1)
    evaluator = Evaluator(case.graph, CHIP, case.calibration[:3], copies=True)
    assert evaluator.given == 3
    assert len(evaluator.spikes) == COPIED
    assert np.array_equal(evaluator.spikes[:3], case.calibration[:3])
    assert len(evaluator.with_more().spikes) == MANY
    fired = evaluator.on_chip(auto.candidates(evaluator)[0].graph)
    altered = {name: np.concatenate([s[:, :3], 0 * s[:, 3:]], axis=1) for name, s in fired.items()}
    assert evaluator.agreement(altered) == evaluator.agreement(fired)


def test_copies_are_the_same_each_time_and_never_more_than_the_source():
    spikes = np.random.default_rng(0).poisson(0.5, (2, 300, 5))
    many = with_copies(spikes, 9)
    assert np.array_equal(many, with_copies(spikes, 9))
    totals = many.sum(axis=(1, 2))
    for copy in range(2, 9):
        assert 0.55 * totals[copy % 2] < totals[copy] <= totals[copy % 2]
    assert with_copies(spikes, 2) is spikes
