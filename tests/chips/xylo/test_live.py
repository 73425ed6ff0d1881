"""Live use against a stand-in for the vendor's library.

The stand-in has the names that the vendor's documentation and recordings of its surface show, and
takes no others. It decodes the configuration and the events that it is sent and runs the plain
simulator on them: that checks our calls against that surface, not that surface against a board.
"""

import sys
from enum import Enum
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from tests.chips.xylo.programs import CAPS, quiet
from toolchain.chips.synsense import vendor
from toolchain.chips.xylo import XyloProgram
from toolchain.chips.xylo.live.session import check_versions, find_boards, read_power, run
from toolchain.chips.xylo.simulate.twin import simulate_slow
from toolchain.diagnostics import DeployError, VendorError

TYPES = {
    "xyloCore2": "XyloA2TestBoard",
    "xyloImu": "XyloImuTestBoard",
    "xyloAudio3": "XyloAudio3TestBoard",
}
CHIPS = {"xyloCore2": "xylo_a2", "xyloImu": "xylo_imu", "xyloAudio3": "xylo_a3"}


class Fields:
    """An object of the vendor's: it has these attributes and takes no others."""

    def __init__(self, **fields):
        self.__dict__.update(fields)

    def __setattr__(self, name, value):
        if name not in self.__dict__:
            raise AttributeError(name)
        self.__dict__[name] = value


class OperationMode(Enum):
    Manual = 0
    AcceleratedTime = 1
    RealTime = 2


class InputSource(Enum):
    DigitalMicrophone = 0
    SpikeEvents = 1


class Channels(Enum):
    Io = 0
    Core = 1

    def __int__(self):
        return self.value


def neuron(**more):
    own = {"i_syn_decay": 0, "v_mem_decay": 0, "threshold": 0, "v_mem_bias": 0}
    return lambda: Fields(**own, **more)


def blank(surface):
    """A fresh ``XyloConfiguration``."""
    hidden = "reservoir" if surface == "xyloCore2" else "hidden"
    matrix = {"weights": [], "weight_bit_shift": 0}
    two = surface != "xyloImu"
    second = {"syn2_weights": []} if two else {}
    fields = {
        "input": Fields(**matrix, **second),
        hidden: Fields(**matrix, **second, neurons=[], aliasing=False),
        "readout": Fields(**matrix, neurons=[]),
        "bias_enable": False,
        "enable_hibernation_mode": True,
        "operation_mode": OperationMode.Manual,
        "time_resolution_wrap": 0,
        "debug": Fields(always_update_omp_stat=False),
    }
    if two:
        fields["synapse2_enable"] = False
    if surface == "xyloCore2":
        clocks = "isyn isyn2 ra bias hm"
        switches = {f"{name}_clock_enable": False for name in clocks.split()}
        fields["debug"] = Fields(**switches, ram_power_enable=False)
        fields["clear_network_state"] = False
    elif surface == "xyloImu":
        fields["imu_if_input_enable"] = True
    else:
        fields["input_source"] = InputSource.DigitalMicrophone
    return Fields(**fields)


def decoded(live, surface):
    """The program that a configuration describes."""
    hidden = getattr(live, "reservoir" if surface == "xyloCore2" else "hidden")
    inner, outer = hidden.neurons, live.readout.neurons
    width = len(inner)

    def matrix(part, rows, columns):
        weights = [np.array(part.weights)]
        if getattr(live, "synapse2_enable", False):
            weights.append(np.array(part.syn2_weights))
        stacked = np.stack(weights, axis=2)
        padded = np.zeros((rows or stacked.shape[0], columns, stacked.shape[2]), int)
        padded[: stacked.shape[0], : stacked.shape[1]] = stacked
        return padded

    readout = np.zeros((width, len(outer)), int)
    readout[width - len(live.readout.weights) :] = live.readout.weights

    def of(neurons, name):
        return np.array([getattr(n, name, 0) for n in neurons])

    return XyloProgram(
        chip="decoded",
        core="v2",
        dt=None,
        weights_in=matrix(live.input, None, width),
        weights_rec=matrix(hidden, width, width),
        weights_out=readout,
        dash_mem=of(inner, "v_mem_decay"),
        dash_syn=of(inner, "i_syn_decay"),
        dash_syn_2=of(inner, "i_syn2_decay"),
        dash_mem_out=of(outer, "v_mem_decay"),
        dash_syn_out=of(outer, "i_syn_decay"),
        threshold=of(inner, "threshold"),
        threshold_out=of(outer, "threshold"),
        bias=of(inner, "v_mem_bias"),
        bias_out=of(outer, "v_mem_bias"),
        weight_shift_in=live.input.weight_bit_shift,
        weight_shift_rec=hidden.weight_bit_shift,
        weight_shift_out=live.readout.weight_bit_shift,
        aliases=tuple(() if n.alias_target is None else (n.alias_target,) for n in inner),
        **CAPS,
    )


