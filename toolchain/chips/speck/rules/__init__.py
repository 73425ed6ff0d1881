"""Rules of Speck: one small function for each limit or difference.

``graph`` has every rule on the real-valued network (``topology``: connections, ``graph_sensor``:
the camera, ``neurons``: single layers), ``program`` every rule on the integers (``cores``,
``shapes``, ``values``, ``sensor``, ``readout``; ``at``: the parts that they check); ``rates``
compares activity with a user's limits, ``pins`` adds hints to a placement given by the user;
``graph_hints`` and ``hints`` list possible changes, the latter on programs that ``edits`` changes.
Rules, trials and hints are defined in ``toolchain.chips.rules``.
"""
