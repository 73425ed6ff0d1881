"""Training of Speck programs: the forward pass equals the simulation, gradients equal autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.chips.speck import training_reference as reference
from tests.chips.speck.training_networks import (
    as_events,
    on_chip,
    random_network,
    random_values,
    with_values,
)
from toolchain import load_chip
from toolchain.chips.speck.family import Speck
from toolchain.chips.speck.simulate.pack import pack
from toolchain.chips.speck.simulate.tables import CoreField
from toolchain.chips.speck.training import backward, forward
from toolchain.chips.speck.training.parameters import core_parameters
from toolchain.chips.speck.training.tables import ChangingTables
from toolchain.ir import Conv2d, Graph, Input, Neuron, Output

TIMINGS = ("clocked", "event")


class Case:
    """A random network with other integers than its own, a raster and a gradient of its spikes."""

    def __init__(self, seed, batch=3, steps=6, **options):
        rng = np.random.default_rng(seed)
        self.graph = random_network(rng)
        self.trainable = on_chip(self.graph, **options).trainable(self.graph)
        self.values = random_values(rng, self.trainable.parameters)
        self.changed = with_values(self.graph, self.trainable.parameters, self.values)
        self.raster = rng.poisson(0.4, (batch, steps, *self.graph.shape(self.graph.input)))
        self.outer = {
            name: rng.normal(0, 1, (batch, steps, *shape)).astype(np.float32)
            for name, shape in self.trainable.layers.items()
            if name in self.trainable.outputs or rng.random() < 0.5
        }

    def run(self, timing="clocked", **changes):
        settings = {"layers": [*self.trainable.layers], "gradient": True, **changes}
        spikes = settings.pop("spikes", self.raster)
        return self.trainable.run(self.values, spikes, timing=timing, **settings)

    def gradients(self, tape, **changes):
        wanted = {"wanted": [*self.trainable.parameters], "of_input": True, **changes}
        return self.trainable.gradients(tape, self.outer, **wanted)


def check_case(case, timing, slope=None, surrogate=reference.ramp):
    """Compare both passes; return the number of spikes and the largest relative error."""
    recording = on_chip(case.changed).simulate(case.raster, record=True, timing=timing)
    tape, spikes, errors = case.run(timing), 0, [0.0]
    assert tape.saturations == recording.saturations
    for name, layer in recording.layers.items():
        np.testing.assert_array_equal(tape.values[name], layer.spikes)
        spikes += int(layer.spikes.sum())
    found = case.gradients(tape, slope=slope)
    wanted = reference.gradients(
        case.changed, case.values, case.raster, recording.layers, case.outer, surrogate, timing
    )
    assert found.keys() == wanted.keys()
    for name, gradient in found.items():
        assert gradient.dtype == np.float32
        assert gradient.shape == wanted[name].shape
        largest = np.abs(wanted[name]).max()
        error = np.abs(gradient - wanted[name]).max()
        assert error <= 1e-4 * largest, (name, error, largest)
        errors.append(error / largest if largest else 0.0)
    return spikes, max(errors)


@pytest.mark.parametrize("timing", TIMINGS)
@pytest.mark.parametrize("seed", [1, 4, 6])
def test_both_passes_of_random_networks(seed, timing):
    spikes, _ = check_case(Case(seed), timing)
    assert spikes > 20


def test_another_slope():
    def slope(v, threshold):
        assert v.dtype == threshold.dtype == np.float32
        return np.exp(-np.abs(v / threshold - 1)) / threshold

    def surrogate(v, threshold):
        x = v / threshold - 1
        below, above = x.clamp(max=0), x.clamp(min=0)
        return torch.where(x < 0, torch.exp(below), 2 - torch.exp(-above))

    for timing in TIMINGS:
        check_case(Case(3), timing, slope, surrogate)


def test_tables_are_those_of_a_program_built_anew():
    for seed in range(3):
        case = Case(seed)
        program = on_chip(case.changed).program
        layers = core_parameters(program, load_chip("speck2f"), case.changed)
        found = ChangingTables(program, layers).filled(case.values)
        wanted = pack(program.behind_sensor(), steps=1, spikes=(), history=()).tables
        for name in ("targets", "rows", "columns", "weights", "quads"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        cores, biases = wanted.cores.copy(), CoreField.BIAS_AT
        for row, own in zip(cores, found.cores, strict=True):
            size = row[CoreField.LINE] if row[biases] >= 0 else 0
            lines = [
                t.biases[at:][:size] for t, at in ((wanted, row[biases]), (found, own[biases]))
            ]
            np.testing.assert_array_equal(*lines)
            assert (row[biases] < 0) == (own[biases] < 0)
            row[biases] = own[biases]
        np.testing.assert_array_equal(found.cores, cores)


@pytest.mark.parametrize("timing", TIMINGS)
def test_a_record_that_is_not_kept_changes_nothing(timing, monkeypatch):
    case = Case(1, batch=5, steps=12)
    tape = case.run(timing)
    whole = case.gradients(tape)
    monkeypatch.setattr(forward, "RECORD_BYTES", -1)
    monkeypatch.setattr(forward, "SEGMENT_BYTES", 2000)
    monkeypatch.setattr(backward, "VALUES", 1)
    other = case.run(timing)
    assert len(other.segments) > 2
    for name, values in tape.values.items():
        np.testing.assert_array_equal(other.values[name], values)
    assert other.saturations == tape.saturations
    for name, gradient in case.gradients(other).items():
        np.testing.assert_allclose(gradient, whole[name], atol=1e-5 * np.abs(whole[name]).max())


@pytest.mark.parametrize("timing", TIMINGS)
def test_no_bit_depends_on_threads_or_on_what_else_is_wanted(timing):
    case = Case(4, batch=7)
    first = case.gradients(case.run(timing, threads=1))
    tape = case.run(timing, threads=3)
    for name, gradient in case.gradients(tape).items():
        np.testing.assert_array_equal(gradient, first[name])
        if name != "input":
            (alone,) = case.gradients(tape, wanted=[name], of_input=False).values()
            np.testing.assert_array_equal(alone, gradient)
    outputs = case.run(timing, gradient=False, layers=case.trainable.outputs, threads=2)
    for name, values in outputs.values.items():
        np.testing.assert_array_equal(values, tape.values[name])


@pytest.mark.parametrize("timing", TIMINGS)
def test_event_arrays_equal_their_raster(timing):
    case = Case(0)
    events = as_events(case.raster)
    tape = case.run(timing, spikes=events, steps=6)
    for name, values in case.run(timing).values.items():
        np.testing.assert_array_equal(tape.values[name], values)
    recorded = on_chip(case.changed).simulate(case.raster, record=True, timing=timing).layers
    args = (case.changed, case.values, case.raster, recorded, case.outer)
    wanted = reference.gradients(*args, timing=timing)
    for name, gradient in case.gradients(tape).items():
        np.testing.assert_allclose(gradient, wanted[name], atol=1e-4 * np.abs(wanted[name]).max())


def test_no_samples_and_no_steps():
    case = Case(2)
    for raster in (case.raster[:0], case.raster[:, :0]):
        tape = case.run(spikes=raster)
        case.outer = {name: values * 0.0 for name, values in tape.values.items()}
        found = case.gradients(tape)
        assert found["input"].shape == raster.shape
        assert not any(gradient.any() for gradient in found.values())


def network(**neurons):
    """Three inputs to two output neurons."""
    weight = np.arange(6).reshape(2, 3, 1, 1) - 2
    nodes = {
        "input": Input(shape=(3, 1, 1)),
        "fc": Conv2d(weight=weight, bias=np.array([1, 0])),
        "spk": Neuron(**{"shape": (2, 1, 1), "v_threshold": np.array(4), **neurons}),
        "output": Output(),
    }
    return Graph.chain(nodes, dt=1e-3)


def test_unused_channels_of_the_readout_have_no_parameters():
    graph, spikes = network(), np.random.default_rng(0).poisson(0.8, (2, 9, 3, 1, 1))
    plain, spread = (on_chip(graph, readout=r).trainable(graph) for r in (None, {}))
    assert plain.parameters == spread.parameters
    assert plain.layers == spread.layers == {"spk": (2, 1, 1)}
    values = {
        "fc.weight": graph["fc"].weight + 1,
        "fc.bias": graph["fc"].bias,
        "spk.v_threshold": 3,
    }
    values = {name: np.asarray(value) for name, value in values.items()}
    outer = {"spk": np.linspace(-1, 1, 36, dtype=np.float32).reshape(2, 9, 2, 1, 1)}
    found = []
    for trainable in (plain, spread):
        settings = {"layers": ["spk"], "timing": "clocked", "gradient": True}
        tape = trainable.run(values, spikes, **settings)
        found.append(trainable.gradients(tape, outer, wanted=[*values]))
        found[-1]["spk"] = tape.values["spk"]
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name], found[1][name])


@pytest.mark.parametrize(("bits", "most"), [(8, 127), (4, 7), (3, 3)])
def test_ranges_are_those_of_the_chip(bits, most):
    chip = load_chip("speck2f")
    width = chip.limits.weight_width.model_copy(update={"value": bits})
    limits = chip.limits.model_copy(update={"weight_width": width})
    family = Speck.on(chip.model_copy(update={"limits": limits}))
    graph = network(v_threshold=np.full((2, 1, 1), 4))
    parameters = family.lower(graph, family.OPTIONS()).trainable(graph).parameters
    assert [*parameters] == ["fc.weight", "fc.bias", "spk.v_threshold"]
    assert [(p.low, p.high) for p in parameters.values()] == [
        (-most, most),
        (-32767, 32767),
        (1, 32767),
    ]
    assert [p.shape for p in parameters.values()] == [(2, 3, 1, 1), (2,), ()]
    weight = graph["fc"].weight.copy()
    weight[0] = -most - 1  # as quantizers that follow sinabs write it
    lowest = graph.replace({"fc": replace(graph["fc"], weight=weight)})
    trainable = family.lower(lowest, family.OPTIONS()).trainable(lowest)
    assert trainable.parameters["fc.weight"].low == -most - 1


def test_refusals():
    graph = network()
    trainable, spikes = on_chip(graph).trainable(graph), np.ones((1, 2, 3, 1, 1), int)
    values = {"fc.weight": graph["fc"].weight, "fc.bias": graph["fc"].bias}
    values["spk.v_threshold"] = np.array(4)

    def run(values=values, layers=("spk",), timing="clocked", gradient=False):
        return trainable.run(values, spikes, layers=layers, timing=timing, gradient=gradient)

    for changed, message in (
        ({"fc.bias": None}, "fc.bias must hold integers"),
        ({"spk.v_threshold": np.array(0)}, r"spk.v_threshold must be in 1..32767, got 0..0"),
        ({"fc.bias": np.zeros(3, int)}, r"fc.bias must have shape \(2,\), got \(3,\)"),
        ({"fc.weight": graph["fc"].weight * 1.0}, "fc.weight must hold integers, got float64"),
    ):
        with pytest.raises(ValueError, match=message):
            run({**values, **changed})
    with pytest.raises(ValueError, match=r"fc\.weight, fc\.bias, spk\.v_threshold missing"):
        run({})
    with pytest.raises(ValueError, match="layers: unknown fc; known are spk"):
        run(layers=["fc"])
    with pytest.raises(ValueError, match="timing must be"):
        run(timing="analog")
    with pytest.raises(ValueError, match="no record: call run with gradient=True"):
        trainable.gradients(run(), {}, wanted=[])
    with pytest.raises(ValueError, match=r"wanted: unknown spk\.bias"):
        trainable.gradients(run(gradient=True), {}, wanted=["spk.bias"])
    other = graph.replace({"fc": replace(graph["fc"], weight=graph["fc"].weight + 1)})
    with pytest.raises(ValueError, match="fc: the weights of the quantized graph are not those"):
        on_chip(graph).trainable(other)
    with pytest.raises(ValueError, match="the quantized graph has no convolution 'fc'"):
        on_chip(graph).trainable(Graph.chain({"input": Input(shape=(3,)), "output": Output()}))
