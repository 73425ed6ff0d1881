"""The chips that come with the toolchain."""

import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from tests.cases import each
from toolchain.chips.chip_files import _heading
from toolchain.chips.load import list_chips, load_chip
from toolchain.chips.speck.spec import SpeckChip
from toolchain.chips.xylo.spec import XyloLimits
from toolchain.hardware import AllowedValues, Price, Quantity
from toolchain.hardware.units import _USUAL
from toolchain.hardware.yaml_file import read_yaml

SPECS = Path(__file__).parents[2] / "hardware_specs"
CHIPS = (
    "dynapcnn",
    "speck2c_mini",
    "speck2d_mini",
    "speck2e",
    "speck2f",
    "xylo_1",
    "xylo_a2",
    "xylo_a3",
    "xylo_imu",
)
XYLOS = ("xylo_1", "xylo_a2", "xylo_imu", "xylo_a3")

XYLO = {
    "hidden_neurons": (1000, 1000, 496, 992),
    "output_neurons": (8, 8, 16, 32),
    "hidden_synapses": (2, 2, 1, 2),
    "output_synapses": (1, 1, 1, 1),
    "input_expansion": (1000, 1000, 128, 128),
    "output_expansion": (1000, 1000, 128, 128),
    "fan_out": (64, 64, 512, 1024),
    "fan_out_memory": (32000, 32000, 31744, 31744),
    "alias_targets": (1, 1, 1, 1),
    "input_channels": (16, 16, 16, 16),
    "input_spikes": (15, 15, 15, 15),
    "input_spike_width": (4, 4, 4, 4),
    "hidden_spikes": (31, 31, 31, 31),
    "output_spikes": (1, 1, 1, 1),
    "weight_width": (8, 8, 8, 8),
    "weight_shift_width": (3, 3, 3, 3),
    "dash_width": (4, 4, 4, 4),
    "threshold_width": (16, 16, 16, 16),
    "state_width": (16, 16, 16, 16),
    "bias_width": (None, 8, 8, 8),
}
"""Of ``XYLOS``, in their order."""


def numbers(part) -> Iterator[Quantity | AllowedValues | Price]:
    """Every number below a part of a specification."""
    if isinstance(part, Quantity | AllowedValues | Price):
        yield part
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from numbers(getattr(part, name))
    elif isinstance(part, tuple):
        for item in part:
            yield from numbers(item)
    elif hasattr(part, "values"):
        for item in part.values():
            yield from numbers(item)


def mappings(data, at=()):
    """Every mapping in plain data, with the way to it."""
    if isinstance(data, dict):
        yield at, data
        for key, value in data.items():
            yield from mappings(value, (*at, key))
    elif isinstance(data, tuple):
        for position, value in enumerate(data):
            yield from mappings(value, (*at, position))


def test_the_chips_are_listed_in_order():
    assert list_chips() == CHIPS


@each("name", CHIPS)
def test_a_chip_loads_by_name_and_by_path(name):
    chip = load_chip(name)
    assert chip.name == name
    assert chip == load_chip(SPECS / f"{name}.yaml") == load_chip(str(SPECS / f"{name}.yaml"))
    # found without reading all of the file
    names = {"aliases": chip.aliases, "vendor_ids": chip.vendor_ids}
    assert _heading(SPECS / f"{name}.yaml") == {"family": chip.family, **names}


@each("name", CHIPS)
def test_a_chip_is_read_once(name):
    assert load_chip(name) is load_chip(name.upper())


@each(
    ("other", "name"),
    [
        ("xylo", "xylo_a2"),
        ("speck", "speck2f"),
        ("xylo1", "xylo_1"),
        ("SYNS61300", "xylo_1"),
        ("pollen", "xylo_1"),
        ("syns61201", "xylo_a2"),
        ("SYNS63300", "xylo_imu"),
        ("syns65302", "xylo_a3"),
        ("XyloAudio3TestBoard", "xylo_a3"),
        ("Speck2fModuleDevKit", "speck2f"),
        ("speck2fmodule", "speck2f"),
        ("speck2fdevkit", "speck2f"),
        ("speck2edevkit", "speck2e"),
        ("Speck2eTestBoard", "speck2e"),
        ("dynapcnndevkit", "dynapcnn"),
        ("speck2cmini", "speck2c_mini"),
        ("speck2dmini", "speck2d_mini"),
    ],
)
def test_aliases_and_vendor_ids_name_a_chip_in_any_case(other, name):
    assert load_chip(other).name == name


