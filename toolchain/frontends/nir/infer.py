"""Choice of dialect, dt and reset of a NIR file: given by the user, or inferred from the constants.

Every exporter writes its constants in its own pattern. If exactly one pattern matches, it is used,
logged and added to the provenance; otherwise the error lists the choices (``choices``). What the
user gives is checked against the file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from itertools import chain
from math import isclose, isfinite

import numpy as np

from toolchain.arrays import Array
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.nir.choices import dialect_question, dt_question, reset_question
from toolchain.frontends.nir.dialects import DIALECTS, DYNAMIC, Dialect
from toolchain.frontends.nir.faults import NirFault, file_error
from toolchain.frontends.nir.neurons import Reading
from toolchain.frontends.nir.nodes import NirNode
from toolchain.frontends.nir.patterns import (
    DT_WHY,
    FIRING,
    PATTERNS,
    TAUS,
    Constants,
    implied_dt,
    implied_unit,
)
from toolchain.frontends.nir.steps import largest_snap

__all__ = ["LOG", "resolve"]

LOG = logging.getLogger("toolchain.nir")
SCALING = ("euler", "snntorch", "spikingjelly", "norse")


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
    unit = implied_unit(row.name, facts)
    return Reading(dialect=row, dt=facts.dt, reset=choice, unit=unit, provenance=facts.provenance)


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


class _Facts(Constants):
    """One file and what is known about it so far."""

    def __init__(
        self, where: str, nodes: dict[str, NirNode], dt: float | None, reset: str | None
    ) -> None:
        super().__init__(nodes, dt)
        self.where, self.reset = where, reset
        self.provenance = {} if dt is None else {"nir_dt": f"{dt:g} s (given)"}
        self.inferred = False

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
        file_dt = implied_dt(row.name, self) or row.dt
        if self.dt is not None:
            if file_dt is not None and not isclose(self.dt, file_dt, rel_tol=1e-4):
                raise ModelFileError(
                    f"{self.where}: dt={self.dt:g} s was given, but read as dialect {row.name!r} "
                    f"the file implies {file_dt:g} s; omit dt= or choose another dialect"
                )
            return
        if file_dt is not None:
            self.dt = file_dt
            self.record_inference("nir_dt", f"{file_dt:g} s", DT_WHY[row.name])
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
