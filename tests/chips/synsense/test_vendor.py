"""The vendor's library: absent, a stub that must not be imported, or a surface that is set."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.chips.speck.networks import chain
from tests.chips.xylo.programs import quiet
from tests.chips.xylo.surfaces import classes, plain
from toolchain.chips.load import load_chip
from toolchain.chips.speck.emit.tree import configuration as speck_tree
from toolchain.chips.speck.live.boards import BOARDS as SPECKS
from toolchain.chips.synsense import vendor
from toolchain.chips.synsense.vendor import assign, build_configuration
from toolchain.chips.xylo.emit.tree import configuration as xylo_tree
from toolchain.chips.xylo.live.boards import BOARDS, to_samna
from toolchain.diagnostics import VendorError

A2, A3, SPECK = load_chip("xylo_a2"), load_chip("xylo_a3"), load_chip("speck2f")
STUB = "raise RuntimeError('the stub was imported')\n"
STUB_MESSAGE = (
    "^the installed samna is the public index's installer stub, which runs pip when it is "
    "imported; install the vendor's own wheel$"
)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution called samna, with these files, where Python looks first."""

    def put(files, listed=None):
        info = tmp_path / "samna-0.48.6.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: samna\nVersion: 0.48.6\n")
        rows = [f"{name},," for name in (listed or files)] + ["samna-0.48.6.dist-info/METADATA,,"]
        (info / "RECORD").write_text("\n".join(rows) + "\n")
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))

    loaded = {name for name in sys.modules if name.split(".")[0] == "samna"}
    assert not loaded
    yield put
    for name in [name for name in sys.modules if name.split(".")[0] == "samna"]:
        del sys.modules[name]


def test_without_samna_there_is_no_live_configuration(monkeypatch):
    def absent(name):
        raise vendor.PackageNotFoundError(name)

    monkeypatch.setattr(vendor, "distribution", absent)
    with pytest.raises(VendorError, match=r"^samna is not installed; it comes from the vendor"):
        to_samna({}, A2)


def test_the_stub_is_refused_and_not_imported(install):
    install({"samna/__init__.py": STUB})
    with pytest.raises(VendorError, match=STUB_MESSAGE):
        to_samna({}, A2)
    assert "samna" not in sys.modules


def test_the_stub_is_refused_when_its_module_was_compiled(install):
    files = ["samna/__init__.py", "samna/__pycache__/__init__.cpython-311.pyc"]
    install({"samna/__init__.py": STUB}, listed=files)
    with pytest.raises(VendorError, match=STUB_MESSAGE):
        to_samna({}, A2)
    assert "samna" not in sys.modules


def test_a_distribution_without_list_of_files_is_refused(install, tmp_path):
    install({"samna/__init__.py": STUB})
    (tmp_path / "samna-0.48.6.dist-info" / "RECORD").unlink()
    with pytest.raises(VendorError, match=STUB_MESSAGE):
        to_samna({}, A2)


CHIPS = tuple(map(load_chip, ("xylo_1", "xylo_a2", "xylo_imu", "xylo_a3")))
SURFACE = """
from tests.chips.xylo.surfaces import classes
configuration = classes("samna.{0}")
"""
STRANGER = "configuration = object()\n"


def stands_in(*modules):
    """The files of a library with these modules, each with its recorded surface."""
    files = {"samna/__init__.py": "", "samna/samna.so": ""}
    return files | {f"samna/{m}/__init__.py": SURFACE.format(m) for m in modules}


@pytest.fixture
def library(install):
    install(stands_in("xyloCore2"))


def rich(chip):
    """A program that uses all that the chip has."""
    rng = np.random.default_rng(0)
    synapses = int(chip.limits.hidden_synapses.value)
    with_bias = chip.limits.bias_width is not None
    return quiet(
        inputs=3,
        hidden=4,
        outputs=2,
        synapses=synapses,
        core=chip.integer_core,
        weights_in=rng.integers(-128, 128, (3, 4, synapses)),
        weights_rec=rng.integers(-128, 128, (4, 4, synapses)),
        weights_out=rng.integers(-128, 128, (4, 2)),
        dash_syn_2=np.array([3, 4, 5, 6]),
        bias=np.array([25, -128, 127, 0]) * with_bias,
        bias_out=np.array([-3, 4]) * with_bias,
        weight_shift_in=7,
        aliases=((), (0,), (), (2,)),
        dt=5e-3,
    )


