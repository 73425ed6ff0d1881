"""Comparison of quantizers for Xylo: output agreement of the bit-exact chip and the float network.

    python benchmarks/xylo_quantizers.py [--record | --series n] [network ...]

24 random and 6 trained networks are quantized for Xylo Audio 2 by rockpool's ``global_quantize``
and ``channel_quantize`` and by this project's ``global``, ``channel`` and ``auto``, from the same
float network for the same chip. Those of this project use the calibration spikes, rockpool's use
none. The table has the agreement of output spike counts (``count_agreement``, the lag removed) on
held-out spikes. ``--series`` draws other random networks, to check that the result generalizes.
``--record`` runs the table and three further series, and writes the figures to the test data and
into docs/xylo.md. Needs rockpool, which
`make compare` installs in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.oracles import rockpool_quantizers, xylo_compared  # noqa: E402
from tests.oracles.xylo_compared import Case, agreement  # noqa: E402
from tests.oracles.xylo_trained import RECIPES, trained_case  # noqa: E402
from toolchain import deploy  # noqa: E402
from toolchain.chips.xylo import XyloProgram  # noqa: E402

CHIP = "xylo_a2"
OURS = ("global", "channel", "auto")
THEIRS = tuple(f"rockpool {method}" for method in rockpool_quantizers.METHODS)
COLUMNS = (*THEIRS, *OURS)
OTHERS = (1, 2, 3)
"""Series of random networks, beside the table's, that ``--record`` runs too."""
RECORD = ROOT / "tests" / "oracles" / "data" / "xylo_quantizers.json"
PAGE = ROOT / "docs" / "xylo.md"
FIRST, LAST = "<!-- comparison: written by make compare -->", "<!-- end of comparison -->"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--series", type=int)
    parser.add_argument("--cache", type=Path, default=ROOT / "out" / "trained")
    parser.add_argument("network", nargs="*", help="part of a name; all networks unless given")
    arguments = parser.parse_args()
    if arguments.record:
        write(
            {
                "table": compare(table_cases(arguments.cache)),
                "others": {n: compare(random_cases(n)) for n in OTHERS},
            }
        )
        return
    given = arguments.series
    found = table_cases(arguments.cache) if given is None else random_cases(given)
    parts = arguments.network or [""]
    compare(case for case in found if any(part in case.name for part in parts))


def random_cases(series: int) -> Iterator[Case]:
    """Yield the 24 random networks of a series."""
    for index in range(len(xylo_compared.KINDS) * xylo_compared.EACH):
        yield xylo_compared.random_case(index, series)


def table_cases(cache: Path) -> Iterator[Case]:
    """Yield the thirty networks of the table; trained networks are cached in ``cache``."""
    yield from random_cases(xylo_compared.SERIES)
    for name in RECIPES:
        yield trained_case(name, cache)[0]


def compare(found: Iterable[Case]) -> list[dict[str, Any]]:
    """Compute and print a row for each network."""
    print(heading())
    rows = []
    for case in found:
        rows.append(row(case))
        print(line(rows[-1]), flush=True)
    print(f"\n{summary(rows, 'held_out')}\n{summary(rows, 'calibration')}\n", flush=True)
    return rows


def write(record: Mapping[str, Any]) -> None:
    """Write the results to the test data and into the documentation."""
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(FIRST)
    _, _, after = rest.partition(LAST)
    PAGE.write_text(f"{before}{FIRST}\n{section(record)}\n{LAST}{after}", encoding="utf-8")


def section(record: Mapping[str, Any]) -> str:
    """Return the section of the documentation."""
    table = record["table"]
    return "\n".join(
        [
            heading(),
            *map(line, table),
            "",
            f"- {summary(table, 'held_out')}.",
            f"- {summary(table, 'calibration')}.",
            *(
                f"- Random networks of series {n}, {summary(rows, 'held_out')}."
                for n, rows in record["others"].items()
            ),
            f"- {losses(record)}",
        ]
    )