def test_no_name_means_two_chips():
    names = [
        other
        for chip in map(load_chip, list_chips())
        for other in (chip.name, *chip.aliases, *chip.vendor_ids)
    ]
    assert len(names) == len(set(names))


def test_an_unknown_name_lists_the_known_and_the_closest():
    with pytest.raises(ValueError, match="unknown chip") as caught:
        load_chip("xylo_a4")
    assert str(caught.value) == (
        "unknown chip 'xylo_a4', did you mean 'xylo_a3'?"
        " Known chips: dynapcnn, speck2c_mini, speck2d_mini, speck2e, speck2f, xylo_1, xylo_a2,"
        " xylo_a3, xylo_imu;"
        " aliases: speck, xylo, xylo1, xylo_audio_2, xylo_audio_3, xyloimu;"
        " vendor ids and paths of chip files are accepted too."
    )


def test_an_unknown_name_that_is_close_to_none_gets_no_suggestion():
    with pytest.raises(ValueError, match=r"^unknown chip 'loihi'\. Known chips: dynapcnn"):
        load_chip("loihi")


@each("limit", XYLO)
def test_xylo_limits(limit):
    found = [getattr(chip.limits, limit) for chip in map(load_chip, XYLOS)]
    assert tuple(None if number is None else number.value for number in found) == XYLO[limit]


def test_every_xylo_limit_is_looked_up():
    assert set(XYLO) == set(XyloLimits.model_fields)


def test_xylo_1_has_the_old_core_without_bias_and_hibernation():
    found = {
        name: (c.integer_core, c.hibernation)
        for name, c in zip(XYLOS, map(load_chip, XYLOS), strict=True)
    }
    assert found == {"xylo_1": ("v1", False)} | dict.fromkeys(XYLOS[1:], ("v2", True))


def test_what_was_inferred_about_xylo_1_says_from_what():
    limits = load_chip("xylo_1").limits
    assert (limits.fan_out.basis, limits.fan_out_memory.basis) == ("derived", "derived")
    assert "Stated for Audio 2 only" in limits.fan_out.conditions
    assert limits.weight_shift_width.basis == "assumed"
    assert "not known" in load_chip("xylo_1").vendor_note


# ---- what the memories hold, from the limits ----


def inputs(c):
    return c.input_channels.value * c.input_expansion.value


def hidden(c):
    return c.hidden_neurons.value


def neurons(c):
    return c.hidden_neurons.value + c.output_neurons.value


def entries(c):
    return c.fan_out_memory.value


def outputs(c):
    return c.output_expansion.value * c.output_neurons.value


MEMORIES = {
    "iwtram": inputs,
    "iwt2ram": inputs,
    "nscram": neurons,
    "?sc2ram": hidden,
    "nmpram": neurons,
    "ndsram": neurons,
    "?ds2ram": hidden,
    "ndmram": neurons,
    "nbram": neurons,
    "nthram": neurons,
    "?cram": hidden,
    "?aram": hidden,
    "?spkram": hidden,
    "?efocram": hidden,
    "?foram": entries,
    "?wtram": entries,
    "?wt2ram": entries,
    "owtram": outputs,
}
"""The letter for the hidden layer is r (reservoir) or h."""


@each(("name", "letter"), [("xylo_1", "r"), ("xylo_a2", "r"), ("xylo_a3", "h")])
def test_a_memory_has_a_word_for_all_that_the_limits_allow(name, letter):
    chip = load_chip(name)
    wanted = {key.replace("?", letter): size(chip.limits) for key, size in MEMORIES.items()}
    if chip.limits.bias_width is None:
        del wanted["nbram"]
    assert {key: memory.words.value for key, memory in chip.memories.items()} == wanted


