"""A target of dynamic power is held on the chip: two networks, three seeds.

`POWER_PICTURE` in the environment is the path of an SVG file that is drawn from the same rows.
"""

import os
import sys
from functools import cache
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "examples"))
low_power = pytest.importorskip("low_power_on_chip")

pytestmark = [pytest.mark.campaign, pytest.mark.filterwarnings("ignore:.*warning:UserWarning")]
CHIPS = ("xylo_a2", "speck2f")
SEEDS = (0, 1, 2)
FLOAT_EPOCHS, EPOCHS = 14, 8


@cache
def study(chip, seed):
    """The rows of one network: its start, and what was trained for each share of its power."""
    torch.manual_seed(seed)
    task, d = low_power.deployed(chip, FLOAT_EPOCHS)
    rows = [low_power.row_of(d, task, None)]
    for share in low_power.SHARES:
        trained = low_power.trained_for(d, task, share, EPOCHS, seed)
        rows.append(low_power.row_of(trained, task, share))
    for row in rows:
        print(
            f"{chip} seed {seed} share {row.share}: {row.accuracy:.2f} %, {row.power:.1f} µW, "
            f"{row.power / rows[0].power:.3f} of the start",
            flush=True,
        )
    return d.chip.title, rows


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("chip", CHIPS)
def test_a_share_of_the_power_is_held_on_other_digits(chip, seed):
    _, (start, _, *held) = study(chip, seed)
    for row in held:
        assert row.power / start.power == pytest.approx(row.share, rel=0.05)
    assert held[0].share == 0.75
    assert held[0].accuracy > start.accuracy - 1


def test_the_picture_is_drawn():
    path = os.environ.get("POWER_PICTURE")
    if path is None:
        pytest.skip("POWER_PICTURE is not set")
    rows = {f"{study(chip, s)[0]}, seed {s}": study(chip, s)[1] for chip in CHIPS for s in SEEDS}
    low_power.draw(rows, Path(path))
