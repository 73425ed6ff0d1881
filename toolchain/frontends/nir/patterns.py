"""Patterns of the constants that exporters write, and the dt that these imply.

Time constants and gains of a file come from the framework's own decay factors, each in its way; a
pattern holds for all layers or for none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose

import numpy as np

from toolchain.arrays import Array
from toolchain.frontends.nir.dialects import DIALECTS
from toolchain.frontends.nir.neurons import fields_of
from toolchain.frontends.nir.nodes import NirNode
from toolchain.frontends.nir.steps import SNAP, step_of_gain

__all__ = [
    "DT_WHY",
    "FIRING",
    "PATTERNS",
    "TAUS",
    "Constants",
    "Guess",
    "implied_dt",
    "implied_unit",
]

NEAR = 1e-5
"""Relative difference of timesteps that count as equal; float32 constants leave 1e-6."""
TAUS = ("tau", "tau_mem", "tau_syn")
FIRING = ("CubaLIF", "IF", "LIF")


@dataclass(frozen=True, slots=True)
class Guess:
    """A dialect whose pattern matches, the dt it implies, and the reason."""

    name: str
    dt: float | None
    why: str


class Constants:
    """The constants of a file's dynamic nodes.

    Attributes:
        nodes: nodes whose meaning depends on the dialect.
        dt: length of a timestep, s, as given by the user, or None.
        fields: the numbers of each node.
    """

    def __init__(self, nodes: Mapping[str, NirNode], dt: float | None) -> None:
        self.nodes, self.dt = nodes, dt
        self.fields = {name: fields_of(node) for name, node in nodes.items()}

    def taus(self) -> list[Array]:
        """Return all time constants of the file, each flat, s."""
        found: list[Array] = []
        for fields in self.fields.values():
            found += [np.ravel(fields[name]) for name in TAUS if name in fields]
        return found


def _common_value(values: list[Array]) -> float | None:
    """Return the number that all ``values`` equal within float32 rounding, or None."""
    flat = np.concatenate([np.ravel(value) for value in values]) if values else np.zeros(0)
    if not flat.size or not np.all(np.isfinite(flat)) or flat[0] <= 0:
        return None
    return _round(float(np.median(flat))) if np.allclose(flat, flat[0], rtol=NEAR, atol=0) else None


def _round(dt: float) -> float:
    """Return ``dt`` with few digits if it differs from that only by float32 rounding."""
    for digits in (1, 2, 3, 4):
        short = float(f"{dt:.{digits - 1}e}")
        if isclose(short, dt, rel_tol=NEAR):
            return short
    return dt


def _kinds(facts: Constants) -> set[str]:
    return {node.type for node in facts.nodes.values()}


def _scaled_dt(facts: Constants) -> float | None:
    """Return dt if every gain is a time constant over one dt (snnTorch, SpikingJelly)."""
    found = []
    for name, node in facts.nodes.items():
        fields = facts.fields[name]
        if node.type == "IF":
            found.append(1 / np.maximum(fields["r"], 1e-300))
        elif node.type == "LIF":
            found.append(_ratio(fields["tau"], fields["r"]))
        elif node.type == "CubaLIF":
            found += [
                _ratio(fields["tau_mem"], fields["r"]),
                _ratio(fields["tau_syn"], fields["w_in"]),
            ]
    dt = _common_value(found)
    return dt if dt is not None and _all_longer(facts, dt) else None


def _ratio(tau: Array, gain: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(tau / gain)


def _all_longer(facts: Constants, dt: float) -> bool:
    """Return True if every time constant exceeds dt; then a gain of 1 is not a pattern."""
    return all(np.all(tau > dt * (1 + NEAR)) for tau in facts.taus())


def _have_v_reset(facts: Constants) -> list[bool]:
    """Return, for each layer that fires, whether the file has its v_reset."""
    return ["v_reset" in facts.fields[n] for n, node in facts.nodes.items() if node.type in FIRING]


def _snntorch(facts: Constants) -> Guess | None:
    dt = _scaled_dt(facts) if _kinds(facts) <= {"LIF", "CubaLIF"} else None
    leaks = any(np.any(fields["v_leak"]) for fields in facts.fields.values() if "v_leak" in fields)
    targets = [fields["v_reset"] for fields in facts.fields.values() if "v_reset" in fields]
    if dt is None or not _is_snntorch(dt) or leaks or np.any(targets):
        return None
    return Guess("snntorch", dt, "r = tau / dt with snnTorch's dt of 0.0001 s")


def _spikingjelly(facts: Constants) -> Guess | None:
    dt = _scaled_dt(facts) if _kinds(facts) <= {"IF", "LIF", "CubaLIF"} else None
    if dt is None or not all(_have_v_reset(facts)):
        return None
    if not (_several(facts) or _matches_given(facts, dt) or _is_snntorch(dt)):
        return None
    for fields in facts.fields.values():
        if "v_leak" in fields and not np.allclose(
            fields["v_leak"], fields["v_reset"], rtol=NEAR, atol=0
        ):
            return None
    return Guess("spikingjelly", dt, f"r = tau / dt with dt = {dt:g} s, and v_reset is present")


def _rockpool(facts: Constants) -> Guess | None:
    if not _kinds(facts) <= {"CubaLIF", "LI"}:
        return None
    dt = _rockpool_dt(facts)
    plain = all(
        np.all(fields.get("w_in", np.ones(())) == 1) and not np.any(fields["v_leak"])
        for fields in facts.fields.values()
    )
    if dt is None or not plain or not _all_longer(facts, dt):
        return None
    if not (_several(facts) or _matches_given(facts, dt) or float(f"{dt:.1e}") == dt):
        return None
    return Guess("rockpool", dt, f"r = tau exp(-dt / tau) / dt with dt = {dt:g} s")


def _rockpool_dt(facts: Constants) -> float | None:
    leaky = [fields for fields in facts.fields.values() if "tau" in fields or "tau_mem" in fields]
    return _common_value(
        [
            step_of_gain(fields["tau" if "tau" in fields else "tau_mem"], fields["r"])
            for fields in leaky
        ]
    )


def _sinabs(facts: Constants) -> Guess | None:
    for name, node in facts.nodes.items():
        fields = facts.fields[name]
        if node.type not in ("IF", "LIF", "LI") or np.any(fields["r"] != 1):
            return None
        if node.type == "IF" and not fields["r"].ndim:  # Norse writes one number for the layer
            return None
        if "tau" in fields and (np.any(fields["tau"] < 1) or np.any(fields["v_leak"])):
            return None
    return Guess("sinabs", None, "r is 1, and no time constant is below 1")


def _several(facts: Constants) -> bool:
    """Return True if there are enough constants to exclude a coincidence."""
    taus = facts.taus()
    return bool(taus) and np.unique(np.concatenate(taus)).size > 1


def _is_snntorch(dt: float) -> bool:
    return isclose(dt, DIALECTS["snntorch"].dt or 0.0, rel_tol=NEAR)


def _matches_given(facts: Constants, dt: float) -> bool:
    return facts.dt is not None and isclose(facts.dt, dt, rel_tol=NEAR)


def _spyx(facts: Constants) -> Guess | None:
    if not _kinds(facts) <= {"CubaLIF", "IF", "LI", "LIF", "Threshold"}:
        return None
    if not all(_is_spyx(node.type, facts.fields[name]) for name, node in facts.nodes.items()):
        return None
    unit = implied_unit("spyx", facts)
    if unit is None:  # IF alone, which sinabs writes as well, but without v_reset
        whole = _kinds(facts) == {"IF"} and all(_have_v_reset(facts))
        return Guess("spyx", None, "r is 1, and v_reset is present") if whole else None
    if unit != 1 and not (_several(facts) or _matches_given(facts, unit)):
        return None
    return Guess("spyx", None, f"r = 1 - dt / tau with dt = {unit:g}")


def _is_spyx(kind: str, fields: Mapping[str, Array]) -> bool:
    """Return True if spyx can have written these fields, apart from r of leaky layers."""
    zero = ("v_leak", "v_reset")
    if any(np.any(fields[name]) for name in zero if name in fields):
        return False
    return kind != "IF" or bool(fields["r"].ndim and np.all(fields["r"] == 1))


def implied_unit(dialect: str, facts: Constants) -> float | None:
    """Return the dt of all time constants of a file of spyx: tau (1 - r); None if there is none.

    The r of an LI layer is 1 or as in the other layers.
    """
    if dialect != "spyx":
        return None
    found = []
    for name, node in facts.nodes.items():
        fields = facts.fields[name]
        if node.type in ("CubaLIF", "LI", "LIF"):
            tau, r = fields["tau" if "tau" in fields else "tau_mem"], fields["r"]
            if node.type == "LI" and np.all(r == 1):
                continue
            decays = (r > -SNAP) & (r < 1)
            if not np.all(decays):
                return None
            found.append(np.ravel(tau * (1 - r)))
    return _common_value(found)


PATTERNS = (_sinabs, _rockpool, _snntorch, _spikingjelly, _spyx)


def implied_dt(dialect: str, facts: Constants) -> float | None:
    """Return the dt that a file of that dialect implies, or None."""
    if dialect == "snntorch":
        return _scaled_dt(facts)
    if dialect == "rockpool":
        return _rockpool_dt(facts)
    if dialect == "spyx":
        unit = implied_unit(dialect, facts)
        return None if unit is None or unit == DIALECTS["spyx"].unit else unit
    return _spikingjelly_dt(facts) if dialect == "spikingjelly" else None


def _spikingjelly_dt(facts: Constants) -> float | None:
    """Return dt as in ``_scaled_dt``, ignoring LIF layers with a gain of 1."""
    unit_gain = [
        name
        for name, node in facts.nodes.items()
        if node.type == "LIF" and np.all(facts.fields[name]["r"] == 1)
    ]
    others = {name: node for name, node in facts.nodes.items() if name not in unit_gain}
    return _scaled_dt(Constants(others, None)) if others else None


DT_WHY = {
    "snntorch": "the dt of snnTorch's exporter",
    "rockpool": "r is tau exp(-dt / tau) / dt",
    "spikingjelly": "r is tau / dt",
    "spyx": "r is 1 - dt / tau",
}