@each(
    ("name", "total"),
    [
        ("xylo_1", 0x22020 + 8000 - 0x100),
        ("xylo_a2", 0x22020 + 8000 - 0x100 + 1008),
        ("xylo_a3", 0x1C540 - 0x200),
    ],
)
def test_memories_add_up_to_the_span_of_the_memory_map(name, total):
    assert sum(memory.words.value for memory in load_chip(name).memories.values()) == total


def test_of_xylo_imu_no_memory_map_is_known():
    assert not load_chip("xylo_imu").memories


@each("name", XYLOS)
def test_words_are_as_wide_as_the_registers_they_hold(name):
    chip = load_chip(name)
    widths = {"weight": "weight_width", "decay": "dash_width", "threshold": "threshold_width"}
    widths |= {"membrane": "state_width", "current": "state_width", "bias": "bias_width"}
    for memory in chip.memories.values():
        for word, limit in widths.items():
            if re.match(rf"(input |output )?{word}", memory.holds):
                assert memory.width.value == getattr(chip.limits, limit).value
        if memory.width is not None:
            assert memory.width.range("bit")[0] >= 2


@each("name", XYLOS)
def test_a_word_of_ids_can_hold_every_id(name):
    chip = load_chip(name)
    bits = (int(chip.limits.hidden_neurons.value) - 1).bit_length()
    found = [m for m in chip.memories.values() if "target of each" in m.holds]
    assert all(memory.width.range("bit")[0] == bits for memory in found)
    assert len(found) == (2 if chip.memories else 0)


@each("name", XYLOS)
def test_an_input_field_holds_the_spikes_of_a_step(name):
    limits = load_chip(name).limits
    assert 2**limits.input_spike_width.value - 1 == limits.input_spikes.value


# ---- clocks ----


@each("name", ["xylo_a2", "xylo_imu"])
@each(
    ("clock_hz", "possible"),
    [
        (50e6, True),
        (25e6, True),
        (50e6 / 3, True),
        (6.25e6, True),
        (1e6, True),
        (100e6, False),
        (50.1e6, False),
        (20e6, False),
        (49.9e6, False),
    ],
)
def test_the_divider_makes_some_clocks(name, clock_hz, possible):
    assert load_chip(name).clock.makes(clock_hz) is possible


def test_without_a_known_divider_any_clock_may_be():
    clock = load_chip("xylo_a3").clock
    assert clock.divided_clock is None
    assert clock.makes(12.34e6)


def test_a_clock_has_two_ends():
    ends = {"min_clock": load_chip("xylo_a2").clock.low_power_clock, "divided_clock": None}
    clock = load_chip("xylo_a2").clock.model_copy(update=ends)
    asked = [6.25e6, 6.24e6, 50e6, 50.1e6]
    assert [clock.makes(hz) for hz in asked] == [True, False, True, False]


def test_only_the_imu_sets_the_step_of_real_time():
    steps = {name: load_chip(name).clock.real_time_step for name in XYLOS}
    assert steps.pop("xylo_imu").to("s") == pytest.approx(1 / 200)
    assert set(steps.values()) == {None}


def test_sensors_have_clocks_of_their_own():
    assert load_chip("xylo_imu").clock.sensor_clock.to("Hz") == 50e3
    audio = load_chip("xylo_a3").clock
    assert audio.sensor_clock.to("Hz") == audio.main_clock.to("Hz") / 32


# ---- errata ----


@each(
    ("name", "ids"),
    [
        ("xylo_1", {"alias_marks", "state_readout_buffer", "consecutive_fan_out"}),
        ("xylo_a2", {"consecutive_fan_out", "alias_to_neuron_0", "memory_reader_addresses"}),
        ("xylo_imu", {"consecutive_fan_out", "alias_to_neuron_0"}),
        (
            "xylo_a3",
            {"consecutive_fan_out", "alias_to_neuron_0", "second_synapse_unread", "reset_state"},
        ),
    ],
)
def test_xylo_errata(name, ids):
    errata = load_chip(name).errata
    assert {erratum.id for erratum in errata} == ids
    assert len(errata) == len(ids)


# ---- power ----


