"""The vendor's library: absent, a stub that must not be imported, or a surface that is set."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.chips.speck.networks import chain
from tests.chips.xylo.programs import quiet
from toolchain.chips import vendor
from toolchain.chips.speck.emit import configuration as speck_tree
from toolchain.chips.vendor import assign, to_samna
from toolchain.chips.xylo.emit import configuration as xylo_tree
from toolchain.diagnostics import VendorError
from toolchain.hardware import load_chip

A2, A3, SPECK = load_chip("xylo_a2"), load_chip("xylo_a3"), load_chip("speck2f")
STUB = "raise RuntimeError('the stub was imported')\n"
STUB_MESSAGE = (
    "^the samna that is installed is the public index's installer stub, which runs pip when it is "
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


SURFACE = '''
class Part:
    def __init__(self, **fields):
        self.__dict__.update(fields)

class OperationMode:
    """Members are attributes of the type."""

OperationMode.Manual = OperationMode()
OperationMode.AcceleratedTime = OperationMode()

def matrix():
    return Part(weights=[], weight_bit_shift=0, syn2_weights=[])

class ReservoirNeuron(Part):
    def __init__(self):
        super().__init__(i_syn_decay=0, i_syn2_decay=0, v_mem_decay=0, threshold=0,
                         v_mem_bias=0, alias_target=None)

class OutputNeuron(Part):
    def __init__(self):
        super().__init__(i_syn_decay=0, v_mem_decay=0, threshold=0, v_mem_bias=0)

class XyloConfiguration(Part):
    def __init__(self):
        reservoir, readout = matrix(), matrix()
        reservoir.neurons, reservoir.aliasing, readout.neurons = [], False, []
        clocks = ("isyn_clock_enable isyn2_clock_enable ra_clock_enable bias_clock_enable "
                  "hm_clock_enable ram_power_enable")
        super().__init__(input=matrix(), reservoir=reservoir, readout=readout, bias_enable=False,
                         synapse2_enable=False, enable_hibernation_mode=True,
                         operation_mode=OperationMode.Manual,
                         debug=Part(**dict.fromkeys(clocks.split(), False)))
'''
LIBRARY = {
    "samna/__init__.py": "",
    "samna/samna.so": "",
    "samna/xyloCore2/__init__.py": "",
    "samna/xyloCore2/configuration.py": SURFACE,
}


@pytest.fixture
def library(install):
    files = dict(LIBRARY)
    files["samna/xyloCore2/__init__.py"] = "from samna.xyloCore2 import configuration\n"
    install(files)


def test_every_value_of_a_xylo_tree_is_set(library):
    made = quiet(hidden=3, threshold=np.array([5, 6, 7]), aliases=((), (2,), ()))
    tree = xylo_tree(made, A2)
    live = to_samna(tree, A2)
    assert type(live).__name__ == "XyloConfiguration"
    assert live.enable_hibernation_mode is False
    assert live.operation_mode is type(live.operation_mode).AcceleratedTime
    assert live.input.weights == tree["input"]["weights"]
    assert [n.threshold for n in live.reservoir.neurons] == [5, 6, 7]
    assert [n.alias_target for n in live.reservoir.neurons] == [None, 2, None]
    assert {type(n).__name__ for n in live.reservoir.neurons} == {"ReservoirNeuron"}
    assert [type(n).__name__ for n in live.readout.neurons] == ["OutputNeuron"]
    assert live.debug.ram_power_enable is True


def test_a_library_without_this_chip_is_refused(library):
    message = (
        "^the samna that is installed has no samna.xyloAudio3.configuration; xylo_a3 needs "
        "another version of it$"
    )
    with pytest.raises(VendorError, match=message):
        to_samna({}, A3)


def test_a_module_without_a_known_configuration_is_refused(install):
    empty = {"samna/speck2f/configuration.py": ""}
    start = {"samna/speck2f/__init__.py": "from samna.speck2f import configuration\n"}
    install({"samna/__init__.py": "", "samna/a.so": "", **start, **empty})
    message = "^samna.speck2f.configuration has none of XyloConfiguration, SpeckConfiguration"
    with pytest.raises(VendorError, match=message):
        to_samna({}, SPECK)


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
    live = assign(speck_surface(), placed(), None)
    first, last = live.cnn_layers[7], live.cnn_layers[3]
    assert first.dimensions.output_shape.feature_count == 2
    assert first.dimensions.input_shape.size == SimpleNamespace(x=4, y=4)
    targets = [(t.layer, t.enable, t.pooling) for t in first.destinations]
    assert targets == [(3, True, 2), (0, False, 1)]
    assert (first.monitor_enable, last.monitor_enable) == (False, True)
    assert live.cnn_layers[0].weights is None
    assert live.dvs_layer.pass_sensor_events is False


def test_a_core_without_destinations_keeps_the_vendors():
    live = assign(speck_surface(), placed(), None)
    assert [t.enable for t in live.cnn_layers[3].destinations] == [False, False]


def test_a_core_that_is_not_there_is_named():
    message = r"^cnn_layers\.7 is beyond the 5 items of the vendor's list$"
    with pytest.raises(VendorError, match=message):
        assign(speck_surface(cores=5), placed(), None)


def test_an_attribute_that_is_not_there_is_named():
    live = speck_surface()
    del live.cnn_layers[3].dimensions.stride.x
    message = r"^the vendor's configuration has no attribute cnn_layers\.3\.dimensions\.stride\.x$"
    with pytest.raises(VendorError, match=message):
        assign(live, placed(), None)


def test_too_short_a_list_is_named():
    live = speck_surface()
    live.cnn_layers[7].destinations = []
    with pytest.raises(VendorError, match=r"^cnn_layers\.7\.destinations holds 0 items, needs 2$"):
        assign(live, placed(), None)


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
    message = r"^inner\.threshold does not take its value: incompatible function arguments: 1\.5$"
    with pytest.raises(VendorError, match=message):
        assign(SimpleNamespace(inner=Strict()), {"inner": {"threshold": 1.5}}, None)
