"""What Speck refuses, does otherwise, or may be asked about: one small function a question.

``graph`` holds every rule on the real-valued network (``topology``: how layers are joined,
``graph_sensor``: its camera, ``neurons``: what layers compute), ``program`` every rule on the
integers (``cores``, ``shapes``, ``values``, ``sensor``, ``readout``; ``at``: what they ask about);
``rates`` holds activity against a user's limits, ``pins`` hints about cores chosen by hand;
``graph_hints`` and ``hints`` list what may help, the latter on programs that ``edits`` changes.
What a rule, a trial and a hint are is in
``toolchain.chips.rules``.
"""
