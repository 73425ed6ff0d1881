"""Choice of dialect, dt and reset of a NIR file: given by the user, or inferred from the constants.

Every exporter writes its constants in its own pattern. If exactly one pattern matches, it is used,
logged and added to the provenance; otherwise the error lists the choices (``choices``). What the
user gives is checked against the file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from math import isclose, isfinite

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir.choices import dialect_question, dt_question, reset_question
from toolchain.frontends.nir.dialects import DIALECTS, DYNAMIC, Dialect
from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.neurons import Reading, fields_of
from toolchain.frontends.nir.nodes import NirNode
from toolchain.frontends.nir.steps import largest_snap, step_of_gain

__all__ = ["LOG", "resolve"]

LOG = logging.getLogger("toolchain.nir")
NEAR = 1e-5
"""Relative difference of timesteps that count as equal; float32 constants leave 1e-6."""
SCALING = ("euler", "snntorch", "spikingjelly", "norse")
TAUS = ("tau", "tau_mem", "tau_syn")
FIRING = ("CubaLIF", "IF", "LIF")


@dataclass(frozen=True, slots=True)
class Guess:
    """A dialect whose pattern matches, the dt it implies, and the reason."""

    name: str
    dt: float | None
    why: str


def resolve(
    nodes: Mapping[str, NirNode],
    where: str,
    *,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
) -> Reading:
    """Determine how the file is to be read.

    Args:
        nodes: the nodes of the flattened graph.
        where: the file, for messages.
        dt: length of a timestep, s, as given by the user, or None.
        dialect: as given by the user, or None.
        reset: as given by the user, or None.

    Raises:
        ModelFileError: a choice is neither given nor determined by the file, or contradicts it.
    """
    _check_arguments(dt, dialect, reset)
    dynamic = {name: node for name, node in nodes.items() if node.type in DYNAMIC}
    if not dynamic:
        return Reading(dialect=DIALECTS["euler"], dt=dt, reset=reset or "subtract")
    facts = _Facts(where, dynamic, dt, reset)
    faults = list(chain.from_iterable(_field_faults(*item) for item in facts.fields.items()))
    if faults:
        raise file_error(where, faults)
    row = facts.choose_dialect(dialect)
    refused = [(name, node.type) for name, node in dynamic.items() if node.type in row.refused]
    if refused:
        how = f"in dialect {row.name!r}"
        raise file_error(where, [(n, f"{how}: {kind}: {row.refused[kind]}") for n, kind in refused])
    facts.choose_dt(row)
    choice = facts.choose_reset(row)
    facts.record_notes(row)
    return Reading(dialect=row, dt=facts.dt, reset=choice, provenance=facts.provenance)


def _check_arguments(dt: float | None, dialect: str | None, reset: str | None) -> None:
    if dialect is not None and dialect not in DIALECTS:
        raise ModelFileError(f"unknown dialect {dialect!r}; choose from {', '.join(DIALECTS)}")
    choices = sorted(set().union(*(row.resets for row in DIALECTS.values())))
    if reset is not None and reset not in choices:
        raise ModelFileError(f"unknown reset {reset!r}; choose from {', '.join(choices)}")
    if dt is not None and not (isfinite(dt) and dt > 0):
        raise ModelFileError(f"dt must be > 0 s, got {dt}")


def _field_faults(name: str, fields: Mapping[str, Array]) -> Iterator[NirFault]:
    for key in TAUS:
        if key in fields and not np.all(fields[key] > 0):
            yield name, f"{key} must be > 0, got {fields[key].min():g}"
    shapes = {key: value.shape for key, value in fields.items()}
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        yield name, f"fields have different shapes: {shapes}"


class _Facts:
    """One file and what is known about it so far."""

    def __init__(
        self, where: str, nodes: dict[str, NirNode], dt: float | None, reset: str | None
    ) -> None:
        self.where, self.nodes, self.dt, self.reset = where, nodes, dt, reset
        self.fields = {name: fields_of(node) for name, node in nodes.items()}
        self.provenance = {} if dt is None else {"nir_dt": f"{dt:g} s (given)"}
        self.inferred = False

    def taus(self) -> list[Array]:
        """Return all time constants of the file, each flat, s."""
        found: list[Array] = []
        for fields in self.fields.values():
            found += [np.ravel(fields[name]) for name in TAUS if name in fields]
        return found

    def record_inference(self, key: str, value: str, why: str) -> None:
        """Log an inference once, and add it to the provenance."""
        self.provenance[key] = f"{value} (inferred: {why})"
        LOG.warning("%s: inferred %s = %s: %s", self.where, key, value, why)

    def record_notes(self, row: Dialect) -> None:
        """Add further consequences of the dialect to the provenance."""
        if row.loses:
            self.provenance["nir_lost"] = f"{row.loses}: not stored in files exported by {row.name}"
        if row.floored and any(node.type == "IF" for node in self.nodes.values()):
            self.provenance["nir_floor"] = (
                f"IF membranes are bounded below by -v_threshold, as in {row.name}"
            )
        if row.name in SCALING and self.dt is not None:
            distance = max(largest_snap(fields, self.dt) for fields in self.fields.values())
            if distance:
                self.provenance["nir_gains"] = f"gains within {distance:.1g} of 1 are rounded to 1"

    # ---- dialect ----

    def choose_dialect(self, given: str | None) -> Dialect:
        if given is not None:
            self.provenance["nir_dialect"] = f"{given} (given)"
            return DIALECTS[given]
        guesses = [pattern(self) for pattern in PATTERNS]
        found = [guess for guess in guesses if guess is not None]
        if len(found) != 1:
            raise ModelFileError(
                dialect_question(self.where, self.nodes, self.dt, [guess.name for guess in found])
            )
        (guess,) = found
        self.inferred = True
        self.record_inference("nir_dialect", guess.name, guess.why)
        return DIALECTS[guess.name]

    # ---- dt ----

    def choose_dt(self, row: Dialect) -> None:
        file_dt = _dt_of(row.name, self) or row.dt
        if self.dt is not None:
            if file_dt is not None and not isclose(self.dt, file_dt, rel_tol=1e-4):
                raise ModelFileError(
                    f"{self.where}: dt={self.dt:g} s was given, but read as dialect {row.name!r} "
                    f"the file implies {file_dt:g} s; omit dt= or choose another dialect"
                )
            return
        if file_dt is not None:
            self.dt = file_dt
            self.record_inference("nir_dt", f"{file_dt:g} s", _DT_WHY[row.name])
        elif row.needs_dt:
            raise ModelFileError(dt_question(self.where, self.nodes, row))

    # ---- reset ----

    def choose_reset(self, row: Dialect) -> str:
        firing = {n: self.fields[n] for n, node in self.nodes.items() if node.type in FIRING}
        if self.reset is not None:
            if self.reset not in row.resets:
                raise ModelFileError(
                    f"{self.where}: reset={self.reset!r} was given, but dialect {row.name!r} "
                    f"supports {', '.join(row.resets)}"
                )
            self.provenance["nir_reset"] = f"{self.reset} (given)"
            return self.reset
        if not firing:
            return "subtract"
        targets = [fields["v_reset"] for fields in firing.values() if "v_reset" in fields]
        choice = self._infer_reset(row, targets, len(firing))
        if choice is None:
            raise ModelFileError(reset_question(self.where, self.nodes, row, self.dt))
        return choice

    def _infer_reset(self, row: Dialect, targets: list[Array], firing: int) -> str | None:
        zero = bool(targets) and not any(np.any(target) for target in targets)
        ambiguous = self.inferred and zero and len(row.resets) > 1
        if row.reset is not None and not ambiguous:
            self.provenance["nir_reset"] = f"{row.reset} (default of {row.name})"
            return row.reset
        if not targets:
            why = "the file has no v_reset, as written before nir had that field"
            if "subtract-late" in row.resets:
                why += "; 'subtract-late' is snnTorch's reset_delay=True, 'subtract-corrected' its "
                why += "reset_delay=False, which files do not store"
            self.record_inference("nir_reset", "subtract", why)
            return "subtract"
        if len(targets) == firing and all(np.all(target != 0) for target in targets):
            self.record_inference("nir_reset", "value", "v_reset is not 0")
            return "value"
        return None


# ---- the patterns of the exporters ----


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


def _kinds(facts: _Facts) -> set[str]:
    return {node.type for node in facts.nodes.values()}


def _scaled_dt(facts: _Facts) -> float | None:
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


def _all_longer(facts: _Facts, dt: float) -> bool:
    """Return True if every time constant exceeds dt; then a gain of 1 is not a pattern."""
    return all(np.all(tau > dt * (1 + NEAR)) for tau in facts.taus())


def _have_v_reset(facts: _Facts) -> list[bool]:
    """Return, for each layer that fires, whether the file has its v_reset."""
    return ["v_reset" in facts.fields[n] for n, node in facts.nodes.items() if node.type in FIRING]


def _snntorch(facts: _Facts) -> Guess | None:
    dt = _scaled_dt(facts) if _kinds(facts) <= {"LIF", "CubaLIF"} else None
    leaks = any(np.any(fields["v_leak"]) for fields in facts.fields.values() if "v_leak" in fields)
    targets = [fields["v_reset"] for fields in facts.fields.values() if "v_reset" in fields]
    if dt is None or not _is_snntorch(dt) or leaks or np.any(targets):
        return None
    return Guess("snntorch", dt, "r = tau / dt with snnTorch's dt of 0.0001 s")


def _spikingjelly(facts: _Facts) -> Guess | None:
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


def _rockpool(facts: _Facts) -> Guess | None:
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


def _rockpool_dt(facts: _Facts) -> float | None:
    leaky = [fields for fields in facts.fields.values() if "tau" in fields or "tau_mem" in fields]
    return _common_value(
        [
            step_of_gain(fields["tau" if "tau" in fields else "tau_mem"], fields["r"])
            for fields in leaky
        ]
    )


def _sinabs(facts: _Facts) -> Guess | None:
    for name, node in facts.nodes.items():
        fields = facts.fields[name]
        if node.type not in ("IF", "LIF", "LI") or np.any(fields["r"] != 1):
            return None
        if node.type == "IF" and not fields["r"].ndim:  # Norse writes one number for the layer
            return None
        if "tau" in fields and (np.any(fields["tau"] < 1) or np.any(fields["v_leak"])):
            return None
    return Guess("sinabs", None, "r is 1, and no time constant is below 1")


def _several(facts: _Facts) -> bool:
    """Return True if there are enough constants to exclude a coincidence."""
    taus = facts.taus()
    return bool(taus) and np.unique(np.concatenate(taus)).size > 1


def _is_snntorch(dt: float) -> bool:
    return isclose(dt, DIALECTS["snntorch"].dt or 0.0, rel_tol=NEAR)


def _matches_given(facts: _Facts, dt: float) -> bool:
    return facts.dt is not None and isclose(facts.dt, dt, rel_tol=NEAR)


PATTERNS = (_sinabs, _rockpool, _snntorch, _spikingjelly)


def _dt_of(dialect: str, facts: _Facts) -> float | None:
    """Return the dt that a file of that dialect implies, or None."""
    if dialect == "snntorch":
        return _scaled_dt(facts)
    if dialect == "rockpool":
        return _rockpool_dt(facts)
    return _spikingjelly_dt(facts) if dialect == "spikingjelly" else None


def _spikingjelly_dt(facts: _Facts) -> float | None:
    """Return dt as in ``_scaled_dt``, ignoring LIF layers with a gain of 1."""
    unit_gain = [
        name
        for name, node in facts.nodes.items()
        if node.type == "LIF" and np.all(facts.fields[name]["r"] == 1)
    ]
    others = {name: node for name, node in facts.nodes.items() if name not in unit_gain}
    return _scaled_dt(_Facts(facts.where, others, None, None)) if others else None


_DT_WHY = {
    "snntorch": "the dt of snnTorch's exporter",
    "rockpool": "r is tau exp(-dt / tau) / dt",
    "spikingjelly": "r is tau / dt",
}
