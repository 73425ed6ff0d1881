r"""Division of an action's energy among rails, fitted to readings of each rail.

With the energy E of an action and the part s of rail r, a reading contains the product
:math:`e_r = s_r E`, which is linear. Each :math:`e_r` is fitted on its own; then
:math:`E = \sum_r e_r` and :math:`s_r = e_r / E`. Their intervals follow from the covariance of the
:math:`e_r`, by linear propagation of errors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import sqrt

import numpy as np

from toolchain.arrays import Array
from toolchain.estimate.terms import Counts
from toolchain.hardware import SpecBase

__all__ = ["column", "divided", "energy_and_parts", "freed", "kept_shares"]


def column(action: str, rail: str) -> str:
    """Return the name of the part of one rail, as in an overlay.

    >>> column("synop", "ram")
    'actions.synop.share.ram'
    """
    return f"actions.{action}.share.{rail}"


def freed(
    chip: SpecBase,
    readings: Sequence[tuple[Collection[str], Counts]],
    constants: Collection[str] | None,
) -> set[str]:
    """Return the actions whose division among rails is fitted.

    Args:
        chip: its specification.
        readings: rails with a reading and counts of each measurement.
        constants: names of the constants to fit. If None, a division is fitted if all of its rails
            were read at work.

    Raises:
        ValueError: a part of one rail without the energy and the parts of all rails.
    """
    found = set()
    for name, action in chip.power.actions.items():
        parts = {column(name, rail) for rail in action.share}
        if not parts:
            continue
        if constants is None:
            read = {
                rail
                for rails, counts in readings
                if any(counts.get(name, {}).values())
                for rail in rails
            }
            wanted = read >= set(action.share)
        else:
            asked = parts & set(constants)
            whole = {f"actions.{name}.energy", *parts}
            wanted = bool(asked)
            if wanted and not whole <= set(constants):
                raise ValueError(
                    f"{', '.join(sorted(asked))} can only be fitted together with "
                    f"{', '.join(sorted(whole - set(constants)))}"
                )
        if wanted:
            found.add(name)
    return found


def kept_shares(chip: SpecBase, columns: Collection[str], rails: Collection[str]) -> list[str]:
    """Return the parts that are used with their value on file.

    Args:
        chip: its specification.
        columns: names of the constants that the readings depend on.
        rails: rails with a reading.
    """
    return [
        column(name, rail)
        for name, action in chip.power.actions.items()
        for rail in action.share
        if f"actions.{name}.energy" in columns and rail in rails
    ]


def divided(
    chip: SpecBase, rail: str, counts: Counts, actions: Collection[str]
) -> dict[str, float]:
    """Return the columns of one reading for the divided ``actions``, µW a pJ on this rail."""
    return {
        column(name, rail): 1e-6 * sum(counts.get(name, {}).values())
        for name in sorted(actions)
        if rail in chip.power.actions[name].share
    }


def energy_and_parts(
    names: Sequence[str], values: Array, covariance: Array, action: str
) -> dict[str, tuple[float, float]]:
    """Return the energy of an action and the part of each rail, each with its deviation.

    Args:
        names: of the fitted constants.
        values: the fit.
        covariance: of the fit.
        action: name of the divided action.

    Raises:
        ValueError: no energy on any rail.

    >>> names = ["actions.synop.share.ram", "actions.synop.share.logic"]
    >>> found = energy_and_parts(names, np.array([30.0, 70.0]), np.diag([1.0, 1.0]), "synop")
    >>> [f"{name}: {value:.1f}, {off:.4f}" for name, (value, off) in found.items()][:2]
    ['actions.synop.energy: 100.0, 1.4142', 'actions.synop.share.ram: 0.3, 0.0076']
    """
    own = [i for i, name in enumerate(names) if name.startswith(column(action, ""))]
    energies, spread = values[own], covariance[np.ix_(own, own)]
    whole = float(energies.sum())
    if not whole > 0:
        raise ValueError(
            f"the readings show no energy of {action}: its division among "
            f"{', '.join(names[i].rpartition('.')[2] for i in own)} cannot be determined"
        )
    parts = energies / whole
    gradients: dict[str, Array] = {
        f"actions.{action}.energy": np.ones(len(own)),
        **{names[i]: (np.eye(len(own))[n] - parts[n]) / whole for n, i in enumerate(own)},
    }
    nominal = [whole, *map(float, parts)]
    return {
        name: (value, sqrt(max(0.0, float(gradient @ spread @ gradient))))
        for (name, gradient), value in zip(gradients.items(), nominal, strict=True)
    }
