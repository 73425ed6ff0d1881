"""Specification files with faults: all are reported at once, each with its line."""

from pathlib import Path

import pytest

from toolchain.chips.load import load_chip
from toolchain.diagnostics import ChipFileError

SPECS = Path(__file__).parents[2] / "hardware_specs"
GOOD = (SPECS / "xylo_a2.yaml").read_text(encoding="utf-8")
SPECK = (SPECS / "speck2f.yaml").read_text(encoding="utf-8")
FAN_OUT = "fan_out:             {value: 64, unit: neuron, source: overview, basis: published}"
SOURCES = "the file lists overview, limits, xylosim, registers, from_config, intro"


def line_of(text, part):
    """The line, counted from 1, on which ``part`` starts."""
    return text[: text.index(part)].count("\n") + 1


@pytest.fixture
def report(tmp_path):
    """The message about a file that holds this text, without the folder."""

    def read(text, name="xylo_a2"):
        path = tmp_path / f"{name}.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ChipFileError) as caught:
            load_chip(path)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return read


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "64, unit: neuron",
            "64, unit: word",
            "limits.fan_out: is given in 'word', needs 'neuron'",
        ),
        ("64, unit: neuron", "64, unit: parsec", "limits.fan_out.unit: unknown unit 'parsec'"),
        ("64, unit: neuron", "64", "limits.fan_out.unit: is missing"),
        ("value: 64", 'value: "64"', "limits.fan_out.value: must be a number, got '64'"),
        ("value: 64", "value: .inf", ".inf is not a plain decimal number"),
        ("value: 64", "value: 0x40", "0x40 is not a plain decimal number"),
        (
            "value: 64",
            "value: !!python/name 64",
            "tag tag:yaml.org,2002:python/name is not allowed",
        ),
        (
            "value: 64",
            "value: 64.0",
            "limits.fan_out: must be a whole number >= 1, got 64.0 neuron",
        ),
        ("value: 64", "value: 0", "limits.fan_out: must be a whole number >= 1, got 0 neuron"),
        ("source: overview", "source: hearsay", f"unknown source 'hearsay'; {SOURCES}"),
        (
            "basis: published",
            "basis: rumour",
            "limits.fan_out.basis: must be 'published', 'measured', 'derived' or 'assumed',"
            " got 'rumour'",
        ),
        (
            "basis: published",
            "basis: published, low: 1",
            "limits.fan_out: has one of low and high, needs both or neither",
        ),
        (
            "basis: published",
            "basis: published, low: 70, high: 80",
            "limits.fan_out: value 64 is outside 70 to 80",
        ),
        (
            "basis: published",
            "basis: published, page: 3",
            "limits.fan_out.page: is not a field of a specification",
        ),
        ("value: 64", "value: 64, value: 65", "duplicate key 'value', first on line {line}"),
        ("fan_out: ", "fan_in: ", "limits.fan_in: is not a field of a specification"),
        (FAN_OUT[21:], "64", "limits.fan_out: must be a mapping, got 64"),
        (
            "{value: 64",
            "&shared {value: 64",
            "anchors and aliases are not allowed; repeat the value",
        ),
    ],
)
def test_a_fault_is_reported_with_its_line_and_field(report, old, new, message):
    text = GOOD.replace(FAN_OUT, FAN_OUT.replace(old, new))
    line = line_of(GOOD, FAN_OUT)
    assert f"  line {line}: " in report(text)
    assert message.format(line=line) in report(text)


def test_one_fault_is_the_whole_report(report):
    text = GOOD.replace(FAN_OUT, FAN_OUT.replace("neuron", "word"))
    assert report(text) == (
        "xylo_a2.yaml: 1 fault\n"
        f"  line {line_of(GOOD, FAN_OUT)}: limits.fan_out: is given in 'word', needs 'neuron'"
    )


