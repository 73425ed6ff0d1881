"""What a NIR file leaves open, settled: told by the user, or read off where the file decides it.

Every framework writes its constants in a pattern of its own. Where exactly one of them fits, that
is taken, logged and kept for the graph's provenance; where none or several do, the user is asked
(``choices``). What is told is held against what the file says.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
"""Relative difference of two steps that are taken for one; float32 constants leave 1e-6."""
SCALING = ("euler", "snntorch", "spikingjelly", "norse")
TAUS = ("tau", "tau_mem", "tau_syn")
FIRING = ("CubaLIF", "IF", "LIF")


@dataclass(frozen=True, slots=True)
class Guess:
    """A dialect whose pattern fits, the dt that it says, and why."""

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
    """How the file is to be read.

    Args:
        nodes: of the graph without graphs in it.
        where: the file, for messages.
        dt, dialect, reset: what the user says; None where nothing is said.

    Raises:
        ModelFileError: something is neither told nor decided by the file, or the two disagree.
    """
    _check_arguments(dt, dialect, reset)
    dynamic = {name: node for name, node in nodes.items() if node.type in DYNAMIC}
    if not dynamic:
        return Reading(dialect=DIALECTS["euler"], dt=dt, reset=reset or "subtract")
    facts = _Facts(where, dynamic, dt, reset)
    if faults := [fault for name in dynamic for fault in _field_faults(name, facts.fields[name])]:
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
        raise ModelFileError(f"no dialect {dialect!r}; there are {', '.join(DIALECTS)}")
    choices = sorted({choice for row in DIALECTS.values() for choice in row.resets})
    if reset is not None and reset not in choices:
        raise ModelFileError(f"no reset {reset!r}; there are {', '.join(choices)}")
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
        yield name, f"fields of different shape: {shapes}"


class _Facts:
    """One file with what is known of it so far."""

    def __init__(
        self, where: str, nodes: dict[str, NirNode], dt: float | None, reset: str | None
    ) -> None:
        self.where, self.nodes, self.dt, self.reset = where, nodes, dt, reset
        self.fields = {name: fields_of(node) for name, node in nodes.items()}
        self.provenance = {} if dt is None else {"nir_dt": f"{dt:g} s (told)"}
        self.inferred = False

    def taus(self) -> list[Array]:
        """Return all time constants of the file, each flat, s."""
        found: list[Array] = []
        for fields in self.fields.values():
            found += [np.ravel(fields[name]) for name in TAUS if name in fields]
        return found

    def record_inference(self, key: str, value: str, why: str) -> None:
        """Tell the user once, and keep it."""
        self.provenance[key] = f"{value} (inferred: {why})"
        LOG.warning("%s: %s is taken to be %s: %s", self.where, key, value, why)

    def record_notes(self, row: Dialect) -> None:
        """What else the dialect means for this file."""
        if row.loses:
            self.provenance["nir_lost"] = f"{row.loses}: not in files that {row.name} writes"
        if row.floored and any(node.type == "IF" for node in self.nodes.values()):
            self.provenance["nir_floor"] = (
                f"IF layers stop at -v_threshold, as {row.name} reads them"
            )
        if row.name in SCALING and self.dt is not None:
            distance = max(largest_snap(fields, self.dt) for fields in self.fields.values())
            if distance:
                self.provenance["nir_gains"] = (
                    f"gains up to {distance:.1g} away from 1 are taken for 1"
                )

    # ---- dialect ----

    def choose_dialect(self, given: str | None) -> Dialect:
        if given is not None:
            self.provenance["nir_dialect"] = f"{given} (told)"
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
                    f"{self.where}: dt = {self.dt:g} s is told, but read as {row.name} the file "
                    f"says {file_dt:g} s; leave dt= away, or name another dialect"
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
                    f"{self.where}: reset {self.reset!r} is told; dialect {row.name!r} has "
                    f"{', '.join(row.resets)}"
                )
            self.provenance["nir_reset"] = f"{self.reset} (told)"
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
            self.provenance["nir_reset"] = f"{row.reset} (that of {row.name} where nothing is told)"
            return row.reset
        if not targets:
            why = "no v_reset in the file, which is from before nir had one"
            if "subtract-late" in row.resets:
                why += "; 'subtract-late' is snnTorch's reset_delay=True, 'subtract-corrected' its "
                why += "reset_delay=False, which files do not keep"
            self.record_inference("nir_reset", "subtract", why)
            return "subtract"
        if len(targets) == firing and all(np.all(target != 0) for target in targets):
            self.record_inference("nir_reset", "value", "v_reset is not 0")
            return "value"
        return None


# ---- the patterns of the exporters ----


def _common_value(values: list[Array]) -> float | None:
    """The number that all of ``values`` are, within what float32 rounds off."""
    flat = np.concatenate([np.ravel(value) for value in values]) if values else np.zeros(0)
    if not flat.size or not np.all(np.isfinite(flat)) or flat[0] <= 0:
        return None
    return _round(float(np.median(flat))) if np.allclose(flat, flat[0], rtol=NEAR, atol=0) else None


def _round(dt: float) -> float:
    """The number of few digits that ``dt`` is but for float32 constants."""
    for digits in (1, 2, 3, 4):
        short = float(f"{dt:.{digits - 1}e}")
        if isclose(short, dt, rel_tol=NEAR):
            return short
    return dt


def _kinds(facts: _Facts) -> set[str]:
    return {node.type for node in facts.nodes.values()}


def _scaled_dt(facts: _Facts) -> float | None:
    """Dt where every gain is a time constant over one dt, as snnTorch and SpikingJelly write."""
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
    """Whether every time constant is longer than dt, so that a gain of 1 is no pattern."""
    return all(np.all(tau > dt * (1 + NEAR)) for tau in facts.taus())


def _have_v_reset(facts: _Facts) -> list[bool]:
    """Of each layer that fires, whether the file has its v_reset."""
    return ["v_reset" in facts.fields[n] for n, node in facts.nodes.items() if node.type in FIRING]


def _snntorch(facts: _Facts) -> Guess | None:
    dt = _scaled_dt(facts) if _kinds(facts) <= {"LIF", "CubaLIF"} else None
    leaks = any(np.any(fields["v_leak"]) for fields in facts.fields.values() if "v_leak" in fields)
    targets = [fields["v_reset"] for fields in facts.fields.values() if "v_reset" in fields]
    if dt is None or not _is_snntorch(dt) or leaks or np.any(targets):
        return None
    return Guess("snntorch", dt, "r = tau / dt, with the dt of 0.0001 s that snnTorch has")


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
    return Guess("spikingjelly", dt, f"r = tau / dt with dt = {dt:g} s, and v_reset is there")


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
    """Whether there are constants enough that a pattern is no accident."""
    taus = facts.taus()
    return bool(taus) and np.unique(np.concatenate(taus)).size > 1


def _is_snntorch(dt: float) -> bool:
    return isclose(dt, DIALECTS["snntorch"].dt or 0.0, rel_tol=NEAR)


def _matches_given(facts: _Facts, dt: float) -> bool:
    return facts.dt is not None and isclose(facts.dt, dt, rel_tol=NEAR)


PATTERNS = (_sinabs, _rockpool, _snntorch, _spikingjelly)


def _dt_of(dialect: str, facts: _Facts) -> float | None:
    """The dt that a file of that dialect says, or None."""
    if dialect == "snntorch":
        return _scaled_dt(facts)
    if dialect == "rockpool":
        return _rockpool_dt(facts)
    return _spikingjelly_dt(facts) if dialect == "spikingjelly" else None


def _spikingjelly_dt(facts: _Facts) -> float | None:
    """As ``_scaled_dt``, but a LIF layer may have a gain of 1 and say nothing."""
    unit_gain = [
        name
        for name, node in facts.nodes.items()
        if node.type == "LIF" and np.all(facts.fields[name]["r"] == 1)
    ]
    others = {name: node for name, node in facts.nodes.items() if name not in unit_gain}
    return _scaled_dt(_Facts(facts.where, others, None, None)) if others else None


_DT_WHY = {
    "snntorch": "what snnTorch writes NIR with",
    "rockpool": "r is tau exp(-dt / tau) / dt",
    "spikingjelly": "r is tau / dt",
}
