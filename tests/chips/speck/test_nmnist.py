"""The trained N-MNIST network of the NIR paper on Speck 2f, with a real recording."""

import numpy as np
import pytest

from tests.oracles import nmnist
from toolchain import deploy
from toolchain.runs.recording import count_agreement

pytestmark = pytest.mark.skipif(
    bool(nmnist.MISSING), reason=f"files of others that are not there: {nmnist.MISSING}"
)


@pytest.fixture(scope="module")
def raster():
    return nmnist.recording()


@pytest.fixture(scope="module")
def common():
    return deploy(nmnist.network(), chip="speck2f", quantizer="common")


@pytest.fixture(scope="module")
def auto(raster):
    return deploy(nmnist.network(), chip="speck2f", calibration=raster)


def counts(recording):
    """Spikes of each layer."""
    return [int(layer.spikes.sum()) for layer in recording.layers.values()]


def thresholds(deployment):
    return tuple(core.threshold_high for core in deployment.program.cores)


def test_the_recording_has_the_published_number_of_events(raster):
    assert raster.shape == (1, 312, 2, 34, 34)
    assert raster.sum() == 4325


def test_the_float_network_spikes_as_it_does_in_sinabs(common, raster):
    reference = common.reference(raster, record=True)
    assert counts(reference) == list(nmnist.FLOAT_COUNTS)
    assert reference.spikes.sum(axis=1).argmax() == nmnist.DIGIT


def test_common_gives_what_sinabs_gives(common, raster):
    run = common.simulate(raster, record=True)
    assert thresholds(common) == nmnist.SINABS_THRESHOLDS
    assert counts(run) == list(nmnist.SINABS_COUNTS)
    assert run.spikes.sum(axis=1).argmax() == nmnist.DIGIT
    assert not any(run.saturations.values())


def test_without_a_floor_common_keeps_its_thresholds_and_the_network_its_life(raster):
    deployed = deploy(nmnist.network(floor=None), chip="speck2f", quantizer="common")
    assert thresholds(deployed) == nmnist.SINABS_THRESHOLDS
    wanted, got = deployed.reference(raster, record=True), deployed.simulate(raster, record=True)
    assert got.spikes.sum(axis=1).argmax() == nmnist.DIGIT
    np.testing.assert_allclose(counts(got), counts(wanted), rtol=0.1)


def test_auto_is_closer_to_the_float_counts_than_common_in_every_layer(common, auto, raster):
    run = auto.simulate(raster, record=True)
    assert run.spikes.sum(axis=1).argmax() == nmnist.DIGIT
    mine, known = counts(run), counts(common.simulate(raster, record=True))
    for wanted, ours, theirs in zip(nmnist.FLOAT_COUNTS, mine, known, strict=True):
        assert abs(ours - wanted) < abs(theirs - wanted)


def test_auto_agrees_better_than_common_on_recordings_it_never_heard(common, auto, raster):
    others = nmnist.variations(raster)
    wanted = auto.reference(others, record=True)
    mine, known = (d.simulate(others, record=True) for d in (auto, common))
    assert count_agreement(wanted.spikes, mine.spikes) > count_agreement(
        wanted.spikes, known.spikes
    )
    for name, layer in wanted.layers.items():
        ours, theirs = (
            count_agreement(layer.spikes, run.layers[name].spikes.reshape(layer.spikes.shape))
            for run in (mine, known)
        )
        assert ours > theirs, name


def test_auto_says_what_limits_each_layer_and_how_well_it_agrees(auto):
    findings = {(f.rule, f.where): f.message for f in auto.diagnostics}
    assert {where for rule, where in findings if rule == "levels"} == {"0", "2", "5", "9", "11"}
    assert all("weights limit" in findings["levels", name] for name in ("0", "2", "5", "9", "11"))
    assert "common to 93.4 %" in findings["agreement", "network"]