def restricted(live, tree):
    """Return the part of ``live`` that ``tree`` has values for."""
    if isinstance(tree, dict):
        return {name: restricted(live[name], part) for name, part in tree.items()}
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        return [restricted(*pair) for pair in zip(live, tree, strict=True)]
    return live


@pytest.mark.parametrize("mode", ["AcceleratedTime", "RealTime"])
@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_every_value_of_a_xylo_tree_is_set_on_the_chips_own_surface(install, chip, mode):
    install(stands_in(chip.vendor_module.rpartition(".")[2]))
    tree = xylo_tree(rich(chip), chip, operation_mode=mode)
    live = to_samna(tree, chip)
    assert type(live).__name__ == "XyloConfiguration"
    assert restricted(plain(live), tree) == tree


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_what_a_xylo_tree_does_not_name_stays_as_the_vendor_has_it(chip):
    module = classes(chip.vendor_module)
    before = plain(module.XyloConfiguration())
    live = plain(
        build_configuration(module, {"readout": {"weight_bit_shift": 3}}, chip, BOARDS.classes)
    )
    assert live["readout"].pop("weight_bit_shift") == 3
    before["readout"].pop("weight_bit_shift")
    assert live == before


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_the_hidden_neurons_are_of_the_vendors_class(chip):
    module = classes(chip.vendor_module)
    live = build_configuration(module, xylo_tree(rich(chip), chip), chip, BOARDS.classes)
    part = "reservoir" if chip.name in ("xylo_1", "xylo_a2") else "hidden"
    neurons = getattr(live, part).neurons
    assert {type(n).__name__ for n in neurons} == {f"{part.title()}Neuron"}
    assert [n.alias_target for n in neurons] == [None, 0, None, 2]
    assert {type(n).__name__ for n in live.readout.neurons} == {"OutputNeuron"}


@pytest.mark.parametrize(
    ("made_for", "loaded_on", "message"),
    [
        (
            "xylo_a2",
            "xylo_imu",
            r"has no attribute (synapse2_enable|reservoir|input\.syn2_weights)",
        ),
        ("xylo_imu", "xylo_a2", r"has no attribute (hidden|imu_if_input_enable)"),
        ("xylo_a3", "xylo_imu", r"has no attribute (input\.syn2_weights|synapse2_enable)"),
        ("xylo_a2", "xylo_1", r"has no attribute (enable_hibernation_mode|bias_enable)"),
    ],
)
def test_a_tree_of_another_chip_is_not_taken(made_for, loaded_on, message):
    chip, module = load_chip(made_for), classes(load_chip(loaded_on).vendor_module)
    with pytest.raises(VendorError, match=f"^the vendor's configuration {message}$"):
        build_configuration(module, xylo_tree(rich(chip), chip), chip, BOARDS.classes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bias_enable": 1}, "bias_enable rejects its value"),
        ({"input": {"weights": [[128]]}}, r"input\.weights rejects its value"),
        ({"input": {"weight_bit_shift": True}}, r"input\.weight_bit_shift rejects its value"),
        (
            {"hidden": {"neurons": [{"threshold": 1}, {"threshold": 2.0}]}},
            r"hidden\.neurons\[1\]\.threshold rejects its value",
        ),
        ({"input_source": "Radio"}, "input_source: the vendor's InputSource has no Radio"),
    ],
)
def test_a_value_of_another_type_is_not_taken(values, message):
    module = classes(A3.vendor_module)
    with pytest.raises(VendorError, match=f"^{message}"):
        build_configuration(module, values, A3, BOARDS.classes)


def test_a_library_without_this_chip_is_refused(library):
    message = (
        "^the installed samna has no samna.xyloAudio3.configuration; xylo_a3 needs another version$"
    )
    with pytest.raises(VendorError, match=message):
        to_samna({}, A3)


