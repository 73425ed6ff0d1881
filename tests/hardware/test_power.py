"""Prices in specification files: what every one has to say, and what is refused."""

from pathlib import Path

import pytest

from toolchain.chips.load import list_chips, load_chip
from toolchain.diagnostics import ChipFileError
from toolchain.hardware import Price
from toolchain.hardware.power import DRAWS

SPECS = Path(__file__).parents[2] / "hardware_specs"
A3 = (SPECS / "xylo_a3.yaml").read_text(encoding="utf-8")
SPECK = (SPECS / "speck2f.yaml").read_text(encoding="utf-8")


def prices(chip):
    for rail in chip.power.rails.values():
        for part in (rail, *rail.modes.values()):
            yield from (price for draw in DRAWS if (price := getattr(part, draw)) is not None)
    yield from (action.energy for action in chip.power.actions.values())


@pytest.mark.parametrize("name", list_chips())
def test_every_price_says_where_it_is_from_and_under_which_conditions(name):
    chip = load_chip(name)
    found = list(prices(chip))
    assert bool(found) == bool(chip.power.rails)
    for price in found:
        assert isinstance(price, Price)
        assert price.conditions
        assert price.scope in {"idle", "incremental", "all_in"}
        assert price.basis in {"measured", "derived", "assumed"}
        assert (price.value is None) == (price.basis == "assumed")
        assert 0 <= price.low <= price.high


@pytest.mark.parametrize("name", list_chips())
def test_every_action_is_paid_by_rails_of_the_chip(name):
    power = load_chip(name).power
    for action in power.actions.values():
        assert sum(action.payers.values()) == pytest.approx(1)
        assert set(action.payers) <= set(power.rails)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "xylo_a3",
            "      switch: microphone\n",
            "",
            "power.rails.io: needs both switch and modes, or neither",
        ),
        ("xylo_a3", "    cycle:\n", "    synop:\n", "unknown action 'synop'; known: cycle,"),
        (
            "xylo_a3",
            "unit: pJ/cycle",
            "unit: pJ/synop",
            "energy of cycle is given in 'pJ/synop', needs 'pJ/cycle'",
        ),
        ("xylo_a3", "rail: digital", "rail: digits", "action cycle names unknown rails: digits"),
        (
            "xylo_a3",
            "      rail: digital\n",
            "",
            "power.actions.cycle: needs exactly one of rail and share",
        ),
        ("xylo_a3", "low: 16", "low: -16", "energy must not be negative, got -16"),
        ("xylo_a3", "low: 16", "low: 26", "energy: value 25 is outside 26 to 38"),
        ("xylo_a3", "low: 16", "low: 46", "energy: low 46 is above high 38"),
        (
            "xylo_a3",
            "        value: 25\n",
            "",
            "energy: needs a value, unless assumed: then only low and high",
        ),
        (
            "xylo_a3",
            "          note: no input\n          clock_slope:",
            "          note: no input\n          idle:",
            "is given in 'µW/MHz', needs 'µW'",
        ),
        (
            "speck2f",
            "          idle:\n            low: 0",
            "          static:\n            low: 0",
            "mode off has static, the rail has none",
        ),
        (
            "speck2f",
            '      modes:\n        "on":\n          note: pixels powered, as',
            '      modes:\n        "yes":\n          note: pixels powered, as',
            "power: rails have different modes of dvs",
        ),
        (
            "speck2f",
            "        value: 255\n",
            "",
            "energy: needs a value, unless assumed",
        ),
        (
            "xylo_a3",
            "scope: incremental",
            "scope: all_in",
            "energy has scope all_in, must be incremental: the idle draw of the rails is added",
        ),
        (
            "xylo_a3",
            "scope: idle",
            "scope: incremental",
            "power.rails.io: static has scope incremental, must be idle or all_in",
        ),
    ],
)
def test_a_fault_of_a_price_is_named(tmp_path, name, old, new, message):
    text = A3 if name == "xylo_a3" else SPECK
    assert old in text
    path = tmp_path / f"{name}.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ChipFileError) as caught:
        load_chip(path)
    assert message in str(caught.value)


def test_rails_that_share_a_switch_share_its_settings():
    assert load_chip("speck2f").power.switches == {"dvs": ("on", "off")}
    assert load_chip("xylo_a3").power.switches == {
        "microphone": ("off", "on"),
        "configuration": ("mapped", "unmapped", "monitored", "ram_open"),
    }
    assert load_chip("xylo_a2").power.switches == {}
