"""Tables of an estimate: the figures of the whole network, then the work of each layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from toolchain.estimate.figure import Figure
from toolchain.report import Column, Table, count, share, short
from toolchain.runs.activity import LayerActivity

__all__ = ["figure_table", "layer_table", "pace_text"]


def figure_table(title: str, rows: Iterable[tuple[str, object]]) -> Table:
    """Return a row for each name and value; None values are omitted."""
    return Table(
        title=title,
        columns=(Column("figure"), Column("estimate")),
        rows=tuple((name, str(value)) for name, value in rows if value is not None),
    )


def layer_table(
    layers: Sequence[LayerActivity], dynamic: Sequence[tuple[Figure, float | None]]
) -> Table:
    """Return a row for each layer; ``dynamic`` is its dynamic power and its share of the total."""
    headings = ("neurons", "spikes/step", "active", "synops/step", "dynamic power", "share")
    return Table(
        columns=(Column("layer"), *(Column(heading, "right") for heading in headings)),
        rows=tuple(
            (
                layer.name,
                count(layer.neurons),
                short(layer.spikes_per_step, 4),
                "" if layer.active is None else f"{100 * layer.active:.2f} %",
                short(layer.synops_per_step, 4),
                str(power) if part else "",
                share(part) if part else "",
            )
            for layer, (power, part) in zip(layers, dynamic, strict=True)
        ),
    )


def pace_text(slow: Sequence[str], margin: float, always: bool | None) -> str:
    """Return whether the chip keeps up.

    Args:
        slow: places where it does not.
        margin: largest margin of a place, a fraction of the work.
        always: whether it keeps up with the most work there can be; None if unknown.
    """
    if slow:
        return f"no: {', '.join(slow)}; the power is that of a core that is always busy"
    worst = {True: "in the worst case too", False: "not in the worst case", None: "worst unknown"}
    spare = f", {100 * margin:.0f} % margin" if margin else ""
    return f"yes{spare}; {worst[always]}"
