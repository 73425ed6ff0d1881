"""300 random networks over all chips and quantizers, without calibration and with."""

import pytest

from tests.campaigns.severity import judge_all


@pytest.mark.campaign
def test_every_figure_beyond_its_bound_has_the_severity_that_it_deserves():
    counts, wrong = judge_all(range(300))
    for what, number in sorted(counts.items(), key=str):
        print(f"{number:4d}  {what}")
    assert not wrong, "\n".join(f"{number}: {text}" for number, text in wrong.items())
