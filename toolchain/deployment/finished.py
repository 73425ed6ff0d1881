"""Deployment of a program that is finished already, such as one from the file of another tool.

Nothing is quantized or lowered: the program is checked against the chip's rules and loaded as it
is. There is no trained network; the network of the program's integers takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolchain.chips.contract import Family, OnChip, Options
from toolchain.chips.rules.findings import info, is_error
from toolchain.deployment.deployment import Deployment
from toolchain.diagnostics import DeployError
from toolchain.fidelity import LedgerBuilder, changes_of
from toolchain.ir import Graph
from toolchain.report import plural

__all__ = ["deploy_finished"]


def deploy_finished(
    on_chip: OnChip,
    network: Graph | None,
    family: Family,
    options: Options,
    given: Mapping[str, Any],
) -> Deployment:
    """Return the deployment of a finished program.

    Args:
        on_chip: the program on its chip.
        network: the network of its integers; None if none computes what the program does.
        family: the chip's family.
        options: options of the family.
        given: arguments of ``deploy`` that apply to networks only, None or empty where they were
            not given.

    Raises:
        DeployError: the program does not fit the chip; holds every finding.
        ValueError: arguments that do not apply to a program.
    """
    others = [name for name, value in given.items() if value is not None and value != ()]
    if options != family.OPTIONS():
        others.append("options")
    if others:
        raise ValueError(
            f"the file holds a finished program, to which {', '.join(f'{o}=' for o in others)} do "
            "not apply; give deploy(path, chip) and at most dt="
        )
    findings = on_chip.check()
    on_chip, unplaced = on_chip.place(options)
    findings += unplaced
    if errors := tuple(filter(is_error, findings)):
        raise DeployError(
            f"the program does not fit {family.chip.name}: {plural(len(errors), 'error')}", errors
        )
    if network is None:
        network = on_chip.network()
    findings += (
        info(
            "finished_program",
            "network",
            "its integers are those of the file, unchanged; compare() compares the chip with the "
            "same integers in real numbers, not with the network that was trained",
        ),
    )
    ledger = LedgerBuilder(graph=network, shaped=network, chip=family.chip)
    ledger = ledger.add(family.conditions(network, network, None))
    different = changes_of(found for found in findings if found.rule in family.DIFFERENCES)
    return Deployment(
        on_chip=on_chip,
        graph=network,
        quantized=network,
        diagnostics=findings,
        ledger=ledger.add(different).build(),
    )
