r"""Update rules of NIR neurons per timestep: one row for each framework.

NIR defines differential equations without a timestep, so each framework discretizes them in its own
way. A row of this table inverts one framework's exporter; where its exporter and importer disagree,
ambiguous values are refused. With x the input, i the synaptic current and v the membrane:

======================  =====================================================================
euler                   Euler's rule, the synapse before the membrane:
                        i += dt/tau_syn (w_in x - i), v += dt/tau_mem (v_leak - v + r i);
                        IF: v += dt r x
exact                   each equation solved over the step with constant input:
                        a = exp(-dt/tau), i = a i + w_in (1 - a) x, v likewise; IF: v += dt r x
sinabs                  tau counts steps: v = exp(-1/tau) v + x;
                        IF: v += x, never below -v_threshold
rockpool                a = exp(-dt/tau): i = a_syn (i + x), v = a v + i; r only encodes dt;
                        LI: i = a (i + x)
spyx                    v = a v + x with a = 1 - dt/tau, which the file also stores as r; LIF: a
                        spike lowers v in the next step, after the decay; CubaLIF: i = a_syn i + x
snntorch, spikingjelly  euler, with r = tau/dt and w_in = tau_syn/dt, so that gains are 1
norse                   euler; IF: v += x
norse-export            norse, for files of Norse 1.1.0, whose exporter multiplies tau by dt
======================  =====================================================================

Layers without a state over time are the same in every dialect.

Sources: NIR documentation; sinabs 3.1.3, rockpool 3.1.0, snnTorch 1.0.0, Norse 1.1.0, SpikingJelly
2.0.0 and spyx 1.0.0 as observed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from toolchain.arrays import Array
from toolchain.frontends.nir.requirements import (
    LEAKY,
    NORSE_EXPORT_SHORT,
    NORSE_REQUIREMENTS,
    NORSE_SHORT,
    NOT_SHORT,
    FieldArrays,
    Requirement,
    full_gain,
    is_decay,
    near,
    no_leak,
    tau_of,
    unit_gain,
)
from toolchain.frontends.nir.steps import (
    euler,
    exact,
    in_steps,
    norse_export,
    rockpool,
    spyx,
    step_of_gain,
)

__all__ = ["DIALECTS", "DYNAMIC", "Dialect"]

StepRule: TypeAlias = Callable[[Array, Array, float], tuple[Array, Array]]
ResetName: TypeAlias = str

DYNAMIC = ("CubaLI", "CubaLIF", "Delay", "I", "IF", "LI", "LIF", "Threshold")
"""Primitives whose meaning depends on the dialect or on dt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One interpretation of NIR.

    Attributes:
        name: the value of the ``dialect`` argument.
        title: the frameworks that write or read this way.
        leaky: the update rule of ``tau v' = -v + r x``.
        integrates: the gain of ``v' = r x``: ``dt`` for r dt, ``one`` for 1.
        order: whether the synapse adds its input before or after it decays.
        compare: fires above the threshold (``gt``) or also at it (``ge``).
        max_spikes: maximum number of spikes per step, or None.
        reset: the default reset of that framework, or None if it depends on the file.
        resets: the supported resets.
        undecayed: primitives whose reset by subtraction comes in the next step, after the decay.
        floored: whether the membrane of IF neurons is bounded below by ``-v_threshold``.
        starts_at: the field with the initial v, or None for 0.
        needs_dt: whether its neurons need dt.
        dt: the dt of all its files, s, or None.
        unit: the dt that time constants are relative to, s, if that is not the length of a step.
        refused: unsupported primitives, with the reason.
        requirements: properties of all its files.
        loses: parameters that its exporter omits.
    """

    name: str
    title: str
    leaky: StepRule
    integrates: Literal["dt", "one"] = "dt"
    order: Literal["add_decay", "decay_add"] = "decay_add"
    compare: Literal["ge", "gt"] = "gt"
    max_spikes: int | None = 1
    reset: ResetName | None = None
    resets: tuple[ResetName, ...] = ("subtract", "value")
    undecayed: tuple[str, ...] = ()
    floored: bool = False
    starts_at: Literal["v_leak", "v_reset"] | None = None
    needs_dt: bool = True
    dt: float | None = None
    unit: float | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()
    loses: str = ""

    def errors(self, kind: str, fields: FieldArrays, dt: float | None) -> Iterator[str]:
        """Yield why a node of type ``kind`` with these fields is not supported."""
        if kind in self.refused:
            yield f"{kind}: {self.refused[kind]}"
            return
        for requirement in self.requirements:
            if kind in requirement.kinds and not requirement.is_met(
                fields, 0.0 if dt is None else dt
            ):
                yield requirement.message.format(dt=dt)


_SKIPPED = "{} skips it without a warning when it imports NIR"
_UNKNOWN = "{} cannot import it"
_NO_IF = "snnTorch 1.0.0 imports it as a leaky neuron with a decay of 0.9; use dialect='euler'"


def _refusals(message: str, framework: str, *kinds: str) -> dict[str, str]:
    return dict.fromkeys(kinds, message.format(framework))


def _by_name(*rows: Dialect) -> dict[str, Dialect]:
    return {row.name: row for row in rows}


_NORSE = _refusals(_SKIPPED, "Norse", "CubaLI", "Delay", "I", "LI", "Threshold")

DIALECTS: Mapping[str, Dialect] = _by_name(
    Dialect(name="euler", title="Euler's rule", leaky=euler, requirements=(NOT_SHORT,)),
    Dialect(name="exact", title="exact solution over each step", leaky=exact),
    Dialect(
        name="sinabs",
        title="sinabs export and import, time constants in steps",
        leaky=in_steps,
        integrates="one",
        compare="ge",
        max_spikes=None,
        reset="subtract",
        floored=True,
        loses="tau_syn, norm_input, min_v_mem, spike_fn, reset_fn",
        needs_dt=False,
        refused=_refusals(_SKIPPED, "sinabs", "CubaLI", "CubaLIF", "Delay", "I", "Threshold"),
        requirements=(
            unit_gain(("IF", "LIF", "LI"), "sinabs"),
            no_leak(("LIF", "LI"), "sinabs"),
        ),
    ),
    Dialect(
        name="rockpool",
        title="rockpool export",
        leaky=rockpool,
        order="add_decay",
        compare="ge",
        max_spikes=65536,
        reset="subtract",
        resets=("subtract",),
        loses="w_rec, bias, max_spikes_per_dt",
        refused={
            "LIF": "rockpool exports it but cannot import it; train with LIFTorch, "
            "which is a CubaLIF, or use dialect='exact'",
            **_refusals(_UNKNOWN, "rockpool", "CubaLI", "Delay", "I", "IF", "Threshold"),
        },
        requirements=(
            no_leak(("CubaLIF", "LI"), "rockpool"),
            Requirement(
                kinds=("CubaLIF",),
                is_met=lambda f, _: near(f["w_in"], 1),
                message="w_in is not 1; rockpool supports only 1",
            ),
            Requirement(
                kinds=("CubaLIF", "LI"),
                is_met=lambda f, dt: bool(
                    np.allclose(step_of_gain(tau_of(f), f["r"]), dt, rtol=1e-4, atol=0)
                ),
                message="r is not tau exp(-dt / tau) / dt at dt = {dt:g} s, as rockpool exports it",
            ),
        ),
    ),
    Dialect(
        name="snntorch",
        title="snnTorch export and import",
        dt=1e-4,
        leaky=euler,
        resets=("subtract", "value", "subtract-late", "value-late", "subtract-corrected"),
        loses="reset_mechanism, reset_delay, graded_spikes_factor",
        refused={"IF": _NO_IF}
        | _refusals(_UNKNOWN, "snnTorch", "CubaLI", "Delay", "I", "LI", "Threshold"),
        requirements=(NOT_SHORT, no_leak(LEAKY, "snnTorch")),
    ),
    Dialect(
        name="spyx",
        title="spyx export",
        leaky=spyx,
        integrates="one",
        reset="subtract",
        resets=("subtract",),
        undecayed=("LIF",),
        loses="LI readouts and ALIF layers",
        needs_dt=False,
        unit=1.0,
        refused=_refusals("spyx does not export it", "spyx", "CubaLI", "Delay", "I"),
        requirements=(
            Requirement(
                kinds=("CubaLIF", "LIF"),
                is_met=lambda f, dt: is_decay(f, dt),
                message="r is not 1 - dt / tau at dt = {dt:g}, as spyx exports it",
            ),
            Requirement(
                kinds=("LI",),
                is_met=lambda f, dt: near(f["r"], 1) or is_decay(f, dt),
                message="r is neither 1 nor 1 - dt / tau at dt = {dt:g}, as spyx exports it",
            ),
            unit_gain(("IF",), "spyx"),
            Requirement(
                kinds=("CubaLIF",),
                is_met=lambda f, _: near(f["w_in"], 1),
                message="w_in is not 1; spyx supports only 1",
            ),
            no_leak(("CubaLIF", "LI", "LIF"), "spyx"),
        ),
    ),
    Dialect(
        name="norse",
        title="Norse import",
        leaky=euler,
        integrates="one",
        reset="value",
        starts_at="v_leak",
        loses="v_reset, reset_method",
        refused=_NORSE,
        requirements=(NORSE_SHORT, NOT_SHORT, *NORSE_REQUIREMENTS),
    ),
    Dialect(
        name="norse-export",
        title="Norse 1.1.0 export, time constants multiplied by dt",
        leaky=norse_export,
        integrates="one",
        reset="value",
        starts_at="v_leak",
        loses="v_reset, reset_method",
        refused=_NORSE,
        requirements=(NORSE_EXPORT_SHORT, *NORSE_REQUIREMENTS),
    ),
    Dialect(
        name="spikingjelly",
        title="SpikingJelly export and import",
        leaky=euler,
        compare="ge",
        reset="value",
        resets=("value",),
        starts_at="v_reset",
        refused=_refusals(_UNKNOWN, "SpikingJelly", "CubaLI", "Delay", "I", "LI", "Threshold"),
        requirements=(
            NOT_SHORT,
            full_gain(("CubaLIF",), "SpikingJelly"),
            Requirement(
                kinds=("LIF",),
                is_met=lambda f, dt: near(f["r"], 1) or near(f["r"], tau_of(f) / dt),
                message="r is neither 1 nor tau / dt at dt = {dt:g} s, as SpikingJelly exports it",
            ),
            Requirement(
                kinds=("IF",),
                is_met=lambda f, dt: near(f["r"] * dt, 1),
                message="r is not 1 / dt at dt = {dt:g} s, as SpikingJelly exports it",
            ),
            Requirement(
                kinds=("LIF", "CubaLIF"),
                is_met=lambda f, _: near(f["v_leak"], f.get("v_reset", np.zeros(()))),
                message="v_leak differs from v_reset; SpikingJelly has one value for both",
            ),
        ),
    ),
)
"""Every dialect by its name."""
