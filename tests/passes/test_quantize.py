import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import chain, dense
from toolchain.ir import Conv2d, Linear, Neuron
from toolchain.passes import quantize
from toolchain.passes.quantize import WordWidths, scales
from toolchain.runs.interpret import interpret

SPECK = WordWidths(weight=8, bias=16, threshold=16, state=16)


def test_the_largest_weight_fills_its_word():
    done = quantize(dense([[0.25, -0.5]]), bits=SPECK, per="layer")
    assert done["fc"].weight.tolist() == [[64, -127]]
    assert done["lif"].v_threshold == 254
    assert done["fc"].weight.dtype == np.int64


def test_rounding_is_half_to_even():
    done = quantize(dense([[127, 0.5, 1.5, 2.5]]), bits=SPECK, per="layer")
    assert done["fc"].weight.tolist() == [[127, 0, 2, 2]]


def test_every_neuron_has_its_own_scale_where_that_is_asked():
    graph = dense([[0.5], [0.25]])
    per_layer = quantize(graph, bits=SPECK, per="layer")
    per_neuron = quantize(graph, bits=SPECK, per="neuron")
    assert per_layer["fc"].weight.tolist() == [[127], [64]]
    assert per_layer["lif"].v_threshold.tolist() == 254
    assert per_neuron["fc"].weight.tolist() == [[127], [127]]
    assert per_neuron["lif"].v_threshold.tolist() == [254, 508]


@pytest.mark.parametrize(
    ("graph", "peaks", "limited_by"),
    [
        (dense([[0.5]]), None, "weights"),
        (dense([[1e-3]]), None, "threshold"),
        (dense([[1e-2]], bias=[300.0]), None, "bias"),
        (dense([[1e-2]], v_min=-1000.0), None, "v_min"),
        (dense([[0.5]]), {"lif": np.array([1000.0])}, "state"),
    ],
)
def test_the_word_that_limits_a_scale_is_named(graph, peaks, limited_by):
    assert scales(graph, bits=SPECK, per="layer", peaks=peaks)["lif"].limited_by == limited_by


def test_a_missing_floor_does_not_cost_the_weights_their_bits():
    done = quantize(dense([[0.25, -0.5]], v_min=None), bits=SPECK, per="layer")
    assert abs(done["fc"].weight).max() == 127


def test_a_threshold_is_never_below_one():
    done = quantize(dense([[100.0]], v_threshold=1e-3), bits=SPECK, per="layer")
    assert done["lif"].v_threshold == 1


def test_a_neuron_without_weights_never_fires_by_accident():
    done = quantize(dense([[0.5], [0.0]], v_threshold=0.3), bits=SPECK, per="neuron")
    assert done["lif"].v_threshold[1] > 1


def test_a_layer_without_weights_of_its_own_is_left_alone():
    graph = chain((1,), lif=Neuron(shape=(1,), v_threshold=0.5))
    assert str(quantize(graph, bits=SPECK, per="layer")) == str(graph)


def test_a_convolution_gets_one_scale_for_its_layer():
    graph = chain(
        (1, 3, 3),
        conv=Conv2d(weight=[[[[0.5]]], [[[0.25]]]], bias=[0.1, 0.2]),
        lif=Neuron(shape=(2, 3, 3), v_threshold=1.0, v_min=-1.0),
    )
    done = quantize(graph, bits=SPECK, per="neuron")
    assert done["conv"].weight.ravel().tolist() == [127, 64]
    assert done["conv"].bias.tolist() == [25, 51]
    assert done["lif"].v_min == -254


@given(seed=st.integers(0, 10_000), per=st.sampled_from(["layer", "neuron"]))
@settings(deadline=None, max_examples=100)
def test_every_value_fits_its_word_and_the_input_is_untouched(seed, per):
    rng = np.random.default_rng(seed)
    outputs, inputs = rng.integers(1, 6, 2)
    graph = dense(
        rng.normal(size=(outputs, inputs)) * 10.0 ** rng.integers(-4, 3),
        bias=rng.normal(size=outputs) * 10.0 ** rng.integers(-4, 3),
        v_threshold=rng.uniform(0.01, 10, outputs),
    )
    before = str(graph)
    done = quantize(graph, bits=SPECK, per=per)
    assert abs(done["fc"].weight).max() <= 127
    assert abs(done["fc"].bias).max() <= 32767
    assert done["lif"].v_threshold.min() >= 1
    assert done["lif"].v_threshold.max() <= 32767
    assert str(graph) == before


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_integers_that_fit_already_spike_as_before(seed):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (4, 5))
    weight[:, 0] = 127
    graph = dense(weight, v_threshold=rng.integers(100, 400, 4), v_min=-300.0)
    done = quantize(graph, bits=SPECK, per="neuron")
    assert done["fc"].weight.tolist() == weight.tolist()
    x = rng.poisson(0.5, (2, 20, 5))
    np.testing.assert_array_equal(interpret(graph, x).spikes, interpret(done, x).spikes)


@pytest.mark.parametrize("per", ["layer", "neuron"])
def test_the_synapses_of_a_neuron_share_its_scale(per):
    graph = chain(
        (1,),
        fc=Linear(weight=[[1.0], [0.5], [0.25], [0.25]]),
        lif=Neuron(shape=(2,), v_threshold=1.0, alpha_mem=0.5, alpha_syn=[0.5, 0.75]),
    )
    done = quantize(graph, bits=SPECK, per=per)
    rows = {"layer": [127, 64, 32, 32], "neuron": [127, 64, 127, 127]}
    assert done["fc"].weight.ravel().tolist() == rows[per]


def test_a_membrane_that_starts_high_limits_its_scale():
    scale = scales(dense([[1e-3]], v_init=1000.0, v_threshold=1e-3), bits=SPECK, per="layer")["lif"]
    assert scale.limited_by == "state"
