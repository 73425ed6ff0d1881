import builtins
import json
import sys
import types
from dataclasses import asdict, replace

import pytest

from tests.oracles.artifacts import DATA, spikes
from toolchain import Deployment, compare_chips
from toolchain.report import Column, Sheet, Table, Text, render

TABLE = Table(
    title="two layers",
    columns=(Column("layer"), Column("spikes", "right")),
    rows=(("fc0", "12"), ("a longer name", "1 234")),
)
SHEET = Sheet((TABLE, Text(("first line", "second line"))))
HOSTILE = ("[red]x[/red]", ":x:", "[/]", "\\[bold]", "{0}", "%s", "<b>&amp;")


def cells(text):
    """Words of ``text`` in order, without the layout."""
    return text.split()


def test_a_sheet_is_printed_as_aligned_columns_and_lines():
    assert render(SHEET) == (
        "two layers\n"
        " layer          spikes\n"
        " fc0                12\n"
        " a longer name   1 234\n"
        "first line\n"
        "second line"
    )


def test_a_table_without_indentation_starts_at_the_left_edge():
    assert render(Sheet((replace(TABLE, title="", indented=False),))) == (
        "layer          spikes\nfc0                12\na longer name   1 234"
    )


def test_an_empty_sheet_and_an_empty_text_print_nothing():
    assert render(Sheet(())) == ""
    assert render(Sheet((Text(()), TABLE, Text(())))) == render(Sheet((TABLE,)))


def test_an_empty_line_is_kept():
    assert render(Sheet((Text(("above", "", "below")),))) == "above\n\nbelow"


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_printed_as_they_are(name):
    table = Table(title=name, columns=(Column(name),), rows=((name,),))
    assert cells(render(Sheet((table, Text((name,)))))) == [name] * 4


@pytest.mark.parametrize("width", [20, 40, 100])
def test_no_line_is_longer_than_the_width(width):
    long = "seven words in a row and more " * 9
    table = Table(columns=(Column("layer"), Column("changes")), rows=(("fc0", long),))
    sheet = Sheet((table, Text((long,))))
    lines = render(sheet, width).splitlines()
    assert width - 10 < max(map(len, lines)) <= width
    assert cells(render(sheet, width)) == ["layer", "changes", "fc0", *cells(long), *cells(long)]


def test_a_cell_that_does_not_wrap_is_cut():
    table = Table(columns=(Column("layer", wraps=False),), rows=(("abcdefghijklmnop",),))
    assert render(Sheet((table,)), 12) == " layer\n abcdefghi…"


def test_a_row_has_a_cell_for_each_column():
    with pytest.raises(ValueError, match=r"row \('a',\) has 1 cells, expected 2"):
        Table(columns=(Column("x"), Column("y")), rows=(("a",),))


# ---- results ----


@pytest.fixture(scope="module", params=["speck2f-common", "xylo_a2-auto"])
def results(request):
    """One of each result that prints as tables."""
    deployment = Deployment.load(DATA / request.param)
    counts = spikes(deployment.graph.shape(deployment.graph.input))
    return (
        deployment,
        deployment.ledger,
        deployment.compare(counts),
        deployment.estimate(counts),
        compare_chips(deployment.graph, deployment.chip.name, spikes=counts),
    )


def test_results_print_their_sheets(results):
    for result in results:
        assert str(result) == render(result.sheet())
        assert len(str(result)) > 100


def test_sheets_are_plain_data_that_can_be_compared(results):
    for result in results:
        sheet = result.sheet()
        assert json.dumps(asdict(sheet))
        assert sheet == result.sheet()
        assert hash(sheet) == hash(result.sheet())


class ZMQInteractiveShell:
    """What the shell of a notebook is called: rich looks for this name."""


def test_text_is_the_same_within_a_notebook(monkeypatch):
    deployment = Deployment.load(DATA / "speck2f-common")
    outside = str(deployment)
    display = types.ModuleType("IPython.display")
    display.display = lambda *_parts, **_rest: None
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    assert len(outside) > 100
    assert str(deployment) == outside