class Sink(list):
    """Events that wait to be fetched."""

    def get_events(self):
        waiting = self[:]
        self.clear()
        return waiting


class StandIn:
    """The vendor's library with boards of ``types``; ``log`` is what was done with them.

    ``start`` is the last step that boards have processed; ``lost`` readouts never come.
    """

    __version__ = "0.48.0"

    def __init__(self, *types, start=-1, lost=0, refuses=""):
        self.log = []
        self.start, self.lost, self.refuses = start, lost, refuses
        infos = [SimpleNamespace(device_type_name=name) for name in types]
        self.device = SimpleNamespace(
            get_unopened_devices=lambda: list(infos),
            open_device=self.open,
            close_device=lambda board: self.log.append("closed"),
        )
        self.graph = SimpleNamespace(
            sink_from=lambda node: node, source_to=lambda node: SimpleNamespace(write=node)
        )
        for name in TYPES:
            setattr(self, name, self.surface(name))

    def surface(self, name):
        time = "timestamp" if name == "xyloCore2" else "timestep"
        events = SimpleNamespace(
            Spike=type("Spike", (Fields,), {}),
            TriggerReadout=type("TriggerReadout", (Fields,), {}),
            TriggerProcessing=type("TriggerProcessing", (Fields,), {}),
            WriteRegisterValue=type("WriteRegisterValue", (Fields,), {}),
            Readout=type("Readout", (Fields,), {}),
            Version=type("Version", (Fields,), {}),
        )
        second = {} if name == "xyloImu" else {"i_syn2_decay": 0}
        configuration = SimpleNamespace(
            XyloConfiguration=lambda: blank(name),
            ReservoirNeuron=neuron(alias_target=None, **second),
            HiddenNeuron=neuron(alias_target=None, **second),
            OutputNeuron=neuron(),
        )
        return SimpleNamespace(
            configuration=configuration,
            event=events,
            time=time,
            MeasurementChannels=Channels,
            validate_configuration=lambda live: (not self.refuses, self.refuses),
        )

    def open(self, info):
        self.log.append(f"opened {info.device_type_name}")
        return BoardStandIn(self, {v: k for k, v in TYPES.items()}[info.device_type_name])


class BoardStandIn:
    def __init__(self, library, name):
        self.library, self.name = library, name
        self.surface = getattr(library, name, None)
        self.outbox, self.power, self.sent, self.registers = Sink(), Sink(), [], {}
        model = SimpleNamespace(
            apply_configuration=self.apply,
            get_sink_node=lambda: self.receive,
            get_source_node=lambda: self.outbox,
        )
        if name == "xyloCore2":
            self.get_xylo_model = lambda: model
        else:
            self.get_model = lambda: model
        library.board = self

    def apply(self, live):
        self.program = decoded(live, self.name)
        self.mode, self.cleared = live.operation_mode, getattr(live, "clear_network_state", None)

    def get_stop_watch(self):
        return SimpleNamespace(start=lambda: self.library.log.append("stopwatch"))

    def get_power_monitor(self):
        return SimpleNamespace(
            get_source_node=lambda: self.power,
            start_auto_power_measurement=self.measure,
            stop_auto_power_measurement=lambda: self.library.log.append("power off"),
        )

    def measure(self, rate):
        self.library.log.append(f"power at {rate:g} Hz")
        for channel, value in [(1, 2e-4), (0, 3e-5), (1, 4e-4), (7, 1.0)]:
            self.power.append(SimpleNamespace(channel=channel, value=value))

    def readout(self, step, spikes):
        return self.surface.event.Readout(**{self.surface.time: step, "output_spikes": spikes})

    def receive(self, events):
        kinds = self.surface.event
        for event in events:
            if isinstance(event, kinds.TriggerReadout):
                self.outbox.append(kinds.Version(major=1, minor=1))
                self.outbox.append(self.readout(self.library.start, []))
            elif isinstance(event, kinds.WriteRegisterValue):
                self.registers[event.address] = event.data
            elif isinstance(event, kinds.TriggerProcessing):
                self.process(event.target_timestep)
            else:
                time = getattr(event, self.surface.time)
                assert not self.sent or time >= self.sent[-1][0], "spikes in order of time"
                self.sent.append((time, event.neuron_id))
        if self.name == "xyloCore2" and self.sent and not self.registers:
            # a later spike lets all earlier steps be processed
            self.process(self.sent.pop()[0])

    def process(self, end):
        first = self.library.start + 1
        raster = np.zeros((end - first, self.program.inputs), int)
        np.add.at(raster, tuple(np.array(self.sent, int).reshape(-1, 2).T - [[first], [0]]), 1)
        spikes = simulate_slow(self.program, raster).spikes[0].tolist()
        # the chip reads out all outputs that it has
        found = [self.readout(first + n, [*row, 0]) for n, row in enumerate(spikes)]
        self.outbox.extend(found[: len(found) - self.library.lost][::-1])