def test_a_clock_in_seconds_is_refused(report):
    text = GOOD.replace("{value: 50, unit: MHz", "{value: 50, unit: s")
    line = line_of(GOOD, "main_clock")
    assert report(text) == (
        f"xylo_a2.yaml: 1 fault\n  line {line}: clock.main_clock: is given in 's', needs 'MHz'"
    )


def test_all_faults_are_reported_at_once_in_the_order_of_lines(report):
    text = (
        GOOD.replace("name: xylo_a2", "name: xylo_b2")
        .replace("hibernation: true", 'hibernation: "yes"')
        .replace("  output_neurons:", "  outputs:")
        .replace("value: 31,", "value: '31',")
        .replace("unit: spike/step, source: limits", "unit: spike, source: rumour", 1)
        .replace("low_power_clock: {value: 6.25,", "low_power_clock: {value: 6.25, value: 7,")
    )
    lines = {
        part: line_of(GOOD, part)
        for part in ("name:", "hibernation", "  output_n", "input_sp", "hidden_sp")
    }
    section, clock = line_of(GOOD, "limits:\n  input"), line_of(GOOD, "low_power_clock")
    assert report(text) == (
        "xylo_a2.yaml: 7 faults\n"
        f"  line {lines['name:']}: name: is 'xylo_b2', must equal the file name, 'xylo_a2'\n"
        f"  line {lines['hibernation']}: hibernation: must be a valid boolean, got 'yes'\n"
        f"  line {section}: limits.output_neurons: is missing\n"
        f"  line {lines['  output_n']}: limits.outputs: is not a field of a specification\n"
        f"  line {lines['input_sp']}: limits.input_spikes.source:"
        f" unknown source 'rumour'; {SOURCES}\n"
        f"  line {lines['hidden_sp']}: limits.hidden_spikes.value: must be a number, got '31'\n"
        f"  line {clock}: duplicate key 'value', first on line {clock}"
    )


def test_a_duplicate_key_hides_no_other_fault_of_its_line(report):
    text = GOOD.replace(FAN_OUT, FAN_OUT.replace("value: 64", "value: '64', value: 65"))
    assert "2 faults" in report(text)
    assert "limits.fan_out.value: must be a number, got '64'" in report(text)


def test_a_missing_section_is_reported_at_the_top(report):
    start, end = GOOD.index("clock:\n"), GOOD.index("power:\n")
    assert report(GOOD[:start] + GOOD[end:]) == "xylo_a2.yaml: 1 fault\n  line 2: clock: is missing"


def test_the_source_of_an_erratum_is_checked(report):
    text = GOOD.replace("    source: xylosim\n  - id", "    source: nobody\n  - id")
    line = line_of(GOOD, "    source: xylosim\n  - id")
    assert f"  line {line}: errata[0].source: unknown source 'nobody'" in report(text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "ids: [7, 8]",
            "ids: [7, 7]",
            "core_groups: core ids must be 0, 1, 2, ... each once, got [0, 1, 2, 3, 4, 5, 6, 7, 7]",
        ),
        ("[1, 2, 4, 8]", "[8, 4, 2, 1]", "limits.strides: values must be one or more, ascending"),
        ("value: 0.722", "value: 0.7", "power.actions.synop: share sums to 0.978, must be 1"),
        (
            "        logic:\n",
            "        loggia:\n",
            "power: action synop names unknown rails: loggia",
        ),
        ("      role: io\n", "      role: pad\n", "power.rails.io.role: must be 'core', 'io' or"),
        (
            "      role: io\n      idle:",
            "      role: io\n      rest:",
            "power.rails.io.rest: is not",
        ),
        ('url: "https', 'url: "ftp', "url: must"),
    ],
)
def test_a_fault_in_a_speck_file(report, old, new, message):
    assert old in SPECK
    assert message in report(SPECK.replace(old, new, 1), "speck2f")


def test_a_rail_states_static_or_idle(report):
    text = GOOD.replace("      idle:\n        value: 99.8", "      static:\n        value: 99.8")
    line = line_of(GOOD, "    io:\n")
    assert f"  line {line}: power.rails.io: has idle_clock without idle" in report(text)


