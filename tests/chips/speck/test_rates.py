"""What a core is asked for each second, against a limit that somebody has to give."""

import pytest

from tests.chips.speck.networks import chain
from toolchain.chips.load import load_chip
from toolchain.chips.speck.power import activity_at
from toolchain.chips.speck.rules.rates import RateLimits, check_rates


def busy():
    """Two layers: 16 pixels of 10 spike/s into a 1x1 layer, 4 channels of 16 neurons behind it."""
    program = chain((1, 4, 4), {"outputs": 4, "kernel": 1}, {"outputs": 2, "kernel": 1})
    return program, activity_at(program, {"input": 10.0, "spk0": 5.0, "spk1": 1.0}, steps=100)


def test_at_the_limit_nothing_is_found_and_above_it_the_layer():
    program, activity = busy()
    # 160 events x 4 neurons; 320 events x 2 neurons
    assert [*check_rates(program, activity, RateLimits(synops_per_second=641))] == []
    found = [*check_rates(program, activity, RateLimits(synops_per_second=320))]
    assert [str(finding) for finding in found] == [
        f"warning[synop_rate] {name}: 640 synop/s on average, the limit of a core is 320: 2 times "
        "as much, which would stall the whole chip\n  source: limit given by the user"
        for name in ("spk0", "spk1")
    ]


def test_events_are_counted_where_they_arrive():
    program, activity = busy()
    assert [*check_rates(program, activity, RateLimits(events_per_second=321))] == []
    (finding,) = check_rates(program, activity, RateLimits(events_per_second=300))
    assert (finding.where, finding.limit) == ("spk1", 300)
    assert finding.need == pytest.approx(320)
    assert finding.rule == "event_rate"


def test_a_chips_file_may_know_a_limit_or_none():
    known = RateLimits.of(load_chip("speck2e"))
    assert known.synops_per_second == 10e6
    assert known.events_per_second is None
    assert known.source.endswith("(assumed)")
    program, activity = busy()
    unknown = RateLimits.of(load_chip("speck2f"))
    assert (unknown.synops_per_second, unknown.source) == (None, "")
    assert [*check_rates(program, activity, unknown)] == []


@pytest.mark.parametrize("value", [0, -1.0, float("nan")])
def test_a_limit_is_above_zero(value):
    with pytest.raises(ValueError, match="synops_per_second must be a number > 0 or None"):
        RateLimits(synops_per_second=value)
