"""Every rule on the real-valued graph: what a network needs and Speck does not have.

``TOPOLOGY`` checks the connections of layers, ``NEURONS`` single layers. Each rule is a small
function that yields findings. ``program`` checks sizes and integer ranges; ``graph_hints`` adds
hints.
"""

from __future__ import annotations

from functools import partial

from toolchain.chips.rules.graph import GraphRules
from toolchain.chips.rules.hints import check_rules
from toolchain.chips.rules.trial import fits
from toolchain.chips.speck.rules.graph_hints import advise
from toolchain.chips.speck.rules.neurons import NEURONS
from toolchain.chips.speck.rules.topology import TOPOLOGY, topology_is_sound
from toolchain.chips.speck.spec import SpeckChip

__all__ = ["RULES", "check_graph", "computes", "topology_is_sound"]

RULES: GraphRules[SpeckChip] = (*TOPOLOGY, *NEURONS)
"""The rules, in the order of their findings."""


check_graph = partial(check_rules, rules=RULES, advise=advise)
"""Function that returns every finding about the layers of a graph, with hints."""

computes = partial(fits, rules=RULES)
"""Function that returns whether a graph passes all these rules."""
