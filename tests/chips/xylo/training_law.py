"""Check one random network on Xylo: spikes against the simulator, gradients against torch."""

from dataclasses import dataclass

import numpy as np

from tests.chips.xylo import autograd
from tests.chips.xylo.random_integers import network, random_values, values_of, with_integers
from toolchain.chips.contract import Options
from toolchain.chips.xylo.family import Xylo

LARGEST = 1e37
"""A gradient beyond this may leave float32."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """A forward pass with integers that were drawn for ``seed``."""

    seed: int
    trainable: object
    graph: object
    on_chip: object
    spikes: np.ndarray
    values: dict
    tape: object


def forward(seed, *, gradient, threads=1, start=False):
    """Run a random network with other integers, or with its own ones."""
    on_chip, graph, spikes = network(seed)
    trainable = on_chip.trainable(graph)
    values = values_of(trainable, graph)
    if not start:
        values = random_values(np.random.default_rng([seed, 3]), trainable, values)
    tape = trainable.run(
        values,
        spikes,
        layers=[*trainable.layers],
        timing="clocked",
        gradient=gradient,
        threads=threads,
    )
    graph = with_integers(graph, values)
    return Pass(
        seed=seed,
        trainable=trainable,
        graph=graph,
        on_chip=Xylo.on(on_chip.chip).lower(graph, Options()),
        spikes=spikes,
        values=values,
        tape=tape,
    )


def differences(run):
    """Values of any layer that differ from ``simulate`` of the program lowered from scratch."""
    recording = run.on_chip.simulate(run.spikes, record=True, timing="clocked")
    assert dict(run.tape.saturations) == dict(recording.saturations)
    readout = run.on_chip.program.readout
    different = 0
    for name, shape in run.trainable.layers.items():
        layer, found = recording.layers[name], run.tape.values[name]
        state = readout != "spikes" and name in run.trainable.outputs
        wanted = getattr(layer, readout if state else "spikes")
        assert found.shape == (*run.spikes.shape[:2], *shape)
        different += int((found != wanted).sum())
    return different


def step_pwl(v, threshold):
    """A surrogate that is given as a function."""
    g = np.maximum(0, 1 - np.abs(v / threshold - 1)) / threshold
    return g.astype(np.float32)


def errors(run):
    """The largest error of each gradient over the largest value of that gradient."""
    rng = np.random.default_rng([run.seed, 4])
    slope, g = None, autograd.ramp
    if run.seed % 3 == 0:
        slope, g = step_pwl, lambda u: (1 - (u - 1).abs()).clamp(min=0)
    outer = {
        name: rng.normal(size=values.shape).astype(np.float32)
        for name, values in run.tape.values.items()
        if rng.random() < 0.8
    }
    found = run.trainable.gradients(
        run.tape, outer, wanted=[*run.trainable.parameters], slope=slope, of_input=True
    )
    recording = run.on_chip.simulate(run.spikes, record=True, timing="clocked")
    program = run.on_chip.program
    wanted = autograd.gradients(run.graph, program, recording, run.spikes, outer, g)
    if max(np.abs(each).max(initial=0) for each in wanted.values()) > LARGEST:
        return {}
    return {name: _error(gradient, wanted[name]) for name, gradient in found.items()}


def _error(found, wanted):
    assert found.shape == wanted.shape
    assert found.dtype == np.float32
    most = np.abs(wanted).max(initial=0)
    return float(np.abs(found - wanted).max(initial=0) / (most or 1))
