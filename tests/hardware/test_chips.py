"""The chips that come with the toolchain."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from toolchain.hardware import (
    Choice,
    Quantity,
    SpeckChip,
    XyloChip,
    list_chips,
    load_chip,
)
from toolchain.hardware.yaml_file import read_yaml

SPECS = Path(__file__).parents[2] / "hardware_specs"
CHIPS = (
    "dynapcnn",
    "speck2c_mini",
    "speck2d_mini",
    "speck2e",
    "speck2f",
    "xylo_a2",
    "xylo_a3",
    "xylo_imu",
)

XYLO = {
    "hidden_neurons": {"xylo_a2": 1000, "xylo_imu": 496, "xylo_a3": 992},
    "output_neurons": {"xylo_a2": 8, "xylo_imu": 16, "xylo_a3": 32},
    "hidden_synapses": {"xylo_a2": 2, "xylo_imu": 1, "xylo_a3": 2},
    "input_expansion": {"xylo_a2": 1000, "xylo_imu": 128, "xylo_a3": 128},
    "output_expansion": {"xylo_a2": 1000, "xylo_imu": 128, "xylo_a3": 128},
    "fan_out": {"xylo_a2": 64, "xylo_imu": 512, "xylo_a3": 1024},
    "fan_out_memory": {"xylo_a2": 32000, "xylo_imu": 31744, "xylo_a3": 31744},
    "input_spikes": dict.fromkeys(("xylo_a2", "xylo_imu", "xylo_a3"), 15),
    "hidden_spikes": dict.fromkeys(("xylo_a2", "xylo_imu", "xylo_a3"), 31),
    "bias_width": dict.fromkeys(("xylo_a2", "xylo_imu", "xylo_a3"), 8),
}


def numbers(part) -> Iterator[Quantity | Choice]:
    """Every number below a part of a specification."""
    if isinstance(part, Quantity | Choice):
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


@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_loads_by_name_and_by_path(name):
    chip = load_chip(name)
    assert chip.name == name
    assert chip == load_chip(SPECS / f"{name}.yaml") == load_chip(str(SPECS / f"{name}.yaml"))


@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_is_read_once(name):
    assert load_chip(name) is load_chip(name.upper())


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("xylo", "xylo_a2"),
        ("speck", "speck2f"),
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
        " Known are dynapcnn, speck2c_mini, speck2d_mini, speck2e, speck2f, xylo_a2, xylo_a3,"
        " xylo_imu;"
        " aliases speck, xylo, xylo_audio_2, xylo_audio_3, xyloimu;"
        " vendor ids; and paths of specification files."
    )


def test_an_unknown_name_that_is_close_to_none_gets_no_suggestion():
    with pytest.raises(ValueError, match=r"^unknown chip 'loihi'\. Known are dynapcnn"):
        load_chip("loihi")


@pytest.mark.parametrize("limit", XYLO)
def test_xylo_limits(limit):
    for name, value in XYLO[limit].items():
        chip = load_chip(name)
        assert isinstance(chip, XyloChip)
        assert getattr(chip.limits, limit).value == value


@pytest.mark.parametrize("name", ["speck2e", "speck2f", "dynapcnn"])
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


@pytest.mark.parametrize("name", ["speck2c_mini", "speck2d_mini"])
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


@pytest.mark.parametrize("name", SPECK)
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


@pytest.mark.parametrize("name", SPECK)
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
    assert digital.clock_slope.range("µW/MHz") == (25.3, 28.0, 68)
    assert digital.idle is None


@pytest.mark.parametrize("name", ["xylo_a2", "xylo_imu"])
def test_xylo_power_read_at_one_clock_says_so(name):
    for rail in load_chip(name).power.rails.values():
        assert rail.static is None
        assert rail.idle_clock.to("MHz") == 6.25


def test_speck_idle_adds_up_to_the_published_total():
    rails = load_chip("speck2f").power.rails
    assert sum(rail.idle.to("µW") for rail in rails.values()) == pytest.approx(1170, abs=1)
    core = [rail.idle.to("mW") for rail in rails.values() if rail.role == "core"]
    assert sum(core) == pytest.approx(0.42, abs=0.005)


def test_a_synop_has_no_measured_price():
    energy = load_chip("speck2f").power.energy_per_synop
    assert energy.basis == "assumed"
    low, nominal, high = energy.range("pJ/synop")
    assert low < nominal / 4
    assert high > nominal * 4


def test_a_chip_without_measurements_says_so():
    power = load_chip("dynapcnn").power
    assert not power.rails
    assert power.energy_per_synop is None
    assert "No measurement" in power.note


@pytest.mark.parametrize("name", CHIPS)
def test_every_number_has_unit_source_and_basis(name):
    chip = load_chip(name)
    found = list(numbers(chip))
    assert len(found) > 20
    for number in found:
        assert number.unit
        assert number.source in chip.sources
        assert number.basis in {"published", "measured", "derived", "assumed"}
        assert chip.cite(number).startswith(f"{name}.yaml, ")


@pytest.mark.parametrize("name", CHIPS)
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


@pytest.mark.parametrize("name", CHIPS)
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


@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_can_be_hashed_and_pickled(name):
    chip = load_chip(name)
    again = pickle.loads(pickle.dumps(chip))
    assert again == chip
    assert hash(again) == hash(chip)


@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_is_plain_data_again(name):
    chip = load_chip(name)
    data = chip.model_dump()
    assert data["limits"]["weight_width"]["value"] == 8
    assert type(chip).model_validate(data) == chip


def test_the_table_of_chips_is_complete():
    readme = (SPECS / "README.md").read_text(encoding="utf-8")
    for chip in map(load_chip, list_chips()):
        assert f"| `{chip.name}.yaml` | {chip.title} |" in readme
