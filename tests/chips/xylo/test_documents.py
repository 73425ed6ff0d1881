"""Files of finished programs: quantized specifications as JSON, the vendor's configuration."""

import json

import numpy as np
import pytest

from toolchain import DeployError, Deployment, deploy, load
from toolchain.chips.xylo import XyloOptions, XyloProgram, simulate, write_config
from toolchain.chips.xylo.network import network_of
from toolchain.diagnostics import ModelFileError
from toolchain.runs.interpret import interpret

RNG = np.random.default_rng(4)
INPUTS, HIDDEN, OUTPUTS = 3, 6, 2


def specification(synapses=1, **changes):
    """A specification in the types of rockpool's quantizers, as ``tolist`` gives them."""
    rec = RNG.integers(-20, 20, (HIDDEN, HIDDEN, synapses))
    spec = {
        "mapped_graph": "<GraphHolder>",
        "weights_in": RNG.integers(-40, 80, (INPUTS, HIDDEN, synapses)).tolist(),
        "weights_out": RNG.integers(-40, 60, (HIDDEN, OUTPUTS)).tolist(),
        "weights_rec": rec.tolist(),
        **{name: RNG.integers(2, 5, HIDDEN).tolist() for name in ("dash_mem", "dash_syn")},
        "dash_syn_2": [3] * HIDDEN,
        "dash_mem_out": [4] * OUTPUTS,
        "dash_syn_out": [3] * OUTPUTS,
        "threshold": [300] * HIDDEN,
        "threshold_out": [400] * OUTPUTS,
        "bias": [0] * HIDDEN,
        "bias_out": [0] * OUTPUTS,
        "weight_shift_in": 1,
        "weight_shift_rec": 0,
        "weight_shift_out": 2,
        "aliases": [[] for _ in range(HIDDEN)],
        "dt": 0.001,
    }
    return {key: value for key, value in {**spec, **changes}.items() if value != "gone"}


def written(tmp_path, document):
    path = tmp_path / "hw_config.json"
    path.write_text(json.dumps(document))
    return path


def spikes(steps=50):
    return RNG.integers(0, 3, (2, steps, INPUTS))


@pytest.mark.parametrize("chip", ["xylo_a3", "xylo_a2", "xylo_imu"])
def test_a_specification_is_loaded_unchanged(chip, tmp_path):
    spec, raster = specification(), spikes()
    d = deploy(written(tmp_path, spec), chip)
    program = XyloProgram.from_specification(chip, **spec)
    assert str(d.program) == str(program)
    run = d.simulate(raster)
    np.testing.assert_array_equal(run.spikes, simulate(program, raster).spikes)
    assert run.spikes.any()
    assert d.estimate(raster).power.unit == "µW"
    saved = Deployment.load(d.save(tmp_path / "artifact"))
    assert str(saved.program) == str(program)
    assert saved.config() == d.config()
    (found,) = [each for each in d.diagnostics if each.rule == "finished_program"]
    assert found.message.startswith("its integers are those of the file, unchanged;")


@pytest.mark.parametrize("name", ["weights_in", "weights_out", "threshold", "aliases"])
def test_a_mask_is_not_dropped(name):
    masked = np.ma.array([[1, 2]], mask=[[0, 1]])
    with pytest.raises(ValueError, match=f"{name}: has masked values; give an array without a"):
        XyloProgram.from_specification("xylo_a2", **specification() | {name: masked})


@pytest.mark.parametrize("synapses", [1, 2])
def test_its_network_computes_what_the_program_does(synapses, tmp_path):
    """Nearly: a decay takes at least 1 a step. An alias equals the connections of its target."""
    spec, raster = specification(synapses, aliases=[[4], [5], [], [], [], []]), spikes(200)
    program = XyloProgram.from_specification("xylo_a2", **spec)
    plain = {name: np.array(spec[name]) for name in ("weights_rec", "weights_out")}
    for weights in plain.values():
        weights[:2] += weights[4:]
    same = XyloProgram.from_specification("xylo_a2", **{**spec, **plain, "aliases": None})
    chip = simulate(program, raster).spikes
    np.testing.assert_array_equal(chip, simulate(same, raster).spikes)
    graph = load(written(tmp_path, spec))
    assert str(network_of(same)) == str(graph)
    # a hop between layers takes a step
    gave = interpret(graph, raster).spikes[:, :-1]
    assert gave.any()
    assert np.abs(gave - chip[:, 1:]).mean() < 0.06
    assert graph.provenance["chip_limits"] == "limits of xylo_a2, since the file states no chip"


@pytest.mark.parametrize("chip", ["xylo_a3", "xylo_a2"])
def test_a_saved_program_opens_though_its_network_breaks_a_rule_of_networks(chip, tmp_path):
    """A current with dash 0 and without weights is one that no network may have."""
    spec = specification(2, dash_syn_2=[0] * HIDDEN)
    for name in ("weights_in", "weights_rec"):
        spec[name] = [[[first, 0] for first, _ in row] for row in spec[name]]
    d = deploy(written(tmp_path, spec), chip)
    saved, raster = Deployment.load(d.save(tmp_path / "artifact")), spikes()
    assert str(saved.program) == str(d.program)
    np.testing.assert_array_equal(saved.simulate(raster).spikes, d.simulate(raster).spikes)


def printed(value):
    return str(np.array(value))


