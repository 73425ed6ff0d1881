"""Bit shifts of decay factors, and how they are described."""

from functools import partial

import numpy as np
import pytest

from tests.chips.xylo.graphs import lif, sequence
from toolchain import deploy
from toolchain.chips.xylo.dashes import decay_note, formulas


@pytest.mark.parametrize(
    ("tau", "by_tau", "by_alpha"), [(2.25, 1, 1), (2.3, 1, 2), (2.8, 1, 2), (2.9, 2, 2), (10, 3, 3)]
)
def test_the_two_formulas_in_use_disagree_between_2_29_and_2_83_steps(tau, by_tau, by_alpha):
    given_by = formulas(np.exp(-1 / np.array(tau)))
    assert given_by == {"log2(tau/dt)": by_tau, "-log2(1 - alpha)": by_alpha}


@pytest.mark.parametrize(
    ("tau", "dash", "note"),
    [
        (2.5, 2, "dash 2 by -log2(1 - alpha); log2(tau/dt) gives 1"),
        (11.5, 4, "dash 4 by both formulas"),
        (1.2, 1, "dash 1 by -log2(1 - alpha); log2(tau/dt) gives 0"),
        (0.4, 1, "dash 1; log2(tau/dt) gives -1; -log2(1 - alpha) gives 0"),
    ],
)
def test_a_decay_is_described_by_its_dash_and_those_of_the_formulas_in_use(tau, dash, note):
    assert decay_note(np.exp(-1 / tau), 1 - 2.0**-dash) == note


def test_the_warning_and_the_ledger_describe_a_decay_alike():
    graph = sequence(3, 4, 2, hidden=partial(lif, alpha_mem=np.exp(-0.1)))
    d = deploy(graph, "xylo", quantizer="channel")
    (warning,) = (found for found in d.diagnostics if found.rule == "time_constants")
    (change,) = d.ledger["l0"].of("tau_mem")
    assert warning.message == f"tau_mem 10 ms becomes 7.49 ms (-25.1 %): {change.note}"
    assert change.note == "dash 3 by both formulas"
