"""The examples run as they are, in a short form."""

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run an example as a script; return what it prints. Any warning is an error.

    In this process: half of the time of a new one is taken by the libraries that it loads.
    """
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.syspath_prepend(ROOT / "examples")

    def run_example(name, *options):
        script = ROOT / "examples" / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(script), "--out", str(tmp_path), *options])
        runpy.run_path(str(script), run_name="__main__")
        return capsys.readouterr().out

    return run_example


def test_the_demo_deploys_and_saves_both_networks(run, tmp_path):
    printed = run("demo", "--epochs", "2", "--calibration", "32")
    for words in ("Speck 2f: fits", "Xylo Audio 2: fits", "test accuracy, 450 digits", "artifact:"):
        assert words in printed
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["digits_speck", "digits_speck.png", "digits_xylo", "digits_xylo.png"]


def test_the_spiking_tutorial_prints_the_published_synops_before_training(run, tmp_path):
    printed = run("synops_snn")
    before, after = printed.split("after training\n")
    for line in (
        "Total: 1.22e+06 SynOps per step",
        "- Layer 1: 2.30e+05 SynOps per step",
        "- Layer 4: 9.01e+05 SynOps per step",
        "- Layer 7: 8.83e+04 SynOps per step",
        "- Layer 10: 7.31e+02 SynOps per step",
        "- Layer 2: 50.00 % silent neurons",
        "- Layer 5: 50.00 % silent neurons",
        "- Layer 8: 46.67 % silent neurons",
        "- Layer 11: 30.00 % silent neurons",
    ):
        assert line in before
    # a hundred steps of float32 training: another processor may round a few neurons differently
    silent = {int(n): float(x) for n, x in re.findall(r"Layer (\d+): (\S+) % silent", after)}
    assert silent == pytest.approx({2: 81.25, 5: 71.88, 8: 0.0, 11: 0.0}, abs=3)
    assert (tmp_path / "synops_snn.png").is_file()


@pytest.mark.parametrize(
    ("name", "options", "picture", "words"),
    [
        ("synops_ann", (), "synops_ann.png", "SynOps per step, target"),
        ("synnet", (), "time_constants.png", "Xylo Audio 2: fits"),
        ("low_power", ("--calibration", "32"), "low_power.png", "synops per step"),
    ],
)
def test_an_example_runs_and_draws(run, tmp_path, name, options, picture, words):
    assert words in run(name, "--epochs", "1", *options)
    assert (tmp_path / picture).is_file()


def test_moving_bars_are_classified_event_by_event(run, tmp_path):
    printed = run("events")
    predictions = re.findall(r"^(\w+) +\[.*\]  -> (\w+)$", printed, re.MULTILINE)
    assert predictions == [(name, name) for name in ("right", "left", "down", "up")]
    assert "spikes over 6 orders of simultaneous events" in printed
    assert (tmp_path / "comparison.png").is_file()


def test_digits_are_trained_on_the_chip(run, tmp_path):
    quick = ("--float-epochs", "3", "--samples", "128", "--quantizer", "channel")
    printed = run("train_on_chip", "--epochs", "3", *quick)
    assert "trained on 103 samples" in printed
    assert re.search(r"trained on the chip +\d+\.\d %", printed)
    assert (tmp_path / "training.png").is_file()
    assert (tmp_path / "artifact").is_dir()


def test_a_network_is_trained_for_event_timing(run, tmp_path):
    printed = run("event_timing", "--epochs", "1", "--float-epochs", "1", "--samples", "64")
    assert "trained on 51 samples" in printed
    assert len(re.findall(r"counts agree to \d+\.\d %, accuracy", printed)) == 2
    assert (tmp_path / "artifact").is_dir()
