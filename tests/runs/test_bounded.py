"""Runs within bounds of work and memory."""

import numpy as np
import pytest

from tests.chips.speck.graphs import branching
from toolchain.runs import bounded
from toolchain.runs.interpret import interpret


@pytest.mark.parametrize("largest", [1, 60_000, 10**9])
def test_batches_of_any_size_give_the_spikes_of_one_run(monkeypatch, largest):
    rng = np.random.default_rng(0)
    graph = branching(rng, biases=True)
    spikes = rng.poisson(0.5, (5, 9, *graph.shape(graph.input)))
    wanted = interpret(graph, spikes).spikes
    assert wanted.any()
    monkeypatch.setattr(bounded, "LARGEST", largest)
    np.testing.assert_array_equal(bounded.outputs_in_batches(graph, spikes), wanted)


@pytest.mark.parametrize(
    ("shape", "units", "kept"),
    [((5, 8), 10, (5, 8)), ((6, 8), 10, (5, 8)), ((1, 50), 10, (1, 40)), ((3, 3), 10**9, (1, 1))],
)
def test_the_first_steps_and_evenly_spaced_samples_are_used(shape, units, kept):
    spikes = np.arange(np.prod(shape)).reshape(*shape, 1)
    part = bounded.part_within(spikes, units, 400)
    assert part.shape[:2] == kept
    assert part[0, 0, 0] == 0
    if kept[0] > 1:
        np.testing.assert_array_equal(part[-1], spikes[-1, : kept[1]])
