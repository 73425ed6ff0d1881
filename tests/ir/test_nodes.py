import dataclasses

import numpy as np
import pytest

from toolchain.ir import (
    BatchNorm,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Linear,
    MembraneReadout,
    Neuron,
    Pad,
    Permute,
    Reshape,
    Scale,
    SumPool2d,
    decay,
    time_constant,
)


def test_arrays_are_copied_and_read_only():
    weight = np.ones((2, 3))
    node = Linear(weight=weight)
    weight[0, 0] = 5
    assert node.weight[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        node.weight[0, 0] = 2


def test_a_node_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Linear(weight=np.ones((2, 3))).weight = np.zeros((2, 3))


def test_integers_stay_integers_and_everything_else_becomes_float64():
    assert Linear(weight=np.ones((2, 3), np.int8)).weight.dtype == np.int8
    assert Linear(weight=np.ones((2, 3), np.float32)).weight.dtype == np.float64


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Linear(weight=np.ones(3)), r"\(outputs, inputs\), got shape \(3,\)"),
        (lambda: Linear(weight=np.ones((2, 3)), bias=np.ones(3)), "its weight has 2 outputs"),
        (lambda: Linear(weight=np.full((2, 3), np.nan)), "Linear.weight contains NaN"),
        (lambda: Linear(weight=np.ma.array(np.eye(2), mask=np.eye(2))), "Linear.weight has masked"),
        (lambda: Conv2d(weight=np.ones((2, 3))), r"\(out, in / groups, y, x\)"),
        (lambda: Conv2d(weight=np.ones((3, 1, 2, 2)), groups=2), "cannot be divided"),
        (lambda: Conv2d(weight=np.ones((3, 1, 2, 2)), stride=(0, 1)), "must be >= 1"),
        (lambda: Conv2d(weight=np.ones((3, 1, 2, 2)), groups=0), "cannot be divided"),
        (lambda: Conv1d(weight=np.ones((2, 3))), r"\(out, in / groups, kernel\), got shape"),
        (lambda: Conv1d(weight=np.ones((3, 1, 2)), groups=2), "cannot be divided"),
        (lambda: Conv1d(weight=np.ones((3, 1, 2)), stride=0), "must be >= 1"),
        (lambda: Conv1d(weight=np.ones((3, 1, 2)), padding=-1), "padding >= 0"),
        (lambda: Conv1d(weight=np.ones((3, 1, 2)), bias=np.ones(2)), "its weight has 3 outputs"),
        (lambda: SumPool2d(kernel=(0, 2), stride=(2, 2)), "must be >= 1"),
        (lambda: ConvTranspose1d(weight=np.ones((2, 3))), r"\(in, out / groups, kernel\), got"),
        (lambda: ConvTranspose2d(weight=np.ones((3, 1, 2, 2)), groups=2), "cannot be divided"),
        (lambda: ConvTranspose2d(weight=np.ones((3, 1, 2, 2)), stride=0), "must be >= 1"),
        (lambda: ConvTranspose1d(weight=np.ones((3, 1, 2)), output_padding=1), "below stride or"),
        (lambda: ConvTranspose1d(weight=np.ones((3, 1, 2)), bias=np.ones(3)), "1 outputs"),
        (lambda: Pad(before=(1, 2), after=(1,)), "has 2 axes, after 1"),
        (lambda: Reshape(shape=(2, -1)), "needs sizes >= 1"),
        (lambda: Permute(axes=(0, 2)), "each axis from 0 once"),
        (lambda: Neuron(shape=(2,), v_threshold=0.0), "must be > 0"),
        (lambda: Neuron(shape=(2,), v_threshold=[1, 1, 1]), "incompatible|broadcast"),
        (lambda: Neuron(shape=(2,), v_threshold=1.0, alpha_mem=1.5), r"must be in 0\.\.1"),
        (lambda: Neuron(shape=(2,), v_threshold=1.0, alpha_syn=0.5), "needs an axis of synapses"),
        (lambda: Neuron(shape=(2,), v_threshold=1.0, max_spikes=0), "a whole number >= 1"),
    ],
)
def test_what_makes_no_sense_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("node", "given", "wanted"),
    [
        (Conv1d(weight=np.ones((3, 2, 4)), stride=2, padding=1), (2, 9), (3, 4)),
        (Conv1d(weight=np.ones((3, 2, 4))), (2, 4), (3, 1)),
        (Scale(scale=2.0), (2, 9), (2, 9)),
        (Scale(scale=np.ones((2, 1))), (2, 9), (2, 9)),
        (Linear(weight=np.ones((4, 3))), (3,), (4,)),
        (Conv2d(weight=np.ones((4, 2, 3, 5))), (2, 8, 8), (4, 6, 4)),
        (Conv2d(weight=np.ones((4, 1, 3, 3)), groups=2, stride=2, padding=1), (2, 7, 8), (4, 4, 4)),
        (Conv2d(weight=np.ones((1, 1, 3, 3)), dilation=2), (1, 8, 8), (1, 4, 4)),
        (SumPool2d(kernel=2, stride=2), (3, 5, 4), (3, 2, 2)),
        (Neuron(shape=(2,), v_threshold=1.0, alpha_syn=[0.5, 0.9]), (4,), (2,)),
        (MembraneReadout(shape=(2,)), (2,), (2,)),
    ],
)
def test_shapes_follow(node, given, wanted):
    assert node.output_shape(given) == wanted


@pytest.mark.parametrize(
    ("node", "given"),
    [
        (Linear(weight=np.ones((4, 3))), (4,)),
        (Conv2d(weight=np.ones((4, 2, 3, 5))), (3, 8, 8)),
        (Conv2d(weight=np.ones((4, 2, 9, 9))), (2, 8, 8)),
        (SumPool2d(kernel=4, stride=4), (3, 3, 3)),
        (ConvTranspose2d(weight=np.ones((3, 1, 2, 2))), (2, 3, 3)),
        (Permute(axes=(1, 0)), (2, 3, 3)),
        (Pad(before=(0, 0), after=(1, 1)), (2, 3, 3)),
        (BatchNorm(mean=[0.0], var=[1.0], gamma=[1.0], beta=[0.0], eps=0.0), (2, 3, 3)),
        (MembraneReadout(shape=(2,)), (3,)),
    ],
)
def test_an_input_that_does_not_fit_is_refused(node, given):
    with pytest.raises(ValueError, match=r"takes|is larger than"):
        node.output_shape(given)


def test_decay_and_time_constant_are_inverse():
    assert time_constant(decay(20e-3, 1e-3), 1e-3) == pytest.approx(20e-3)
    assert time_constant(np.ones(()), 1e-3) == np.inf


@pytest.mark.parametrize(
    ("node", "given", "message"),
    [
        (
            Conv1d(weight=np.ones((3, 2, 4))),
            (2, 3),
            r"a kernel of 4 is larger than the input \(2, 3\)",
        ),
        (Conv1d(weight=np.ones((3, 2, 4))), (3, 9), r"takes shape \(2, length\), got \(3, 9\)"),
        (Reshape(shape=(2, 4)), (9,), r"\(9,\) has 9 features, \(2, 4\) has 8"),
        (Pad(before=(-2,), after=(-1,)), (3,), r"leaves nothing of \(3,\)"),
        (Scale(scale=np.ones(3)), (2,), r"does not broadcast to \(2,\)"),
        (Scale(scale=np.ones((2, 3))), (3,), r"does not broadcast to \(3,\)"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(node, given, message):
    with pytest.raises(ValueError, match=message):
        node.output_shape(given)
