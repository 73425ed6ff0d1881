"""Long searches show how far they are, to people alone."""

import io
import sys

import numpy as np
import pytest

from tests.chips.speck.graphs import one
from tests.chips.xylo.graphs import sequence
from toolchain import deploy
from toolchain.chips.progress import steps


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_drawn_on_a_terminal_alone(monkeypatch):
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with steps("finding integers", 2) as step:
            step()
            step()
        assert ("finding integers" in stream.getvalue()) is shown


def test_nothing_is_drawn_without_standard_error(monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        with steps("finding integers", 1) as step:
            step()


@pytest.mark.parametrize(
    ("chip", "graph", "shape", "label"),
    [
        ("xylo_a2", sequence(4, 8, 3), (1, 20, 4), "finding integers"),
        ("speck2f", one(), (1, 10, 1, 4, 4), "quantizing for speck2f"),
    ],
)
def test_auto_draws_on_stderr_on_a_terminal(chip, graph, shape, label, monkeypatch, capsys):
    calibration = np.random.default_rng(0).integers(0, 2, shape)
    deploy(graph, chip, calibration=calibration)
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    deploy(graph, chip, calibration=calibration)
    assert label in terminal.getvalue()
    assert capsys.readouterr().out == ""
