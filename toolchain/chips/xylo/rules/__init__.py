"""Rules of Xylo: errors, warnings and notes on networks and programs, one small function each.

``graph`` has every rule on the real-valued network (``topology``: connections of layers,
``neurons``: what they compute, ``timing``: arrival of spikes), ``program`` every rule on the
integers (sizes; ``values``: single registers, ``paths``: aliases and reachable neurons).
``graph_hints`` and ``hints`` list possible remedies, the latter on programs that ``edits`` changes.
Rules, trials and hints are defined in ``toolchain.chips.rules``.
"""
