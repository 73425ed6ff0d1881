import json
import math
import os
import pickle
import pty
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from toolchain.diagnostics import (
    ArtifactError,
    ChipFileError,
    DeployWarning,
    Diagnostic,
    ExtractError,
    GraphError,
    ModelFileError,
    PluginError,
    PluginWarning,
    Severity,
    VendorError,
)
from toolchain.report import (
    Bars,
    Brief,
    Column,
    Sheet,
    Table,
    Text,
    brief,
    plain,
    render,
    to_html,
    to_markdown,
    visible,
)

TABLE = Table(columns=(Column("layer"), Column("power", "right")), rows=(("fc0", "12 µW"),))
HOSTILE = "<script>alert(1)</script> | `x` *y* [z](w) & \\ 1. #"


class Cells(HTMLParser):
    """Every text of a page, and the tags around it."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, _attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.extend(data.splitlines())


def test_html_shows_title_tables_texts_and_bars():
    bars = Bars(title="share", bars=(("fc0", 0.25, "25.0 %"), ("fc1", 2.0, "200.0 %")))
    page = to_html(Sheet((TABLE, Text(("dt: 1 ms",))), "one layer", (bars,)))
    found = [text for text in Cells(page).texts if text.strip()]
    assert found == [
        *("one layer", "layer", "power", "fc0", "12 µW", "dt: 1 ms"),
        *("share", "fc0", "25.0 %", "fc1", "200.0 %"),
    ]
    assert "width: 25.0%" in page
    assert "width: 100.0%" in page, "a bar does not leave its cell"


@pytest.mark.parametrize("hidden", [*"\x00\x1b\x7f\x9b\r\u200b\u2028\u202e\ud800\ufeff\U000e0041"])
def test_control_characters_of_a_name_are_shown_as_escapes(hidden):
    name = f"fc{hidden}[2J"
    bars = (Bars(title=name, bars=((name, 0.5, name),)),)
    table = Table(title=name, columns=(Column(name),), rows=((name,),))
    sheet = Sheet((table, Text((name,))), name, bars)
    finding = Diagnostic(rule="r", severity=Severity.INFO, where=name, message=name)
    for text in (render(sheet), to_html(sheet), to_markdown(sheet), str(finding), repr(finding)):
        assert hidden not in text
        assert len(text.split(hidden.encode("unicode_escape").decode())) > 1
        assert text.encode()


def test_names_in_other_scripts_are_kept():
    for name in ("שלום", "層", "é", "a\tb", "\N{GRINNING FACE}"):
        assert visible(name) == name


def test_a_line_break_in_a_name_does_not_start_a_line_of_its_own():
    where = "fc\nerror[fan_out] lif"
    finding = Diagnostic(rule="r", severity=Severity.INFO, where=where, message="m")
    assert str(finding) == r"info[r] fc\nerror[fan_out] lif: m"
    assert repr(finding) == r"Diagnostic(info[r] fc\nerror[fan_out] lif: 'm')"
    bars = (Bars(title=where, bars=((where, 0.5, where),)),)
    table = Table(title=where, columns=(Column(where),), rows=((where,),))
    sheet = Sheet((table, Text((where,))), where, bars)
    for text in (render(sheet), to_html(sheet), to_markdown(sheet), str(GraphError(where))):
        assert "\nerror" not in text


@pytest.mark.parametrize(
    "kind",
    [
        *(ArtifactError, ChipFileError, DeployWarning, ExtractError, GraphError, ModelFileError),
        *(PluginError, PluginWarning, VendorError),
    ],
)
def test_errors_show_control_characters_as_escapes(kind):
    error = kind("layer fc\x1b[2J\u202e\ud800")
    assert str(error) == r"layer fc\x1b[2J\u202e\ud800"
    assert error.args[0].endswith("\ud800")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_entities_and_formulas_are_literal_in_markdown():
    assert to_markdown(Sheet((), "&lt; $x$")) == r"**\&lt; \$x\$**"


def test_nothing_of_a_name_is_taken_for_markup():
    sheet = Sheet((Table(columns=(Column("x"),), rows=((HOSTILE,),)), Text((HOSTILE,))), HOSTILE)
    page = Cells(to_html(sheet))
    assert page.texts.count(HOSTILE) == 3
    assert "script" not in page.tags
    row = to_markdown(sheet).splitlines()[4]
    assert row.replace("\\\\", "").count("|") - row.count("\\|") == 2


def test_markdown_has_a_row_for_each_row_and_lines_of_their_own():
    text = to_markdown(Sheet((TABLE, Text(("- a", "1. b"))), "one layer"))
    assert text == (
        "**one layer**\n\n| layer | power |\n| :-- | --: |\n| fc0 | 12 µW |\n\n\\- a  \n1\\. b  "
    )


@dataclass
class Result:
    values: object


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (math.nan, None),
        (np.float64("inf"), None),
        ([-math.inf, 1.5], [None, 1.5]),
        (Result({1: (2, {"b", "a"})}), {"values": {"1": [2, ["a", "b"]]}}),
        (Severity.ERROR, "error"),
        (Path("a") / "b", str(Path("a") / "b")),
    ],
)
def test_plain_data_is_what_json_holds(value, data):
    assert plain(value) == data
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == data


def test_plain_data_of_anything_else_is_refused():
    with pytest.raises(TypeError, match="no plain data for object"):
        plain({"x": object()})


@dataclass(repr=False)
class Weights(Brief):
    name: str
    weight: np.ndarray
    table: dict


def test_a_brief_repr_is_one_line_whatever_the_fields_hold():
    large = {f"layer {n}": n for n in range(99)}
    assert repr(Weights("fc\n0", np.zeros((200, 300)), large)) == (
        r"Weights(name='fc\n0', weight=float64[200, 300], table=<99 items>)"
    )
    assert brief(Text(("x\n" * 500,))).endswith("...")
    assert brief((1, "a")) == "(1, 'a')"


# ---- width ----


def test_a_number_stays_with_its_unit():
    line = "needs 16 384 words, 12.5 % of all, at 6.25 MHz; " * 4
    for width in range(20, 60):
        lines = render(Sheet((Text((line,)),)), width).splitlines()
        assert not any(each.startswith(("384", "%", "MHz")) for each in lines), width


def test_a_narrow_table_loses_nothing():
    headings = ("chip", "agreement", "power, µW", "µJ/inference", "latency, ms", "basis", "pace")
    cells = ("xylo_a2", "51.3 %", "372 (336 to 375)", "18.6 (16.8 to 18.8)", "1.05", "derived", "y")
    table = Table(columns=tuple(map(Column, headings)), rows=(cells,))
    for width in (72, 80, 100):
        text = render(Sheet((table,)), width)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        words = text.split()
        assert all(word in words for cell in (*headings, *cells) for word in cell.split())


SHOW = """
from toolchain.report import Sheet, Text, render
print(render(Sheet((Text(("many words " * 40,)),))), flush=True)
"""


def width_of(output):
    return max(map(len, output.splitlines()))


@pytest.mark.parametrize(("columns", "most"), [(80, 80), (200, 100), (20, 40)])
def test_text_is_as_wide_as_the_terminal(columns, most):
    outer, inner = pty.openpty()
    # the size of the new terminal
    import fcntl
    import struct
    import termios

    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    subprocess.run([sys.executable, "-c", SHOW], stdout=inner, env=environment, check=True)
    os.close(inner)
    output = os.read(outer, 1 << 16).decode()
    os.close(outer)
    assert most - 12 < width_of(output) <= most


def test_text_in_a_pipe_is_a_hundred_wide_in_any_encoding():
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "NO_COLOR": "1"}
    run = subprocess.run(
        [sys.executable, "-c", SHOW], capture_output=True, env=environment, check=True
    )
    assert 88 < width_of(run.stdout.decode("cp1252")) <= 100
    assert b"\x1b" not in run.stdout
