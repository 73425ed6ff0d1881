"""What the pages of ``docs`` say is what happens."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

from tests.cases import each
from toolchain.chips.load import list_chips, load_chip

ROOT = Path(__file__).parent.parent
ALL_PAGES = sorted((ROOT / "docs").glob("*.md"))
# the others need frameworks: test_docs_frameworks runs them
PAGES = [page for page in ALL_PAGES if not page.name.startswith("coming_from_")]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
XYLO = (ROOT / "docs" / "xylo.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_examples_print_what_is_printed_below_them(page, tmp_path, monkeypatch):
    """All blocks of one page run in one namespace; a ``text`` block is what came before it."""
    monkeypatch.chdir(tmp_path)
    text, names = page.read_text(encoding="utf-8"), {"__name__": page.stem}
    blocks = list(BLOCK.finditer(text))
    assert blocks
    printed = ""
    for block in blocks:
        language, body = block.groups()
        if language == "python":
            line = text[: block.start()].count("\n") + 1
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile("\n" * line + body, str(page), "exec"), names)
            printed = out.getvalue()
        elif language == "text":
            assert printed == body
            printed = ""
    assert not printed, "is printed and not shown"


@each("page", ALL_PAGES)
def test_the_files_and_commands_it_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(
        r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(re.findall(r"`make ([\w-]+)", text)) <= set(targets)
    for name in re.findall(
        r"`((?:toolchain|examples|tests|benchmarks|hardware_specs|validation)/[^`]+)`", text
    ):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (page.parent / name).exists(), name


def rows(heading):
    """The cells of the table whose first heading is that, row by row."""
    lines = XYLO.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    found = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return [found[0], *found[2:]]


def test_the_table_of_chips_is_what_their_files_say():
    heading, *body = rows("chip")
    specs = [load_chip(name) for name in list_chips() if load_chip(name).family == "xylo"]
    assert heading[1:] == [f"`{spec.name}`" for spec in specs]
    said = {row[0]: row[1:] for row in body}
    for name, cells in said.items():
        assert cells == [ROW[name](spec) for spec in specs], name
    assert set(said) == set(ROW)


def of(field):
    """How a limit is shown: a number with thin groups, or what stands for its absence."""

    def shown(spec):
        limit = getattr(spec.limits, field)
        return "none" if limit is None else f"{int(limit.value):,}".replace(",", " ")

    return shown


ROW = {
    "vendor's name": lambda spec: spec.vendor_ids[0],
    "integer core": lambda spec: spec.integer_core,
    "input channels": of("input_channels"),
    "hidden neurons": of("hidden_neurons"),
    "output neurons": of("output_neurons"),
    "synapses per hidden neuron": of("hidden_synapses"),
    "neurons the input reaches": of("input_expansion"),
    "neurons the output reads": of("output_expansion"),
    "targets of one neuron": of("fan_out"),
    "recurrent entries": of("fan_out_memory"),
    "bias, bit": of("bias_width"),
}


def test_the_comparison_is_the_one_recorded():
    from benchmarks import xylo_quantizers

    recorded = json.loads(xylo_quantizers.RECORD.read_text(encoding="utf-8"))
    assert f"{xylo_quantizers.section(recorded)}\n" in XYLO