def losses(record: Mapping[str, Any]) -> str:
    """List the networks on which ``auto`` is worse than rockpool, with the difference."""
    parts = {"the table": record["table"]}
    parts |= {f"series {n}": rows for n, rows in record["others"].items()}
    behind = [
        f"{row['network']} of {part} ({100 * points:.1f})"
        for part, rows in parts.items()
        for row in rows
        if (points := -lead(row, "held_out")) > 0
    ]
    if not behind:
        return "On held-out spikes auto is behind on no network."
    return f"On held-out spikes auto is behind on, with points: {', '.join(behind)}."


def row(case: Case) -> dict[str, Any]:
    """Return all agreements of one network; a text if a quantizer failed.

    With the digests of rockpool's integers, except for a trained network, which is another one on
    another processor.
    """
    programs, digests = theirs(case)
    programs |= ours(case)
    found: dict[str, Any] = {"network": case.name, "kind": case.kind, "neurons": case.neurons}
    for spikes in ("held_out", "calibration"):
        found[spikes] = {
            name: program
            if isinstance(program, str)
            else round(agreement(case.graph, program, getattr(case, spikes)), 4)
            for name, program in programs.items()
        }
    return found | ({"integers": digests} if case.kind in xylo_compared.KINDS else {})


def theirs(case: Case) -> tuple[dict[str, Any], dict[str, str]]:
    """Return rockpool's programs, or the text of the failure, and a digest of the integers.

    Its integers are compared with those of ``rockpool_quantizers.told``.
    """
    spec = rockpool_quantizers.specification(case.graph, CHIP)
    programs: dict[str, Any] = {}
    digests = {}
    for method, name in zip(rockpool_quantizers.METHODS, THEIRS, strict=True):
        try:
            integers = rockpool_quantizers.called(method, spec)
        except IndexError as fault:  # a known fault of channel_quantize
            programs[name] = f"failed: {fault}"
            continue
        digests[method] = rockpool_quantizers.digest(integers)
        if digests[method] != rockpool_quantizers.digest(rockpool_quantizers.told(method, spec)):
            raise AssertionError(f"{name} on {case.name}: integers differ from the record")
        programs[name] = XyloProgram.from_specification(CHIP, **integers)
    return programs, digests


def ours(case: Case) -> dict[str, Any]:
    """Return the deployments of the quantizers of this project."""
    return {
        name: deploy(case.graph, chip=CHIP, calibration=case.calibration, quantizer=name)
        for name in OURS
    }


# ---- tables ----


def heading() -> str:
    """Return the first two lines of the table, in Markdown."""
    names = ("network", "neurons", *COLUMNS)
    return f"| {' | '.join(names)} |\n|---|{'---:|' * (len(names) - 1)}"


def line(row: Mapping[str, Any]) -> str:
    """Return the row of one network on its held-out spikes; the best value is bold."""
    values = [row["held_out"][name] for name in COLUMNS]
    best = max(v for v in values if not isinstance(v, str))
    cells = [shown(v, v == best) for v in values]
    return f"| {row['network']} | {row['neurons']} | {' | '.join(cells)} |"


def shown(value: float | str, best: bool) -> str:
    """Format an agreement in percent, or the word for a failure."""
    if isinstance(value, str):
        return value.partition(":")[0]
    text = f"{100 * value:.1f}"
    return f"**{text}**" if best else text


def summary(rows: list[dict[str, Any]], spikes: str) -> str:
    """Count how often ``auto`` is as good as or better than both of rockpool's."""
    leads = [lead(row, spikes) for row in rows]
    equal, better = sum(points >= 0 for points in leads), sum(points > 0 for points in leads)
    means = {name: np.mean([best(r[spikes][name]) for r in rows]) for name in COLUMNS}
    listed = ", ".join(f"{name} {100 * mean:.1f} %" for name, mean in means.items())
    return (
        f"{spikes.replace('_', '-')} spikes: auto is at least as good as both of rockpool's on "
        f"{equal} of {len(rows)} networks and better on {better}; mean agreement: {listed}"
    )


def lead(row: Mapping[str, Any], spikes: str) -> float:
    """Return the difference between ``auto`` and the better one of rockpool's."""
    found = row[spikes]
    return float(found["auto"] - max(best(found[name]) for name in THEIRS))


def best(value: float | str) -> float:
    """Return the agreement; 0 if the quantizer failed."""
    return 0.0 if isinstance(value, str) else value


if __name__ == "__main__":
    main()
