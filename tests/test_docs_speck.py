"""The tables of ``docs/speck.md`` agree with the chip files and with measurements."""

from pathlib import Path

import numpy as np
import pytest

from tests.oracles import nmnist
from toolchain import deploy
from toolchain.chips.load import list_chips, load_chip
from toolchain.chips.speck import SpeckOptions
from toolchain.chips.speck.simulate.events import event_array
from toolchain.report import count

PAGE = (Path(__file__).parent.parent / "docs" / "speck.md").read_text(encoding="utf-8")


def words(memory):
    """The sum over all cores, with thin groups."""

    def total(spec):
        return f"{int(sum(getattr(core, memory).value for core in spec.cores)):,}".replace(",", " ")

    return total


ROW = {
    "vendor's board": lambda spec: spec.vendor_ids[0],
    "cores": lambda spec: str(len(spec.cores)),
    "cores with no fixed event order": lambda spec: ", ".join(
        str(core.id) for core in spec.cores if not core.deterministic
    ),
    "kernel words": words("kernel_memory"),
    "neuron words": words("neuron_memory"),
    "bias words": words("bias_memory"),
    "classes of the readout block": lambda spec: (
        str(int(spec.limits.readout_classes.value)) if spec.readout else "none"
    ),
    "bits that disable weights": lambda spec: "yes" if spec.kill_bits else "no",
    "supported by the vendor's current tools": lambda spec: "no" if spec.vendor_note else "yes",
}


def test_the_table_of_chips_agrees_with_their_files():
    lines = PAGE[PAGE.index("| chip |") :].split("\n\n")[0].splitlines()
    heading, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    specs = [load_chip(name) for name in list_chips() if load_chip(name).family == "speck"]
    assert heading[1:] == [f"`{spec.name}`" for spec in specs]
    table = {row[0]: row[1:] for row in body}
    assert set(table) == set(ROW)
    for name, cells in table.items():
        assert cells == [ROW[name](spec) for spec in specs], name


def test_the_default_is_the_one_it_names():
    assert load_chip("speck").name == "speck2f"
    assert "`speck` means `speck2f`" in PAGE


def recorded_events():
    """The real recording one event at a time: five bytes each, as ``nmnist.recording`` says."""
    data = np.frombuffer(nmnist.RECORDING.read_bytes(), np.uint8).reshape(-1, 5).astype(np.int64)
    times = (data[:, 2] & 127) << 16 | data[:, 3] << 8 | data[:, 4]
    events = event_array(data[:, 0], data[:, 1], times, data[:, 2] >> 7)
    return events[np.argsort(events["t"], kind="stable")]


@pytest.mark.skipif(
    bool(nmnist.MISSING), reason=f"files of others that are not there: {nmnist.MISSING}"
)
def test_the_published_network_spikes_as_the_page_says():
    d = deploy(nmnist.network(), chip="speck2f", calibration=nmnist.recording())
    found = d.compare(recorded_events(), options=SpeckOptions(permutations=10))
    for layer in found.layers:
        cells = [layer.name, count(layer.spikes["reference"])]
        cells += [
            f"{count(layer.spikes[run])} ({100 * part:.1f} %)"
            for run, part in layer.agreement.items()
        ]
        assert f"| {' | '.join(cells)} |" in PAGE
    assert set(found.decisions.values()) == {1.0}
    first = found.layers[0].name
    assert found.orders.most[first] - found.orders.fewest[first] == 3


@pytest.mark.skipif(
    bool(nmnist.MISSING), reason=f"files of others that are not there: {nmnist.MISSING}"
)
def test_shorter_timesteps_bring_the_two_timings_closer():
    d = deploy(nmnist.network().with_dt(1e-4), chip="speck2f")
    agreement = d.compare(recorded_events()).agreement["event"]
    assert f"network's outputs agree to {100 * agreement:.1f} %" in " ".join(PAGE.split())