def test_a_family_must_be_known(report):
    assert report(GOOD.replace("family: xylo", "family: loihi")) == (
        "xylo_a2.yaml: 1 fault\n  line 4: family: is 'loihi', must be one of speck, xylo; a "
        "package adds a family through an entry point in snn_toolchain.families"
    )


def test_a_family_must_be_there(report):
    text = GOOD.replace("family: xylo\n", "")
    assert report(text) == (
        "xylo_a2.yaml: 1 fault\n  line 2: family: is missing, must be one of speck, xylo"
    )


@pytest.mark.parametrize("text", ["", "[1, 2]", "just text"])
def test_a_file_that_is_no_mapping_is_refused(report, text):
    assert "must be a mapping" in report(text)


def test_broken_yaml_is_reported_with_its_line(report):
    assert report("a: 1\nb: [1, 2\nc: 3\n").startswith("xylo_a2.yaml: line 3: ")


def test_a_second_document_is_refused(report):
    assert report("a: 1\n---\nb: 2\n").startswith(
        "xylo_a2.yaml: line 2: but found another document"
    )


def test_aliases_of_aliases_are_not_followed(report):
    levels = "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 12))
    message = report(f"family: xylo\nx0: &x0 [1]\n{levels}")
    assert "line 2: anchors and aliases are not allowed; repeat the value" in message


def test_a_deep_file_is_refused(report):
    assert "maximum depth" in report("[" * 5000)


def test_a_large_file_is_refused(report):
    assert report("# padding\n" * 100_001) == "xylo_a2.yaml: is larger than 1000000 bytes"


def test_a_file_in_another_encoding_is_refused(report):
    text = GOOD.replace("title: Xylo Audio 2", "title: Xylo Audio ü").encode("latin-1", "replace")
    assert report(text) == "xylo_a2.yaml: line 3: is not UTF-8 text"


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ChipFileError, match="cannot be read: No such file or directory"):
        load_chip(tmp_path / "absent.yaml")


def test_numbers_follow_yaml_1_2(tmp_path, report):
    assert "must be a number, got '1:30'" in report(GOOD.replace("value: 64", "value: 1:30"))
    path = tmp_path / "xylo_a2.yaml"
    path.write_text(GOOD.replace("{value: 50, unit: MHz", "{value: 5e1, unit: MHz"), "utf-8")
    assert load_chip(path).clock.main_clock.value == 50.0


NBRAM = "    width: {value: 8, unit: bit, source: xylosim, basis: derived}"
WORDS = "    words: {value: 8000, unit: word, source: registers, basis: derived}"


@pytest.mark.parametrize(
    ("part", "old", "new", "message"),
    [
        (WORDS, "unit: word", "unit: entry", "words: is given in 'entry', needs 'word'"),
        (WORDS, "value: 8000", "value: 0", "words: must be a whole number >= 1, got 0 word"),
        (WORDS, "words:", "size:", "size: is not a field of a specification"),
        (NBRAM, "unit: bit", "unit: word", "width: is given in 'word', needs 'bit'"),
        (NBRAM, "xylosim", "hearsay", f"width.source: unknown source 'hearsay'; {SOURCES}"),
    ],
)
def test_a_fault_of_a_memory_is_named(report, part, old, new, message):
    where = "memories.owtram" if part == WORDS else "memories.nbram"
    text = GOOD.replace(part, part.replace(old, new))
    assert f"  line {line_of(GOOD, part)}: {where}.{message}" in report(text)


def test_the_step_of_real_time_is_a_time(report):
    imu = (SPECS / "xylo_imu.yaml").read_text(encoding="utf-8")
    text = imu.replace("value: 5\n    unit: ms", "value: 5\n    unit: MHz")
    assert "clock.real_time_step: is given in 'MHz', needs 'ms'" in report(text, "xylo_imu")