FORMS = {
    "numpy text": lambda spec: {k: printed(v) if k != "aliases" else v for k, v in spec.items()},
    "numpy repr": lambda spec: {
        k: repr(np.array(v)) if k.startswith("weights") else v for k, v in spec.items()
    },
    "wrapped": lambda spec: {"spec": spec, "accuracy": 0.9},
    "floats": lambda spec: {
        k: np.array(v, float).tolist() if k not in ("aliases", "dt", "mapped_graph") else v
        for k, v in spec.items()
    },
    "aliases of null": lambda spec: {**spec, "aliases": [None] * HIDDEN},
    "text of aliases": lambda spec: {**spec, "aliases": str(spec["aliases"])},
    "outputs with an axis": lambda spec: {
        **spec,
        "weights_out": np.array(spec["weights_out"])[..., None].tolist(),
    },
    "without the optional": lambda spec: {
        k: v
        for k, v in spec.items()
        if k not in ("bias", "bias_out", "dash_syn_2", "aliases", "mapped_graph")
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_in_which_a_specification_is_written(form, tmp_path):
    spec = specification()
    document = FORMS[form]({k: v for k, v in spec.items() if k != "mapped_graph"})
    d = deploy(written(tmp_path, document), "xylo_a3")
    wanted = XyloProgram.from_specification(
        "xylo_a3", **{**spec, "dash_syn_2": document.get("dash_syn_2") and spec["dash_syn_2"]}
    )
    if form != "wrapped":
        assert str(d.program) == str(wanted)
    assert d.graph.provenance.get("entries_left_out") == ("accuracy" if form == "wrapped" else None)


def test_dt_of_a_file_without_one_is_that_of_the_call(tmp_path):
    path = written(tmp_path, specification(dt="gone"))
    assert (deploy(path, "xylo_a3").graph.dt, deploy(path, "xylo_a3", dt=0.02).graph.dt) == (
        None,
        0.02,
    )
    with pytest.raises(ModelFileError, match=r"conflicting dt: 0\.02 s in the argument dt"):
        deploy(written(tmp_path, specification()), "xylo_a3", dt=0.02)


REFUSED = {
    "axes": ({"weights_in": [[[[1]]]]}, "weights_in: must be (pre, post) or (pre, post, 1 or 2)"),
    "ragged": ({"weights_rec": [[1, 2], [3]]}, "weights_rec: has rows of different length"),
    "shortened": (
        {"weights_in": "[[1 2 ... 3 4]]"},
        "weights_in: was shortened by numpy when it was written ('[[1 2 ... 3 4]]'...); write "
        "value.tolist()",
    ),
    "beyond 64 bit": (
        {"threshold": [10**30] + [1] * (HIDDEN - 1)},
        "threshold: must be in -32768..32767 (16 bit), got 1..1e+30 (1 of 6 values, the first at "
        "[0])",
    ),
    "text": ({"threshold": "high"}, "threshold: is text, 'high', expected numbers"),
    "missing": ({"dash_mem": "gone"}, "dash_mem: missing"),
    "unknown": ({"nodes": 3}, "unknown keys nodes; a Xylo specification has"),
    "not quantized": (
        {"weights_out": [[0.5] * OUTPUTS] * HIDDEN},
        "weights_out: must hold whole numbers, got 0.5 (12 of 12 values, the first at [0, 0])",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(
    "read", [load, lambda path: deploy(path, "xylo_a3")], ids=["load", "deploy"]
)
def test_a_fault_names_its_key(name, read, tmp_path):
    change, message = REFUSED[name]
    path = written(tmp_path, specification(**change))
    with pytest.raises(ModelFileError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: is a quantized specification of rockpool's mapper: ")
    assert message in text


def test_the_rules_of_the_chip_are_checked(tmp_path):
    silent = specification(threshold=[0] * HIDDEN)
    with pytest.raises(DeployError, match="the program does not fit xylo_a3: 1 error") as caught:
        deploy(written(tmp_path, silent), "xylo_a3")
    assert caught.value.diagnostics[0].rule == "thresholds"
    with pytest.raises(ModelFileError, match="threshold: below 1 in some neurons"):
        load(written(tmp_path, silent))
    two = written(tmp_path, specification(synapses=2))
    with pytest.raises(DeployError, match="xylo_imu has 1"):
        deploy(two, "xylo_imu")
    with pytest.raises(ModelFileError, match="for chips such as xylo_a2, and none for speck2f"):
        deploy(two, "speck2f")
    with pytest.raises(ValueError, match="to which quantizer=, options= do not apply"):
        deploy(two, "xylo_a2", quantizer="channel", options=XyloOptions(readout="v_mem"))


def test_the_vendor_s_configuration_is_read_as_a_program(tmp_path):
    spec, raster = specification(dt="gone"), spikes()
    program = XyloProgram.from_specification("xylo_a2", **spec)
    path = write_config(program, tmp_path / "config.json", {"operationMode": 1})
    d = deploy(path, "xylo", dt=1e-3)
    assert str(d.program).replace("dt: 0.001", "dt: None") == str(program)
    np.testing.assert_array_equal(d.simulate(raster).spikes, simulate(program, raster).spikes)
    assert d.graph.provenance["settings_left_out"] == "operationMode 1"
    assert load(path).provenance["file_kind"] == "the vendor's configuration of Xylo Audio 2"
    with pytest.raises(ModelFileError, match="is the configuration of xylo_a2; deploy it to that"):
        deploy(path, "xylo_a3")
    path.write_text(path.read_text().replace('"threshold": 300', '"threshold": 99999'))
    with pytest.raises(ModelFileError, match=r"reservoir.neurons\[0\].threshold: must be less"):
        load(path)