def busy(name, inputs=3, seed=0):
    """A program of the chip that fires, and a raster."""
    rng = np.random.default_rng(seed)
    synapses = 1 if name == "xyloImu" else 2
    program = quiet(
        inputs=inputs,
        hidden=6,
        outputs=2,
        synapses=synapses,
        chip=CHIPS[name],
        weights_in=rng.integers(-5, 100, (inputs, 6, synapses)),
        weights_rec=rng.integers(-40, 40, (6, 6, synapses)),
        weights_out=rng.integers(-9, 60, (6, 2)),
        threshold=np.full(6, 90),
        threshold_out=np.array([50, 300]),
        bias=np.array([0, 3, -4, 0, 9, 0]),
        weight_shift_in=1,
        aliases=((4,), (), (), (), (), ()),
    )
    raster = rng.integers(0, 4, (20, inputs)) * (rng.random((20, 1)) < 0.6)
    raster[0] = raster[-1] = 0
    return program, raster


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("start", [-1, 41])
def test_the_board_is_sent_what_the_simulator_is_given(name, start):
    program, raster = busy(name)
    samna = StandIn(TYPES[name], start=start)
    got = run(program, raster, samna=samna)
    want = simulate_slow(program, raster).spikes[0]
    assert 0 < want.sum() < want.size
    np.testing.assert_array_equal(got.spikes, want)
    assert got.spikes.dtype == np.int8
    assert got.board == f"{TYPES[name]}:0"
    assert got.power_w == {}
    assert samna.board.mode is OperationMode.AcceleratedTime
    assert samna.board.cleared is (True if name == "xyloCore2" else None)
    assert samna.log == [f"opened {TYPES[name]}", "closed"]


def test_audio_2_is_left_without_the_spike_that_ended_the_run():
    samna = StandIn("XyloA2TestBoard")
    run(*busy("xyloCore2"), samna=samna)
    assert samna.board.registers == dict.fromkeys([0x11, 0x12, 0x13, 0x14], 0)
    samna = StandIn("XyloImuTestBoard")
    run(*busy("xyloImu"), samna=samna)
    assert samna.board.registers == {}


def test_power_is_the_mean_of_each_channel_by_its_name():
    samna = StandIn("XyloImuTestBoard")
    got = run(*busy("xyloImu"), power_hz=50, samna=samna)
    assert got.power_w == pytest.approx({"Io": 3e-5, "Core": 3e-4, "channel 7": 1.0})
    power = ["stopwatch", "power at 50 Hz", "power off"]
    assert samna.log == ["opened XyloImuTestBoard", *power, "closed"]


def test_power_is_read_with_the_program_loaded_and_nothing_sent():
    program, _ = busy("xyloAudio3")
    samna = StandIn("XyloAudio3TestBoard")
    got = read_power(program, seconds=0, rate_hz=100, samna=samna)
    assert got == pytest.approx({"Io": 3e-5, "Core": 3e-4, "channel 7": 1.0})
    np.testing.assert_array_equal(samna.board.program.weights_in, program.weights_in)
    assert samna.board.sent == []
    assert samna.log[-2:] == ["power off", "closed"]


def test_a_library_that_names_no_channels_gives_their_numbers():
    samna = StandIn("XyloImuTestBoard")
    del samna.xyloImu.MeasurementChannels
    got = run(*busy("xyloImu"), power_hz=50, samna=samna)
    assert set(got.power_w) == {"channel 0", "channel 1", "channel 7"}