@each("name", ["speck2e", "speck2f", "dynapcnn"])
def test_speck_cores(name):
    chip = load_chip(name)
    assert isinstance(chip, SpeckChip)
    assert [core.id for core in chip.cores] == list(range(9))
    ki = 1024
    kernel = [core.kernel_memory.value for core in chip.cores]
    neuron = [core.neuron_memory.value for core in chip.cores]
    assert kernel == [size * ki for size in (16, 16, 16, 32, 32, 64, 64, 16, 16)]
    assert neuron == [size * ki for size in (64, 64, 64, 32, 32, 16, 16, 16, 16)]
    assert sum(kernel) == 272 * ki
    assert sum(neuron) == 320 * ki
    assert sum(core.bias_memory.value for core in chip.cores) == 9 * ki
    assert [core.id for core in chip.cores if not core.deterministic] == [0, 1]


@each("name", ["speck2c_mini", "speck2d_mini"])
def test_small_specks_have_five_cores_and_biases_on_two(name):
    chip = load_chip(name)
    ki = 1024
    assert [core.id for core in chip.cores] == list(range(5))
    assert [c.kernel_memory.value for c in chip.cores] == [k * ki for k in (16, 32, 32, 64, 16)]
    assert [c.neuron_memory.value for c in chip.cores] == [n * ki for n in (64, 32, 32, 16, 16)]
    assert [core.bias_memory.value for core in chip.cores] == [0, 0, 0, 1024, 1024]
    assert not chip.readout
    assert not chip.power.rails
    assert "what the chip draws is unknown" in chip.power.note


def test_chips_that_no_tool_supports_any_more_say_so():
    assert [
        c.name for c in map(load_chip, CHIPS) if isinstance(c, SpeckChip) and c.vendor_note
    ] == [
        "dynapcnn",
        "speck2c_mini",
        "speck2d_mini",
    ]


SPECK = ("speck2e", "speck2f", "dynapcnn", "speck2c_mini", "speck2d_mini")


@each("name", SPECK)
def test_what_speck_silicon_gets_wrong_is_on_file(name):
    errata = {erratum.id for erratum in load_chip(name).errata}
    assert errata >= {
        "threshold_low_zero",
        "parallel_cores",
        "recurrent_deadlock",
        "one_spike_per_update",
        "core_overload",
    }
    assert ("readout_channels" in errata) == load_chip(name).readout
    assert ("bias_memory" in errata) == (not load_chip(name).cores[0].bias_memory.value)


@each("name", SPECK)
def test_speck_limits(name):
    limits = load_chip(name).limits
    assert (limits.destinations.value, limits.channels.value) == (2, 1024)
    assert (limits.kernel_size.value, limits.padding.value) == (16, 7)
    assert (limits.state_width.value, limits.threshold_width.value) == (16, 16)
    assert limits.strides.values == (1, 2, 4, 8)
    assert limits.pooling.values == (1, 2, 4)
    assert limits.threshold_low_max.value == -1
    assert (limits.weight_width.value, limits.bias_width.value) == (8, 16)
    assert (limits.input_size.value, limits.output_size.value) == (128, 64)


def test_only_speck_has_a_readout():
    readout = {name: load_chip(name).readout for name in ("speck2e", "speck2f", "dynapcnn")}
    assert readout == {"speck2e": True, "speck2f": True, "dynapcnn": False}
    assert load_chip("dynapcnn").limits.readout_classes is None


def test_xylo_audio_3_power_depends_on_the_clock():
    digital = load_chip("xylo_a3").power.rails["digital"]
    assert digital.static.range("µW") == (141, 141, 152.1)
    assert digital.idle is None
    slopes = {mode: digital.price("clock_slope", mode) for mode in digital.modes}
    assert {mode: price.range("µW/MHz") for mode, (_, price) in slopes.items()} == {
        "mapped": (25.3, 27.96, 29.02),
        "unmapped": (24.68, 25.3, 25.99),
        "monitored": (35.76, 35.76, 39.8),
        "ram_open": (62, 64.3, 68),
    }
    assert slopes["mapped"][0] == "modes.mapped.clock_slope"
    assert digital.price("static", "mapped") == ("static", digital.static)


