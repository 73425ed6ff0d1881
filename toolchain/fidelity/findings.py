"""Findings on what quantization changed, with its size, and on what all changes did."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import Diagnostic, Severity
from toolchain.ir import Conv2d, Graph, Linear, Membrane, Neuron, Node, time_constant
from toolchain.passes.dashes import dashes, formulas
from toolchain.passes.weights import weights_of
from toolchain.report import count, times
from toolchain.runs.recording import Recording, aligned

__all__ = ["changes", "drive", "measured", "moved", "row_scales"]


def changes(before: Graph, after: Graph) -> tuple[Diagnostic, ...]:
    """What quantization changed, layer by layer.

    Args:
        before: the float graph in the chip's layers.
        after: the same graph in integers, under the same names.
    """
    return (*time_constants(before, after), *drives(before, after), *rounding(before, after))


def time_constants(before: Graph, after: Graph) -> Iterator[Diagnostic]:
    """A warning for each time constant that the chip cannot hold, with what it became."""
    for name, node in before.of(Membrane).items():
        other = after[name]
        assert isinstance(other, Membrane)
        for field in ("mem", "syn"):
            old: Array | None = getattr(node, f"alpha_{field}")
            new: Array | None = getattr(other, f"alpha_{field}")
            if old is None or new is None or np.allclose(old, new, rtol=1e-6, atol=0):
                continue
            yield Diagnostic(
                rule="time_constants",
                severity=Severity.WARNING,
                where=name,
                message=_changed_tau(field, old, new, before.dt),
            )


def drives(before: Graph, after: Graph) -> Iterator[Diagnostic]:
    """A warning where weights grew or shrank against thresholds, to make up for new decays."""
    for name, node in before.of(Neuron).items():
        other = after[name]
        assert isinstance(other, Neuron)
        ratios = drive(before, after, name)
        if node.decays_as(other) or not len(ratios):
            continue
        low, high = float(ratios.min()), float(ratios.max())
        span = f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"
        yield Diagnostic(
            rule="drives",
            severity=Severity.WARNING,
            where=name,
            message=f"weights become {span} times as large against the thresholds, which "
            "compensates for the time constants",
        )


def drive(before: Graph, after: Graph, name: str) -> Array:
    """For each neuron with weights, the scale of its weights by the scale of its threshold."""
    old, new = before[name], after[name]
    assert isinstance(old, Neuron)
    assert isinstance(new, Neuron)
    pairs = [(before[w], after[w]) for w in weights_of(before, name) or ()]
    scales = [row_scales(a, b) for a, b in pairs if isinstance(a, Linear)]
    if not scales:
        return np.zeros(0)
    threshold = np.broadcast_to(new.v_threshold / old.v_threshold, old.shape).ravel()
    rows = np.repeat(threshold, max(1, old.synapses))
    return np.concatenate([(scale / rows)[scale > 0] for scale in scales])


def _changed_tau(field: str, old: Array, new: Array, dt: float | None) -> str:
    """``tau_mem 10 ms becomes 7.49 ms (-25 %)``, for the neuron that changes most."""
    step = 1.0 if dt is None else dt
    old, new = (alpha.ravel() for alpha in np.broadcast_arrays(old, new))
    was, now = time_constant(old, step), time_constant(new, step)
    worst = int(np.argmax(np.abs(np.log(now / was))))
    scale, unit = (1.0, "steps") if dt is None else (1e3, "ms")
    percent = 100 * (now[worst] / was[worst] - 1)
    most = " at most" if len(was) > 1 and np.ptp(was) else ""
    return (
        f"tau_{field} {was[worst] * scale:.3g} {unit} becomes {now[worst] * scale:.3g} {unit} "
        f"({percent:+.1f} %{most}): {_chosen(old[worst], dashes(new[worst]))}"
    )


def _chosen(alpha: Array, dash: Array) -> str:
    """The bit shift that was chosen for a decay factor, and what the two formulas give."""
    given = formulas(alpha)
    same = [name for name, shift in given.items() if shift == np.rint(dash)]
    others = [f"{name} gives {int(shift)}" for name, shift in given.items() if name not in same]
    if not others:
        return f"dash {dash:g}, as by both formulas"
    return "; ".join([f"dash {dash:g}{''.join(f', as by {name}' for name in same)}", *others])


def rounding(before: Graph, after: Graph) -> Iterator[Diagnostic]:
    """How far rounding moved the weights of each layer, and what is left of its threshold.

    Levels and shifts are told by the family's quantizer, which knows them.
    """
    for kind in (Linear, Conv2d):
        for name, node in before.of(kind).items():
            other = after[name]
            assert isinstance(node, (Linear, Conv2d))
            assert isinstance(other, (Linear, Conv2d))
            then = after.after(name)
            threshold = after[then] if then is not None else None
            told = f"weights move by {moved(node, other):.2g} % rms"
            if isinstance(threshold, Neuron):
                told += f"; smallest threshold {count(int(threshold.v_threshold.min()))}"
            yield Diagnostic(rule="rounding", severity=Severity.INFO, where=name, message=told)


def moved(node: Linear | Conv2d, other: Linear | Conv2d) -> float:
    """Distance of the integer weights from the nearest multiple of the float ones, row by row, %.

    Relative to the weights of the whole layer.
    """
    old = node.weight.reshape(len(node.weight), -1)
    new = other.weight.reshape(len(other.weight), -1)
    scale = row_scales(node, other)[:, None]
    rest = np.divide(new, scale, out=np.zeros_like(old), where=scale > 0) - old
    total = float((old * old).sum())
    return 100 * float(np.sqrt((rest**2).sum() / total)) if total else 0.0


def row_scales(node: Node, other: Node) -> Array:
    """For each output the factor that brings its float weights nearest to the integer ones."""
    assert isinstance(node, (Linear, Conv2d))
    assert isinstance(other, (Linear, Conv2d))
    old = node.weight.reshape(len(node.weight), -1)
    new = other.weight.reshape(len(other.weight), -1)
    squares = (old * old).sum(axis=1)
    return np.asarray((new * old).sum(axis=1) / np.where(squares > 0, squares, 1))


def measured(reference: Recording, chip: Recording, lag: int) -> Diagnostic:
    """What all changes together did to the output spikes of one run.

    Args:
        reference: the float network, (batch, time, outputs).
        chip: the same spikes through the chip.
        lag: timesteps by which the chip is later; the steps that one of them lacks are left out.
    """
    wanted, got = aligned(reference.spikes, chip.spikes, lag)
    per_neuron = wanted.sum(axis=1), got.sum(axis=1)
    equal = float((per_neuron[0] == per_neuron[1]).mean()) if per_neuron[0].size else 1.0
    clamped = sum(chip.saturations.values())
    return Diagnostic(
        rule="calibration",
        severity=Severity.INFO,
        where="network",
        message=f"on the calibration spikes the outputs spike {times(round(wanted.sum()))} "
        f"in floats and {times(round(got.sum()))} on the chip; {100 * equal:.1f} % of the "
        f"counts are equal; {count(clamped)} states saturated",
    )