def test_only_boards_of_the_chip_are_found():
    samna = StandIn("XyloA2TestBoard", "XyloImuTestBoard", "XyloA2TestBoard", "Speck2fDevKit")
    assert [b.name for b in find_boards("xylo_a2", samna=samna)] == [
        "XyloA2TestBoard:0",
        "XyloA2TestBoard:1",
    ]
    assert find_boards("xylo_a3", samna=samna) == ()


def test_the_board_that_is_named_is_opened():
    samna = StandIn("XyloImuTestBoard", "XyloA2TestBoard", "XyloA2TestBoard")
    infos = samna.device.get_unopened_devices()
    opened = []
    inner = samna.device.open_device
    samna.device.open_device = lambda info: opened.append(info) or inner(info)
    got = run(*busy("xyloCore2"), board="XyloA2TestBoard:1", samna=samna)
    assert got.board == "XyloA2TestBoard:1"
    assert opened == [infos[2]]


A2 = "XyloA2TestBoard"
REFUSED = [
    ((), None, "no XyloA2TestBoard (board of xylo_a2) is free; free boards: none"),
    (
        ("XyloImuTestBoard", "XyloAudio3TestBoard"),
        None,
        "no XyloA2TestBoard (board of xylo_a2) is free; free boards: XyloImuTestBoard:0, "
        "XyloAudio3TestBoard:0",
    ),
    (
        (A2, "XyloImuTestBoard", A2),
        None,
        "2 boards of xylo_a2 are free, choose one by name: XyloA2TestBoard:0, XyloA2TestBoard:1",
    ),
    (
        (A2, "XyloImuTestBoard"),
        "XyloImuTestBoard:0",
        "XyloImuTestBoard:0 is not a XyloA2TestBoard (board of xylo_a2); free boards: "
        "XyloA2TestBoard:0, XyloImuTestBoard:0",
    ),
    ((A2,), f"{A2}:1", "XyloA2TestBoard:1 is not free; free boards: XyloA2TestBoard:0"),
]


@pytest.mark.parametrize(("types", "board", "message"), REFUSED)
def test_the_wrong_boards_are_refused_by_name(types, board, message):
    with pytest.raises(VendorError) as caught:
        run(*busy("xyloCore2"), board=board, samna=StandIn(*types))
    assert str(caught.value) == message


def test_a_board_that_cannot_be_opened_is_named():
    def taken(info):
        raise RuntimeError("device busy")

    samna = StandIn(A2)
    samna.device.open_device = taken
    with pytest.raises(VendorError, match=r"^XyloA2TestBoard:0 cannot be opened: device busy$"):
        run(*busy("xyloCore2"), samna=samna)


def test_a_chip_without_a_known_board_is_refused():
    message = "^no board type is known for xylo_1; known: XyloA2TestBoard, XyloImuTestBoard, "
    with pytest.raises(VendorError, match=message):
        find_boards("xylo_1", samna=StandIn())
    with pytest.raises(ValueError, match=r"^speck2f is a speck chip, need a chip of Xylo$"):
        find_boards("speck", samna=StandIn())


@pytest.mark.parametrize(
    ("chip", "least", "below"),
    [
        ("xylo_a2", {"fxtree": "0.11.5", "unifirm": "1.1.3"}, "0.11.4"),
        ("xylo_imu", {"fxtree": "0.11.5", "unifirm": "1.1.3"}, "0.9.30"),
        ("xylo_a3", {"fxtree": "0.12.2", "unifirm": "1.6.0", "samna": "0.39.6"}, "0.12.1.dev9"),
    ],
)
def test_the_least_versions_will_do_and_older_ones_will_not(chip, least, below):
    check_versions(chip, least)
    check_versions(chip, {"fxtree": "0.13", "unifirm": "1.10.0-rc1"})
    with pytest.raises(VendorError) as caught:
        check_versions(chip, {"fxtree": below, "unifirm": "1.1.2"})
    assert str(caught.value) == (
        f"{chip}: fxtree is {below}, needs {least['fxtree']} or later; unifirm is 1.1.2, needs "
        f"{least['unifirm']} or later"
    )


def test_versions_that_are_none_are_refused():
    with pytest.raises(VendorError, match=r"^'new' is not a version$"):
        check_versions("xylo_a2", {"fxtree": "new"})
    with pytest.raises(
        ValueError, match=r"^unknown component x; versions are of fxtree, unifirm and samna$"
    ):
        check_versions("xylo_a2", {"x": "1"})


