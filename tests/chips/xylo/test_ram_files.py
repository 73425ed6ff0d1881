"""Memory images: the files that xylosim's writer was recorded to make, byte for byte."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.cases import each
from tests.chips.xylo.programs import as_program, quiet
from tests.oracles.xylo_ram_files import CORES, DATA, SEEDS, unpack
from toolchain.chips.xylo import simulate
from toolchain.chips.xylo.emit.ram_files import memory_files, run_files, write_ram_files

RECORDS = unpack()


def program_of(found):
    return as_program(found["net"], found["core"], dt=found["dt"])


def read(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().decode("ascii")
        for path in folder.rglob("*")
        if path.is_file()
    }


def small(**changes):
    """One channel, two hidden neurons, one output with a weight."""
    return quiet(**({"weights_out": np.array([[1], [0]])} | changes))


@each("number", range(len(RECORDS)))
def test_every_recorded_file_is_reproduced(number, tmp_path):
    found = RECORDS[number]
    folder = write_ram_files(program_of(found), tmp_path / "made" / "files", found["raster"])
    assert folder == tmp_path / "made" / "files"
    got = read(folder)
    assert sorted(got) == sorted(found["files"])
    assert [name for name in got if got[name] != found["files"][name]] == []


def test_the_records_hold_what_is_easy_to_get_wrong():
    assert len(RECORDS) == len(CORES) * (1 + len(SEEDS))
    files = [found["files"] for found in RECORDS]
    configs = [f["basic_config.json"] for f in files]
    for text in ('"N_SYNS": 1', '"N_SYNS": 2', '"RA": true', '"RA": false', '"BIAS": true'):
        assert any(text in config for config in configs)
    assert any(f'"ON": {f["net"]["weights_out"].shape[1]},' not in config
               for f, config in zip(RECORDS, configs, strict=True))  # fmt: skip
    assert any(set(f["rcram.ini"].split()) == {"0", "1", "2"} for f in files)
    assert any("3" in f["rcram.ini"].split() for f in files)
    assert any("idle 20" in f["spk_in/inp_spks.txt"] for f in files)
    dumped = [sum(name.startswith("vmem") for name in f) for f in files]
    assert any(d < len(f["raster"]) for d, f in zip(dumped, RECORDS, strict=True))
    assert any("1f" in text for f in files for name, text in f.items() if "spk_res" in name)
    assert DATA.stat().st_size < 100_000


def test_a_recording_gives_the_files_that_its_raster_gives(tmp_path):
    found = RECORDS[-1]
    program = program_of(found)
    run = simulate(program, found["raster"], record=True)
    alone = read(write_ram_files(program, tmp_path / "a", recording=run))
    both = read(write_ram_files(program, tmp_path / "b", found["raster"], run))
    assert both == found["files"]
    assert both.keys() - alone.keys() == {"spk_in/inp_spks.txt"}
    assert alone.items() <= both.items()


def test_a_program_alone_gives_its_memories(tmp_path):
    found = RECORDS[0]
    got = read(write_ram_files(program_of(found), tmp_path / "a"))
    assert got == {name: text for name, text in found["files"].items() if "/" not in name}


def test_a_program_with_one_synapse_is_one_whose_second_has_no_weights():
    one, two = (quiet(synapses=s, weights_out=np.ones((2, 1), int)) for s in (1, 2))
    raster = np.ones((3, 1), int)
    assert memory_files(one) == memory_files(two)
    assert run_files(one, raster) == run_files(two, raster)


@given(
    weights=arrays(np.int8, (5, 5, 2), elements=st.sampled_from([-128, -1, 0, 0, 0, 5, 127])),
    synapses=st.sampled_from([1, 2]),
)
def test_a_source_has_each_target_in_one_entry_at_most(weights, synapses):
    program = small(
        hidden=5,
        synapses=synapses,
        weights_rec=weights[..., :synapses],
        weights_out=np.ones((5, 1), int),
    )
    files = memory_files(program)
    blocks = {
        name: [block.split("\n")[1:-1] for block in files[name].split("// ")[1:]]
        for name in ("rforam.ini", "rwtram.ini", "rwt2ram.ini")
    }
    for source, targets in enumerate(blocks["rforam.ini"]):
        ids = [int(target, 16) for target in targets]
        # strictly ascending: consecutive entries never have the same target, nor do any others
        assert ids == sorted(set(ids))
        assert ids == np.flatnonzero(weights[source, :, :synapses].any(axis=1)).tolist()
        for which, name in enumerate(["rwtram.ini", "rwt2ram.ini"]):
            want = weights[source, ids, which] if which < synapses else np.zeros(len(ids), int)
            assert [int(w, 16) for w in blocks[name][source]] == [int(w) & 0xFF for w in want]
    counts = [int(number, 16) for number in files["refocram.ini"].split()]
    assert counts == program.fan_out().tolist()


def test_what_the_format_cannot_hold_is_refused_all_at_once(tmp_path):
    program = small(
        inputs=17,
        hidden=257,
        outputs=2,
        weights_rec=np.ones((257, 257, 1), int),
        weights_out=np.zeros((257, 2), int),
        bias=np.full(257, -129),
        bias_out=np.array([0, 300]),
        aliases=((1, 2), *((),) * 256),
    )
    with pytest.raises(ValueError, match=r"^the RAM files cannot store this program:") as caught:
        write_ram_files(program, tmp_path / "a")
    assert str(caught.value).split("\n  ")[1:] == [
        "input: needs 17 channels, one digit encodes 16",
        (
            "network: no output has a weight; the format takes their number from the last one that "
            "has"
        ),
        "hidden: needs biases up to 129, 2 digits encode -128..127",
        "hidden: needs 257 entries per neuron, 2 digits encode 255",
        "hidden: needs 2 alias targets per neuron, the format has 1",
        "output: needs biases up to 300, 2 digits encode -128..127",
    ]
    assert list(tmp_path.iterdir()) == []


def test_what_the_format_can_just_hold_is_written():
    weights_rec = np.ones((255, 255, 1), int)
    program = small(
        inputs=16,
        hidden=255,
        outputs=2,
        weights_rec=weights_rec,
        weights_out=np.eye(255, 2, dtype=int),
        bias=np.full(255, -128),
        bias_out=np.array([0, 127]),
        aliases=((1,), *((),) * 254),
    )
    files = memory_files(program)
    assert set(files["refocram.ini"].split()) == {"ff"}
    assert files["nbram.ini"].split()[-3:] == ["80", "00", "7f"]


def test_4095_neurons_are_named_and_4096_are_not():
    # an alias that is not there is written as fff
    def row(hidden):
        ones = np.ones((1, hidden, 1), int)
        rec = np.broadcast_to(np.zeros((1, 1, 1), np.int8), (hidden, hidden, 1))
        return small(
            hidden=hidden, weights_in=ones, weights_rec=rec, weights_out=np.ones((hidden, 1), int)
        )

    assert "rcram.ini" in memory_files(row(4095))
    with pytest.raises(
        ValueError, match=("network: needs 4096 hidden neurons, 3 digits encode 4095")
    ):
        memory_files(row(4096))


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "notes.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"a already exists; it is not overwritten$"):
        write_ram_files(small(), folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_taken(tmp_path):
    assert (write_ram_files(small(), tmp_path) / "iwtram.ini").is_file()


def test_a_failure_on_the_way_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(handle):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_ram_files(small(), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_several_samples_or_without_states_is_refused():
    program, raster = small(), np.ones((2, 3, 1), int)
    run = simulate(program, raster, record=True)
    with pytest.raises(ValueError, match=r"^the files hold one sample, the raster has 2$"):
        run_files(program, raster)
    with pytest.raises(ValueError, match=r"^the files hold one sample, the recording has 2$"):
        run_files(program, None, run)
    one = simulate(program, raster[0])
    with pytest.raises(
        ValueError, match=r"^the recording has no states: simulate with record=True"
    ):
        run_files(program, raster[0], one)
    message = r"^the raster is \(sample, timestep\) \(1, 2\), the recording \(1, 3\)$"
    with pytest.raises(ValueError, match=message):
        run_files(program, raster[0, :2], one)
    other = simulate(quiet(hidden=3), raster[0], record=True)
    message = "^the recording has 3 hidden and 1 output neurons, the program 2 and 1$"
    with pytest.raises(ValueError, match=message):
        run_files(program, raster[0], other)
