"""Comparison of the estimator with published readings.

    python -m validation [--record]

Prints the table. Exits with 1 if a row of kind R misses its tolerance (0 for exact rows).
``--record`` also writes the table into docs/power.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.genuine import FOLDER
from validation import all_lines
from validation.networks import BRAILLE
from validation.table import as_markdown

PAGE = Path(__file__).parents[1] / "docs" / "power.md"
FIRST, LAST = "<!-- validation: written by make validation -->", "<!-- end of validation -->"


def main() -> None:
    """Compute and print the table; exit with 1 if a row fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    lines = all_lines(FOLDER)
    text = as_markdown(lines)
    print(text)
    if not (FOLDER / BRAILLE).is_file():
        print(f"\nV9: {BRAILLE} is missing; used a network with as many connections instead")
    if arguments.record:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(FIRST)
        _, _, after = rest.partition(LAST)
        PAGE.write_text(f"{before}{FIRST}\n{text}\n{LAST}{after}", encoding="utf-8")
    wrong = [line for line in lines if line.fails]
    for line in wrong:
        print(f"missed: {line.row}, {line.what}")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
