"""Options of Speck: kept as they were given, and each given once."""

import copy
import pickle

import pytest

from tests.oracles.artifacts import maps
from toolchain import deploy
from toolchain.chips.speck import SpeckOptions


def test_what_the_caller_changes_later_changes_no_option():
    placement, readout = {"if1": 5}, {"window": 16}
    options = SpeckOptions(placement=placement, readout=readout)
    placement["if1"], readout["window"] = 6, 32
    assert options == SpeckOptions(placement={"if1": 5}, readout={"window": 16})
    assert pickle.loads(pickle.dumps(options)) == copy.deepcopy(options) == options


def test_an_option_that_is_given_twice_is_refused():
    with pytest.raises(ValueError, match=r"given twice: in options= and as placement="):
        deploy(maps(), "speck2f", options=SpeckOptions(placement={}), placement={"if1": 5})
    with pytest.warns(DeprecationWarning, match=r"options=SpeckOptions\(readout=\.\.\.\)"):
        deploy(maps(), "speck2f", options=SpeckOptions(placement={}), readout={})


def test_a_setting_that_the_readout_does_not_have_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"no setting windows; its settings are threshold, window, mode"
    ):
        deploy(maps(), "speck2f", options=SpeckOptions(readout={"windows": 16}))