def test_versions_are_checked_before_a_board_is_opened():
    samna = StandIn("XyloAudio3TestBoard")
    with pytest.raises(VendorError, match=r"^xylo_a3: fxtree is 0\.11\.5, needs 0\.12\.2 or later"):
        run(*busy("xyloAudio3"), firmware={"fxtree": "0.11.5"}, samna=samna)
    samna.__version__ = "0.39.5"
    with pytest.raises(VendorError, match=r"^xylo_a3: samna is 0\.39\.5, needs 0\.39\.6 or later"):
        run(*busy("xyloAudio3"), samna=samna)
    assert samna.log == []


def test_a_configuration_that_samna_refuses_closes_the_board():
    samna = StandIn(A2, refuses="too many neurons")
    message = "^samna rejects the configuration: too many neurons$"
    with pytest.raises(VendorError, match=message):
        run(*busy("xyloCore2"), samna=samna)
    assert samna.log[-1] == "closed"


def test_a_program_without_room_and_a_wrong_raster_reach_no_board():
    samna = StandIn(A2)
    program, raster = busy("xyloCore2")
    big, _ = busy("xyloCore2", inputs=17)
    with pytest.raises(DeployError, match="input_channels"):
        run(big, np.zeros((3, 17)), samna=samna)
    message = r"^a board runs one sample of 1 timestep or more, got \({}, {}\)$"
    with pytest.raises(ValueError, match=message.format(2, 20)):
        run(program, np.stack([raster, raster]), samna=samna)
    with pytest.raises(ValueError, match=message.format(1, 0)):
        run(program, raster[:0], samna=samna)
    assert samna.log == []


@pytest.mark.parametrize("name", TYPES)
def test_readouts_that_do_not_come_are_counted(name):
    samna = StandIn(TYPES[name], lost=3)
    message = f"^{TYPES[name]} read out 17 of 20 timesteps within 0.05 s$"
    with pytest.raises(VendorError, match=message):
        run(*busy(name), timeout_s=0.05, samna=samna)
    assert samna.log[-1] == "closed"


def test_a_board_that_says_nothing_is_given_up():
    samna = StandIn(A2)
    samna.graph.source_to = lambda node: SimpleNamespace(write=lambda events: None)
    with pytest.raises(VendorError, match=r"^XyloA2TestBoard gave no Readout within 0\.05 s$"):
        run(*busy("xyloCore2"), timeout_s=0.05, samna=samna)


def test_a_readout_with_too_few_outputs_is_refused():
    samna = StandIn("XyloImuTestBoard")
    inner = BoardStandIn.readout
    calls = count()
    try:
        BoardStandIn.readout = lambda self, step, spikes: inner(
            self, step, spikes[: 1 + (next(calls) % 2)]
        )
        with pytest.raises(VendorError, match=r"^a Readout has 1 output neurons, the program 2$"):
            run(*busy("xyloImu"), samna=samna)
    finally:
        BoardStandIn.readout = inner


@pytest.mark.parametrize(
    ("remove", "missing"),
    [
        (lambda s: delattr(s.device, "get_unopened_devices"), "device.get_unopened_devices"),
        (lambda s: delattr(s, "xyloCore2"), "xyloCore2"),
        (lambda s: delattr(s.xyloCore2, "validate_configuration"), "validate_configuration"),
        (lambda s: delattr(s.xyloCore2.event, "Spike"), "Spike"),
        (lambda s: delattr(s.graph, "source_to"), "graph.source_to"),
    ],
)
def test_what_the_library_lacks_is_named(remove, missing):
    samna = StandIn(A2)
    remove(samna)
    with pytest.raises(VendorError, match=rf"^the installed samna has no \w+\.{missing}$"):
        run(*busy("xyloCore2"), samna=samna)


def test_without_samna_nothing_is_imported(monkeypatch):
    def absent(name):
        raise vendor.PackageNotFoundError(name)

    monkeypatch.setattr(vendor, "distribution", absent)
    program, raster = busy("xyloCore2")
    for use in (
        lambda: find_boards("xylo_a2"),
        lambda: run(program, raster),
        lambda: read_power(program),
    ):
        with pytest.raises(VendorError, match=r"^samna is not installed; it comes from the vend"):
            use()
    assert "samna" not in sys.modules


def test_the_stub_is_refused_and_not_imported(tmp_path, monkeypatch):
    info = tmp_path / "samna-0.48.6.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: samna\nVersion: 0.48.6\n")
    (info / "RECORD").write_text("samna/__init__.py,,\n")
    (tmp_path / "samna").mkdir()
    (tmp_path / "samna" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(VendorError, match=r"installer stub, which runs pip when it is imported"):
        run(*busy("xyloCore2"))
    assert "samna" not in sys.modules
