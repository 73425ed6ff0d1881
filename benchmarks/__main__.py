"""Measurement of speed and memory, as ratios within one run where there is a reference.

    OMP_NUM_THREADS=1 python -m benchmarks [groups] [--repeats N] [--json FILE] [--record]

Prints figures, processor and wall times and the load. Exits with 1 if a figure is worse than the
committed one of ``figures.json`` by more than ``figure.SLACK``, or beyond a limit of its own.
``--record`` writes the figures there and into docs/speed.md. Needs xylosim and sinabs, which
``make bench`` installs in an environment of its own.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from benchmarks.figure import SLACK, Figure, markdown, read, table, worse, write
from benchmarks.measure import circumstances

COMMITTED = Path(__file__).with_name("figures.json")
PAGE = Path(__file__).parents[1] / "docs" / "speed.md"
FIRST, LAST = "<!-- figures -->", "<!-- end of figures -->"
GROUPS = (
    "start", "xylo", "speck", "online", "training", "training_speck", "extraction", "synops",
    "estimate", "waits", "growth",
)  # fmt: skip


def measured(group: str, repeats: int) -> Iterator[Figure]:
    """Yield the figures of a group."""
    figures: Callable[[int], Iterator[Figure]] = import_module(f"benchmarks.{group}").figures
    yield from figures(repeats)


def fill(page: Path, text: str) -> None:
    """Write ``text`` between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(FIRST)
    _, _, after = rest.partition(LAST)
    page.write_text(f"{before}{FIRST}\n{text}\n{LAST}{after}", encoding="utf-8")


def main() -> None:
    """Measure, print and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], default=[])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file for the figures of this run")
    parser.add_argument("--record", action="store_true", help=f"write {COMMITTED.name}")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # what a deployment warns of is no matter of speed
    committed = read(COMMITTED) if COMMITTED.is_file() else {}
    print(circumstances())
    figures: list[Figure] = []
    for group in arguments.groups or GROUPS:
        found = list(measured(group, arguments.repeats))
        print(f"\n{group}\n{table(found, committed)}", end="", flush=True)
        figures += found
        if arguments.record:
            committed |= {f.name: f for f in found}
            write(committed.values(), COMMITTED)
            fill(PAGE, markdown(committed.values()))
    print(circumstances())
    if arguments.json:
        write(figures, arguments.json)
    wrong = worse(figures, committed)
    for name in wrong:
        print(f"worse than committed by more than {SLACK}x, or beyond its limit: {name}")
    raise SystemExit(bool(wrong) and not arguments.record)


if __name__ == "__main__":
    main()
