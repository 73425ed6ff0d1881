"""What Xylo cannot do of what a network asks for: every rule on the real-valued graph.

``TOPOLOGY`` asks how layers are joined, ``NEURONS`` what the neurons compute, ``TIMING`` when
spikes arrive. Each rule is a small function that yields findings. Sizes and integer ranges are
asked in ``program``; ``graph_hints`` tries what may help.
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
"""In the order in which they report."""


check_graph = partial(check_rules, rules=RULES, advise=advise)
"""Every finding about what the network is made of."""

computes = partial(fits, rules=RULES)
"""Whether the chip can do all that the network asks for."""