@each("name", ["xylo_a2", "xylo_imu"])
def test_xylo_power_read_at_one_clock_says_so(name):
    for rail in load_chip(name).power.rails.values():
        assert rail.static is None
        assert rail.idle_clock.to("MHz") == 6.25


def test_speck_idle_is_the_geometric_middle_of_what_three_boards_show():
    rails = load_chip("speck2f").power.rails
    for rail in rails.values():
        low, nominal, high = rail.idle.range("µW")
        assert nominal == pytest.approx((low * high) ** 0.5, rel=0.01)
    whole = sum(rail.idle.range("mW")[1] for rail in rails.values())
    assert whole == pytest.approx(1.144)
    for board in (1.170, 1.193, 1.054):
        assert whole == pytest.approx(board, rel=0.15)


def test_a_synop_has_a_price_from_one_board_and_none_on_the_chip_without_a_reading():
    energies = {
        name: load_chip(name).power.actions["synop"].energy for name in ("speck2f", "speck2e")
    }
    assert {name: energy.basis for name, energy in energies.items()} == {
        "speck2f": "derived",
        "speck2e": "assumed",
    }
    assert energies["speck2f"].range("pJ/synop") == (113, 255, 430)
    assert energies["speck2e"].range("pJ/synop") == (113, None, 430)


@each("name", ["dynapcnn", "xylo_1"])
def test_a_chip_without_measurements_says_so(name):
    power = load_chip(name).power
    assert not power.rails
    assert not power.actions
    assert "No measurement" in power.note


def test_xylo_1_has_no_clock_at_which_it_was_measured():
    clock = load_chip("xylo_1").clock
    assert clock.low_power_clock is None
    assert clock.main_clock.basis == "assumed"


@each("name", CHIPS)
def test_every_number_has_unit_source_and_basis(name):
    chip = load_chip(name)
    found = list(numbers(chip))
    assert len(found) > 20
    for number in found:
        assert number.unit in _USUAL  # others take the time to import pint
        assert number.source in chip.sources
        assert number.basis in {"published", "measured", "derived", "assumed"}
        assert chip.cite(number).startswith(f"{name}.yaml, ")


@each("name", CHIPS)
def test_no_number_in_a_file_lacks_a_source(name):
    def is_number(value):
        return isinstance(value, int | float) and not isinstance(value, bool)

    for at, mapping in mappings(read_yaml(SPECS / f"{name}.yaml").data):
        bare = [
            key
            for key, value in mapping.items()
            if is_number(value) or (isinstance(value, tuple) and any(map(is_number, value)))
        ]
        named = {"value", "values", "low", "high"} if "source" in mapping else {"ids"}
        assert set(bare) <= named, at


@each("name", CHIPS)
def test_every_source_is_used(name):
    chip = load_chip(name)
    used = {number.source for number in numbers(chip)} | {e.source for e in chip.errata}
    assert used == set(chip.sources)


def test_a_citation_names_file_document_and_basis():
    chip = load_chip("speck")
    cited = chip.cite(chip.cores[0].kernel_memory)
    assert cited == "speck2f.yaml, Speck Dev Kit Datasheet tab. 1 (published)"


def test_a_chip_cannot_be_changed():
    chip = load_chip("xylo")
    with pytest.raises(ValidationError, match="frozen"):
        chip.name = "other"
    with pytest.raises(ValidationError, match="frozen"):
        chip.limits.fan_out.value = 1
    with pytest.raises(TypeError, match="item assignment"):
        chip.power.rails["new"] = None


@each("name", CHIPS)
def test_a_chip_can_be_hashed_and_pickled(name):
    chip = load_chip(name)
    again = pickle.loads(pickle.dumps(chip))
    assert again == chip
    assert hash(again) == hash(chip)


@each("name", CHIPS)
def test_a_chip_is_plain_data_again(name):
    chip = load_chip(name)
    data = chip.model_dump()
    assert data["limits"]["weight_width"]["value"] == 8
    assert type(chip).model_validate(data) == chip


def test_the_table_of_chips_is_complete():
    readme = (SPECS / "README.md").read_text(encoding="utf-8")
    for chip in map(load_chip, list_chips()):
        assert f"| `{chip.name}.yaml` | {chip.title} |" in readme
