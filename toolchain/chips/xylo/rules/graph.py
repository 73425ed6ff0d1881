"""Every rule on the real-valued graph: what a network asks for and Xylo cannot do.

``TOPOLOGY`` checks the connections of layers, ``NEURONS`` what the neurons compute, ``TIMING`` when
spikes arrive. Each rule is a small function that yields findings. Sizes and integer ranges are
checked in ``program``; ``graph_hints`` tries remedies.
"""

from __future__ import annotations

from functools import partial

from toolchain.chips.rules.graph import GraphRules
from toolchain.chips.rules.hints import check_rules
from toolchain.chips.rules.trial import fits
from toolchain.chips.xylo.rules.graph_hints import advise
from toolchain.chips.xylo.rules.neurons import NEURONS
from toolchain.chips.xylo.rules.timing import TIMING
from toolchain.chips.xylo.rules.topology import TOPOLOGY, topology_is_sound
from toolchain.chips.xylo.spec import XyloChip

__all__ = ["RULES", "check_graph", "computes", "topology_is_sound"]

RULES: GraphRules[XyloChip] = (*TOPOLOGY, *NEURONS, *TIMING)
"""Rules in the order of their findings."""


check_graph = partial(check_rules, rules=RULES, advise=advise)
"""Return every finding about the real-valued graph."""

computes = partial(fits, rules=RULES)
"""Return whether the graph passes all these rules."""
