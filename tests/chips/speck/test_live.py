"""Live use against a stand-in for the vendor's library.

The stand-in has the names that the vendor's manual, sinabs' documentation and others' programs
show, and takes no others. It decodes the configuration and the events that it is sent and runs the
plain event simulator on them: that checks our calls against that surface, not that surface against
a board.
"""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.chips.speck.networks import chain
from tests.chips.speck.surfaces import configuration_class
from toolchain.chips.load import load_chip
from toolchain.chips.speck import Destination, SpeckCore, SpeckProgram, simulate
from toolchain.chips.speck.emit.addresses import to_events
from toolchain.chips.speck.emit.extras import Extras
from toolchain.chips.speck.live.session import RAILS, find_boards, read_power, run
from toolchain.chips.speck.outputs import with_readout
from toolchain.chips.speck.sensor import SpeckSensor
from toolchain.chips.synsense import vendor
from toolchain.diagnostics import DeployError, VendorError

TYPES = {
    "Speck2eTestBoard": "speck2e",
    "Speck2eDevKit": "speck2e",
    "Speck2fModuleDevKit": "speck2f",
    "Speck2fDevKit": "speck2f",
}
KIT = "Speck2fDevKit"
EMPTY = np.zeros(0, [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i2")])


class Event:
    """An object of the vendor's: it has these attributes and takes no others."""

    names = ("layer", "feature", "x", "y", "timestamp")

    def __init__(self, **fields):
        for name in self.names:
            object.__setattr__(self, name, fields.get(name, 0))

    def __setattr__(self, name, value):
        if name not in self.names or type(value) is not int:
            raise TypeError(f"{name} = {value!r}")
        object.__setattr__(self, name, value)


def decoded(live, module):
    """The cores that a configuration describes, by what stands in it alone."""
    cores, feeds, outputs = [], set(), []
    for number, layer in enumerate(live.cnn_layers):
        if not layer.weights:
            continue
        to = [t for t in layer.destinations if t.enable and t.layer < len(live.cnn_layers)]
        feeds |= {t.layer for t in to}
        shape, dimensions = layer.dimensions.input_shape, layer.dimensions
        cores.append(
            SpeckCore(
                name=str(number),
                weight_name=f"w{number}",
                weight=np.array(layer.weights).swapaxes(2, 3),
                bias=np.array(layer.biases) if layer.leak_enable else None,
                stride=(dimensions.stride.y, dimensions.stride.x),
                padding=(dimensions.padding.y, dimensions.padding.x),
                input_shape=(shape.feature_count, shape.size.y, shape.size.x),
                threshold_high=layer.threshold_high,
                threshold_low=layer.threshold_low,
                return_to_zero=layer.return_to_zero,
                initial=np.array(layer.neurons_initial_value).swapaxes(1, 2),
                destinations=[
                    Destination(
                        layer=str(t.layer), pooling=t.pooling, feature_shift=t.feature_shift
                    )
                    for t in to
                ],
                core=number,
                monitor=layer.monitor_enable,
            )
        )
        outputs += [str(number)] * layer.monitor_enable
    return cores, feeds, outputs


class Sink(list):
    """Events that wait to be fetched."""

    def get_events(self):
        waiting = self[:]
        self.clear()
        return waiting


class StandIn:
    """The vendor's library with boards of ``types``; ``log`` is what was done with them."""

    __name__ = "samna"

    def __init__(self, *types, refuses="", endless=False):
        self.log, self.refuses, self.endless = [], refuses, endless
        infos = [SimpleNamespace(device_type_name=name) for name in types]
        self.device = SimpleNamespace(
            get_unopened_devices=lambda: list(infos),
            open_device=self.open,
            close_device=lambda board: self.log.append("closed"),
        )
        self.graph = SimpleNamespace(
            sink_from=lambda node: node, source_to=lambda node: SimpleNamespace(write=node)
        )
        for module in ("speck2e", "speck2f"):
            setattr(self, module, self.surface(module))

    def surface(self, module):
        name, class_ = configuration_class(f"samna.{module}")
        return SimpleNamespace(
            configuration=SimpleNamespace(**{name: class_}),
            event=SimpleNamespace(
                Spike=type("Spike", (Event,), {}),
                DvsEvent=type("DvsEvent", (Event,), {"names": ("x", "y", "p", "timestamp")}),
                ReadoutPinValue=type(
                    "ReadoutPinValue", (Event,), {"names": ("index", "timestamp")}
                ),
                ReadoutValue=type("ReadoutValue", (Event,), {"names": ("value",)}),
            ),
            validate_configuration=lambda live: (not self.refuses, self.refuses),
        )

    def open(self, info):
        self.log.append(f"opened {info.device_type_name}")
        self.board = BoardStandIn(self, TYPES[info.device_type_name])
        return self.board


class BoardStandIn:
    def __init__(self, library, module):
        self.library = library
        self.events = getattr(getattr(library, module, None), "event", None)
        self.outbox, self.power, self.module = Sink(), Sink(), f"samna.{module}"
        self.outbox.append(Event(layer=8))  # what was there before
        log = library.log.append
        self.get_model = lambda: SimpleNamespace(apply_configuration=self.apply)
        self.get_model_sink_node = lambda: self.receive
        self.get_model_source_node = lambda: self.outbox
        self.get_io_module = lambda: SimpleNamespace(
            set_slow_clk_rate=lambda rate: log(f"slow clock {rate:g} Hz"),
            set_slow_clk=lambda value: log(f"slow clock {value}"),
        )
        self.get_stop_watch = lambda: SimpleNamespace(
            set_enable_value=lambda value: log(f"stopwatch {value}"), reset=lambda: log("reset")
        )
        self.get_power_monitor = lambda: SimpleNamespace(
            get_source_node=lambda: self.power,
            start_auto_power_measurement=self.measure,
            stop_auto_power_measurement=lambda: log("power off"),
        )

    def apply(self, live):
        self.live = live
        self.library.log.append("configured")

    def measure(self, rate):
        self.library.log.append(f"power at {rate:g} Hz")
        for channel, value in [(1, 2e-4), (0, 3e-5), (1, 4e-4), (7, 1.0)]:
            self.power.append(SimpleNamespace(channel=channel, value=value))

    def receive(self, sent):
        self.sent = sent
        if self.library.endless:
            self.outbox.get_events = lambda: [self.events.Spike(layer=8)]
        cores, feeds, outputs = decoded(self.live, self.module)
        first = [core for core in cores if int(core.name) not in feeds]
        if len(first) != 1 or not sent or "p" in sent[0].names:
            return
        assert {event.layer for event in sent} == {first[0].core}
        columns = [[getattr(e, n) for e in sent] for n in ("x", "y", "timestamp", "feature")]
        stream = np.array([*zip(*columns, strict=True)], EMPTY.dtype)
        program = SpeckProgram(
            chip="speck2f",
            dt=1.0,
            input_shape=first[0].input_shape,
            cores=ordered(cores),
            inputs=(Destination(layer=first[0].name),),
            outputs=outputs,
        )
        for name, (events,) in simulate(program, stream, timing="event").events.items():
            for x, y, t, p in events.tolist():
                spike = {"layer": int(name), "feature": p, "x": x, "y": y, "timestamp": t}
                self.outbox.append(self.events.Spike(**spike))


def ordered(cores):
    """Sources before their destinations."""
    known = {core.name: core for core in cores}
    found = []

    def visit(core):
        for target in core.destinations:
            visit(known[target.layer])
        if core not in found:
            found.insert(0, core)

    for core in cores:
        visit(core)
    return found


def busy(seed=0, places=None, chip="speck2f", **last):
    """A program of two layers without biases, and events that keep it busy."""
    rng = np.random.default_rng(seed)
    first = {
        "outputs": 3,
        "kernel": 3,
        "stride": (2, 1),
        "padding": (1, 0),
        "weight": rng.integers(-60, 100, (3, 2, 3, 3)),
        "initial": rng.integers(-50, 90, (3, 4, 4)),
        "pool": 2,
    }
    second = {"outputs": 4, "kernel": 2, "weight": rng.integers(-60, 100, (4, 3, 2, 2)), **last}
    program = chain((2, 8, 6), first, second, chip=chip)
    (events,) = to_events(rng.poisson(0.2, (9, 2, 8, 6)), (2, 8, 6), 1e-3)
    return program.placed(places or {"spk0": 4, "spk1": 2}), events


FAST = {"quiet_s": 0.01}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("kit", "chip"), TYPES.items())
def test_a_board_that_computes_as_documented_gives_the_simulated_spikes(kit, chip, seed):
    program, events = busy(seed, chip=chip)
    samna = StandIn(kit)
    got = run(program, events, samna=samna, **FAST)
    wanted = simulate(program, events, timing="event")
    assert got.board == f"{kit}:0"
    assert list(got.spikes) == ["spk1"]
    assert len(got.spikes["spk1"])
    np.testing.assert_array_equal(got.spikes["spk1"], wanted.events["spk1"][0])
    assert got.pins.shape == (0, 2)
    assert got.values.shape == (0,)
    assert got.power_w == {}
    opened = [f"opened {kit}", "configured", "slow clock False", "stopwatch True", "reset"]
    assert samna.log == [*opened, "closed"]


def test_every_monitored_layer_is_read():
    program, events = busy()
    first, last = program.cores
    program = replace(program, cores=(replace(first, monitor=True), last))
    got = run(program, events, samna=StandIn(KIT), **FAST)
    wanted = simulate(replace(program, outputs=("spk0", "spk1")), events, timing="event")
    for name in ("spk0", "spk1"):
        np.testing.assert_array_equal(got.spikes[name], wanted.events[name][0])


def test_a_leak_sets_the_slow_clock_to_one_tick_a_step():
    program, _ = busy(bias=[-1, 0, 0, 0])
    samna = StandIn(KIT)
    read_power(program, seconds=0, samna=samna)
    assert samna.log[2:4] == ["slow clock 1000 Hz", "slow clock True"]
    own = StandIn(KIT)
    read_power(program, seconds=0, extras=Extras(slow_clock_divider=14), samna=own)
    assert "slow clock False" in own.log
    assert own.board.live.factory_config.internal_slow_clk_divider == 14


def test_a_leak_without_the_length_of_a_step_is_refused():
    program, events = busy(bias=[-1, 0, 0, 0])
    with pytest.raises(ValueError, match="need a slow clock: the program has no dt"):
        run(replace(program, dt=None), events, samna=StandIn(KIT))


def test_what_the_readout_shows_is_handed_out():
    program, events = busy()
    read = with_readout(program, values=True).placed({"spk0": 4, "spk1": 3})
    samna = StandIn(KIT)
    inner = BoardStandIn.receive

    def receive(self, sent):
        inner(self, sent)
        self.outbox.clear()
        self.outbox.append(self.events.ReadoutPinValue(index=3, timestamp=17))
        self.outbox.append(self.events.ReadoutValue(value=1 << 20))

    try:
        BoardStandIn.receive = receive
        got = run(read, events, samna=samna, **FAST)
    finally:
        BoardStandIn.receive = inner
    assert got.pins.tolist() == [[3, 17]]
    assert got.values.tolist() == [1 << 20]
    assert not len(got.spikes["spk1"])
    assert samna.board.live.readout.enable is True
    assert "slow clock 1000 Hz" in samna.log


def test_behind_a_sensor_the_camera_gets_the_events():
    program, _ = busy()
    program = replace(
        program, input_shape=(2, 16, 12), sensor=SpeckSensor(pooling=(2, 2), cut=(7, 5))
    )
    (events,) = to_events(np.ones((1, 2, 16, 12), int), (2, 16, 12), 1e-3)
    samna = StandIn(KIT)
    run(program, events, samna=samna, **FAST)
    sent = samna.board.sent
    assert {type(event).__name__ for event in sent} == {"DvsEvent"}
    assert [(e.x, e.y, e.timestamp, e.p) for e in sent] == events.tolist()


def test_no_events_are_a_run_too():
    got = run(busy()[0], EMPTY, samna=StandIn(KIT), **FAST)
    assert not len(got.spikes["spk1"])


def test_power_is_measured_during_the_run_alone():
    samna = StandIn(KIT)
    got = run(*busy(), power_hz=50, samna=samna, **FAST)
    assert got.power_w == pytest.approx({"io": 3e-5, "ram": 3e-4, "channel 7": 1.0})
    assert samna.log[3:] == ["power at 50 Hz", "stopwatch True", "reset", "power off", "closed"]
    assert {*RAILS} == {*load_chip("speck2f").power.rails}


def test_power_is_read_with_the_program_loaded_and_nothing_sent():
    samna = StandIn(KIT)
    got = read_power(busy()[0], seconds=0, rate_hz=100, samna=samna)
    assert got == pytest.approx({"io": 3e-5, "ram": 3e-4, "channel 7": 1.0})
    assert not hasattr(samna.board, "sent")
    assert samna.log[1] == "configured"
    assert samna.log[-2:] == ["power off", "closed"]


def test_only_boards_of_the_chip_are_found():
    samna = StandIn(KIT, "Speck2eDevKit", "Speck2fModuleDevKit", KIT, "XyloA2TestBoard")
    assert [b.name for b in find_boards("speck", samna=samna)] == [
        "Speck2fDevKit:0",
        "Speck2fModuleDevKit:0",
        "Speck2fDevKit:1",
    ]
    assert [b.name for b in find_boards("speck2e", samna=samna)] == ["Speck2eDevKit:0"]


def test_the_board_that_is_named_is_opened():
    samna = StandIn(KIT, "Speck2eDevKit", KIT)
    infos, opened = samna.device.get_unopened_devices(), []
    inner = samna.device.open_device
    samna.device.open_device = lambda info: opened.append(info) or inner(info)
    got = run(*busy(), board="Speck2fDevKit:1", samna=samna, **FAST)
    assert got.board == "Speck2fDevKit:1"
    assert opened == [infos[2]]


WANTED = "Speck2fModuleDevKit or Speck2fDevKit (board of speck2f)"
REFUSED = [
    ((), None, f"no {WANTED} is free; free boards: none"),
    (("Speck2eDevKit",), None, f"no {WANTED} is free; free boards: Speck2eDevKit:0"),
    (
        (KIT, "Speck2eDevKit", "Speck2fModuleDevKit"),
        None,
        "2 boards of speck2f are free, choose one by name: Speck2fDevKit:0, Speck2fModuleDevKit:0",
    ),
    (
        (KIT, "Speck2eDevKit"),
        "Speck2eDevKit:0",
        f"Speck2eDevKit:0 is not a {WANTED}; free boards: Speck2fDevKit:0, Speck2eDevKit:0",
    ),
    ((KIT,), "Speck2fDevKit:1", "Speck2fDevKit:1 is not free; free boards: Speck2fDevKit:0"),
]


@pytest.mark.parametrize(("types", "board", "message"), REFUSED)
def test_the_wrong_boards_are_refused_by_name(types, board, message):
    with pytest.raises(VendorError) as caught:
        run(*busy(), board=board, samna=StandIn(*types))
    assert str(caught.value) == message


def test_a_board_that_cannot_be_opened_is_named():
    def taken(info):
        raise RuntimeError("device busy")

    samna = StandIn(KIT)
    samna.device.open_device = taken
    with pytest.raises(VendorError, match=r"^Speck2fDevKit:0 cannot be opened: device busy$"):
        run(*busy(), samna=samna)


@pytest.mark.parametrize("name", ["dynapcnn", "speck2c_mini", "speck2d_mini"])
def test_a_chip_without_a_known_board_is_refused(name):
    with pytest.raises(
        VendorError, match=f"^no board type is known for {name}; known: Speck2eTestBoard"
    ):
        find_boards(name, samna=StandIn())
    with pytest.raises(ValueError, match=r"^xylo_a2 is a xylo chip, need a chip of Speck$"):
        find_boards("xylo", samna=StandIn())


def test_a_configuration_that_samna_refuses_closes_the_board():
    samna = StandIn(KIT, refuses="too many neurons")
    with pytest.raises(VendorError, match=r"^samna rejects the configuration: too many neurons$"):
        run(*busy(), samna=samna)
    assert samna.log[-1] == "closed"


def test_what_cannot_be_loaded_or_sent_reaches_no_board():
    samna = StandIn(KIT)
    program, events = busy()
    with pytest.raises(DeployError, match="assigned_core"):
        run(program.placed({"spk0": 4, "spk1": 9}), events, samna=samna)
    wrong = events.copy()
    wrong["x"][0] = 6
    with pytest.raises(ValueError, match="event 0 of sample 0 is x = 6"):
        run(program, wrong, samna=samna)
    with pytest.raises(ValueError, match="not placed on a core"):
        run(chain((2, 4, 5), {"outputs": 1, "kernel": 3}), EMPTY, samna=samna)
    assert samna.log == []


def test_a_board_that_never_stops_is_given_up():
    samna = StandIn(KIT, endless=True)
    with pytest.raises(VendorError, match=r"still sends events 0\.05 s after its last input$"):
        run(*busy(), timeout_s=0.05, samna=samna)
    assert samna.log[-1] == "closed"


@pytest.mark.parametrize(
    ("remove", "missing"),
    [
        (lambda s: delattr(s.device, "get_unopened_devices"), "samna.device.get_unopened_devices"),
        (lambda s: delattr(s, "speck2f"), "samna.speck2f"),
        (lambda s: delattr(s.speck2f, "validate_configuration"), ".*validate_configuration"),
        (lambda s: delattr(s.speck2f.event, "Spike"), ".*event.Spike"),
        (lambda s: delattr(s.graph, "source_to"), "samna.graph.source_to"),
    ],
)
def test_what_the_library_lacks_is_named(remove, missing):
    samna = StandIn(KIT)
    remove(samna)
    with pytest.raises(VendorError, match=f"^the installed samna has no {missing}$"):
        run(*busy(), samna=samna, **FAST)


def test_without_samna_nothing_is_imported(monkeypatch):
    def absent(name):
        raise vendor.PackageNotFoundError(name)

    monkeypatch.setattr(vendor, "distribution", absent)
    program, events = busy()
    for use in (
        lambda: find_boards("speck"),
        lambda: run(program, events),
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
        run(*busy())
    assert "samna" not in sys.modules
