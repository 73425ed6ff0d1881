"""The integers of every quantizer are those that were recorded."""

import pytest

from tests.oracles.quantized import TABLE, digest, recorded
from toolchain import list_chips
from toolchain.chips.load import family_of, load_chip

RECORDED = recorded()
QUICK = (
    "branches, speck2e, common, calibrated",
    "branches, speck2f, auto, calibrated",
    "busy, dynapcnn, common",
    "biases, xylo_a2, auto, calibrated",
    "recurrent, xylo_1, global",
)


def test_every_chip_and_quantizer_is_recorded():
    assert {*RECORDED} == {*TABLE}
    recorded_pairs = {(chip, method) for chip, method, *_ in TABLE.values()}
    assert {chip for chip, _ in recorded_pairs} == {*list_chips()}
    families = {family_of(load_chip(chip)) for chip in list_chips()}
    assert {m for _, m in recorded_pairs} == {m for f in families for m in f.QUANTIZERS}


@pytest.mark.parametrize("key", QUICK)
def test_the_integers_are_as_recorded(key):
    assert digest(key) == RECORDED[key]


@pytest.mark.campaign
@pytest.mark.parametrize("key", [key for key in TABLE if key not in QUICK])
def test_the_integers_of_all_others_are_as_recorded(key):
    assert digest(key) == RECORDED[key]