def test_a_module_without_a_known_configuration_is_refused(install):
    install({**stands_in(), "samna/speck2f/__init__.py": STRANGER})
    message = "^samna.speck2f.configuration has none of SpeckConfiguration, DynapcnnConfiguration$"
    with pytest.raises(VendorError, match=message):
        SPECKS.to_samna({}, SPECK)


def speck_surface(cores=9):
    def vector():
        return SimpleNamespace(x=0, y=0)

    def shape():
        return SimpleNamespace(feature_count=0, size=vector())

    def layer():
        target = [SimpleNamespace(layer=0, enable=False, pooling=1) for _ in range(2)]
        dimensions = SimpleNamespace(
            input_shape=shape(),
            output_shape=shape(),
            kernel_size=0,
            stride=vector(),
            padding=vector(),
        )
        plain = (
            "weights biases leak_enable neurons_initial_value threshold_high threshold_low "
            "return_to_zero monitor_enable input_congestion_balancer_enable "
            "output_decimator_enable leak_internal_slow_clk_enable"
        )
        fields = dict.fromkeys(plain.split())
        return SimpleNamespace(dimensions=dimensions, destinations=target, **fields)

    return SimpleNamespace(
        cnn_layers=[layer() for _ in range(cores)],
        dvs_layer=SimpleNamespace(pass_sensor_events=True),
        readout=SimpleNamespace(enable=True),
    )


def placed():
    network = chain((1, 4, 4), {"outputs": 2, "kernel": 3, "pool": 2}, {"outputs": 3, "kernel": 1})
    return speck_tree(network.placed({"spk0": 7, "spk1": 3}))


def test_every_value_of_a_speck_tree_is_set_on_its_core():
    live = assign(speck_surface(), placed(), {})
    first, last = live.cnn_layers[7], live.cnn_layers[3]
    assert first.dimensions.output_shape.feature_count == 2
    assert first.dimensions.input_shape.size == SimpleNamespace(x=4, y=4)
    targets = [(t.layer, t.enable, t.pooling) for t in first.destinations]
    assert targets == [(3, True, 2), (0, False, 1)]
    assert (first.monitor_enable, last.monitor_enable) == (False, True)
    assert live.cnn_layers[0].weights is None
    assert live.dvs_layer.pass_sensor_events is False


def test_a_core_without_destinations_keeps_the_vendors():
    live = assign(speck_surface(), placed(), {})
    assert [t.enable for t in live.cnn_layers[3].destinations] == [False, False]


def test_a_core_that_is_not_there_is_named():
    message = r"^cnn_layers\.7 is out of range: the vendor's list has 5 items$"
    with pytest.raises(VendorError, match=message):
        assign(speck_surface(cores=5), placed(), {})


def test_an_attribute_that_is_not_there_is_named():
    live = speck_surface()
    del live.cnn_layers[3].dimensions.stride.x
    message = r"^the vendor's configuration has no attribute cnn_layers\.3\.dimensions\.stride\.x$"
    with pytest.raises(VendorError, match=message):
        assign(live, placed(), {})


def test_too_short_a_list_is_named():
    live = speck_surface()
    live.cnn_layers[7].destinations = []
    with pytest.raises(VendorError, match=r"^cnn_layers\.7\.destinations has 0 items, needs 2$"):
        assign(live, placed(), {})


def test_a_member_that_an_enumeration_lacks_is_named(library):
    with pytest.raises(
        VendorError, match=r"^operation_mode: the vendor's OperationMode has no Sleep$"
    ):
        to_samna({"operation_mode": "Sleep"}, A2)


class Strict:
    """Takes whole numbers only, as the vendor's bindings do."""

    @property
    def threshold(self):
        return 0

    @threshold.setter
    def threshold(self, value):
        raise TypeError(f"incompatible function arguments: {value!r}")


def test_a_value_that_is_not_taken_is_named():
    message = r"^inner\.threshold rejects its value: incompatible function arguments: 1\.5$"
    with pytest.raises(VendorError, match=message):
        assign(SimpleNamespace(inner=Strict()), {"inner": {"threshold": 1.5}}, {})
