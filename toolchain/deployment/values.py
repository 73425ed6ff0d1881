"""Values and axes of the user's input: what a chip does not take, by how much and how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolchain.arrays import Array
from toolchain.chips.contract import Family
from toolchain.chips.rules.findings import Findings, info, warning
from toolchain.ir import Graph
from toolchain.report import count
from toolchain.runs.collect import Collected
from toolchain.runs.spikes import as_array

__all__ = ["check_counts", "input_findings"]

MOST_DIGITS = 1e9
"""Smallest magnitude that messages give with an exponent."""
AT_ONCE = 2**22
"""Values that are checked at a time, so that the check needs little memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Numbers of values that are no spike counts, and what the counts exceed.

    Attributes:
        total: number of values.
        above: values above the limit; 0 without one.
        fractional: values that are not whole.
        negative, not_finite: values below 0, and NaN or infinite ones.
        largest, smallest: of the finite values.
        first: index of the first value at fault; None if there is none.
    """

    total: int = 0
    above: int = 0
    fractional: int = 0
    negative: int = 0
    not_finite: int = 0
    largest: float = 0.0
    smallest: float = 0.0
    first: int | None = None


def values_of(array: Array, most: float | None) -> Values:
    """Count the values of ``array`` that are no whole number from 0 to ``most``.

    >>> values = values_of(np.array([0, 1, 2.5, -1, 99]), most=15)
    >>> values.above, values.fractional, values.negative, values.largest, values.first
    (1, 1, 1, 99.0, 2)
    """
    limit = np.inf if most is None else most
    if _are_counts(array, limit):
        return Values(total=array.size)
    flat = np.ravel(array)
    sums, first, largest, smallest = np.zeros(4, np.int64), None, 0.0, 0.0
    for start in range(0, flat.size, AT_ONCE):
        part = flat[start : start + AT_ONCE].astype(np.float64)
        finite = np.isfinite(part)
        part = np.where(finite, part, 0.0)
        faults = np.stack([part > limit, np.trunc(part) != part, part < 0, ~finite])
        sums += faults.sum(axis=1)
        if first is None and faults.any():
            first = start + int(np.argmax(faults.any(axis=0)))
        largest, smallest = max(largest, float(part.max())), min(smallest, float(part.min()))
    above, fractional, negative, not_finite = (int(number) for number in sums)
    return Values(
        total=flat.size,
        above=above,
        fractional=fractional,
        negative=negative,
        not_finite=not_finite,
        largest=largest,
        smallest=smallest,
        first=first,
    )


def _are_counts(array: Array, limit: float) -> bool:
    """Return whether every value is a whole number from 0 to ``limit``, without a copy of ints."""
    if array.dtype.kind not in "fc":
        return not array.size or bool(array.min() >= 0 and array.max() <= limit)
    return all(
        # comparisons with NaN are false
        bool(part.min() >= 0 and part.max() <= limit and (np.trunc(part) == part).all())
        for part in _parts(np.ravel(array))
    )


def _parts(flat: Array) -> Iterator[Array]:
    for start in range(0, flat.size, AT_ONCE):
        yield flat[start : start + AT_ONCE]


def check_counts(counts: Array, what: str, family: Family) -> None:
    """Check that ``counts`` (batch, time, *features) are spikes that the family's chip takes.

    Raises:
        ValueError: by how much and how often they are not, and the first place; the message
            begins with ``what``.
    """
    limit = family.input_limit()
    values = values_of(counts, None if limit is None else limit.value)
    if values.first is None:
        return
    place = tuple(int(i) for i in np.unravel_index(values.first, counts.shape))
    sample, step, *address = place
    at = f"sample {sample}, step {step}, address {', '.join(map(str, address))}"
    if len(address) == 1:
        at = f"sample {sample}, step {step}, channel {address[0]}"
    raise ValueError(
        f"{what} must be {_taken(family)}, got {counts[place]:g} at {at}: "
        f"{'; '.join(_faults(values, family))}; {_remedies(values, what, family)}"
    )


def _taken(family: Family) -> str:
    """Return the values that the chip takes as text."""
    limit = family.input_limit()
    most = ">= 0" if limit is None else f"from 0 to {count(limit.value)}"
    return f"counts a channel and timestep, whole numbers {most}"


def _faults(values: Values, family: Family) -> Iterator[str]:
    """Yield each kind of fault with its number and its size."""
    limit, total = family.input_limit(), count(values.total)
    if values.not_finite:
        yield f"{count(values.not_finite)} of {total} values are NaN or infinite"
    if values.above and limit is not None:
        yield (
            f"{count(values.above)} of {total} values exceed the {count(limit.value)} spikes a "
            f"step that {family.chip.name} takes, the largest is {_size(values.largest)}"
        )
    if values.fractional:
        yield f"{count(values.fractional)} of {total} values are not whole (analog)"
    if values.negative:
        yield (
            f"{count(values.negative)} of {total} values are negative, the smallest is "
            f"{_size(values.smallest)}"
        )


def _size(value: float) -> str:
    return count(value) if abs(value) < MOST_DIGITS else f"{value:g}"


def _remedies(values: Values, what: str, family: Family) -> str:
    """Return what turns such values into counts that the chip takes."""
    limit = family.input_limit()
    texts = []
    if values.not_finite:
        texts.append("remove NaN and infinity")
    if values.fractional or (values.negative and not values.above):
        texts.append("encode analog or signed values as spikes first, each sign in its own channel")
    if values.above and limit is not None:
        texts.append(
            f"train with at most {count(limit.value)} spikes a step, by smaller counts or a "
            f"shorter timestep, or clip by {what}.clip(0, {count(limit.value)})"
        )
    return "; ".join(texts)


# ---- findings at deploy ----


def input_findings(
    family: Family, graph: Graph, sample: Any, calibration: Collected | None
) -> Findings:
    """Report what the chip does not take of ``sample``, and how ``calibration`` was read."""
    array = _sample_array(sample)
    if array is not None:
        yield from _sample_values(family, graph, array)
    if calibration is None:
        return
    if array is not None:
        yield from _axes(graph, array, calibration)
    for note in calibration.notes:
        yield info("calibration", graph.input, note)
    if len(calibration.groups) > 1:
        searched = calibration.excerpt().shape
        yield info(
            "calibration",
            graph.input,
            f"{calibration.sizes()}: integers are chosen on {count(searched[0])} of them, cut to "
            f"{count(searched[1])} timesteps; agreement, rates and saturations are those of all "
            "samples at their own length",
        )


def _sample_array(sample: Any) -> Array | None:
    """Return the sample as an array; None if it is none, which is for the frontend to report."""
    if sample is None:
        return None
    try:
        array = as_array(sample, "sample")
    except ValueError:
        return None
    return array if array.size else None


def _sample_values(family: Family, graph: Graph, sample: Array) -> Findings:
    limit = family.input_limit()
    values = values_of(sample, None if limit is None else limit.value)
    if values.first is None:
        return
    yield warning(
        "input",
        graph.input,
        f"sample= has values that the chip does not take: {'; '.join(_faults(values, family))}",
        values.largest if values.above else None,
        limit if values.above else None,
        family.chip,
        hint=_remedies(values, "sample", family),
    )


def _axes(graph: Graph, sample: Array, calibration: Collected) -> Findings:
    """Report calibration whose first axis is the time of the sample."""
    shape = sample.shape
    if "input_axes" in graph.provenance:  # the model takes (time, batch, ...)
        steps, batch = shape[:2]
        wrong = [s for s in calibration.given if s[0] == steps and s[1] != steps]
        same = [s for s in calibration.given if s == shape]
        wrong, how = wrong or same, "as the model takes it"
    else:
        batch, steps = shape[:2]
        wrong = [s for s in calibration.given if s == (steps, batch, *shape[2:]) and s != shape]
        how = "the other way round than the sample"
    for given in wrong[:1]:
        samples, time = given[:2]
        yield warning(
            "axes",
            graph.input,
            f"calibration of shape {given} is read as (batch, time, ...): {count(samples)} samples "
            f"of {count(time)} timesteps. If it is (time, batch, ...), {how}, that is "
            f"{count(time)} samples of {count(samples)} timesteps, as in sample= of shape {shape}",
            hint="if its first axis is time, give calibration.swapaxes(0, 1), or of a loader each "
            "batch so",
        )
