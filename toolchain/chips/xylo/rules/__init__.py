"""What Xylo refuses, does otherwise, or may be asked about: one small function a question.

``graph`` holds every rule on the real-valued network (``topology``: how layers are joined,
``neurons``: what they compute, ``timing``: when spikes arrive), ``program`` every rule on the
integers (sizes; ``values``: single registers, ``paths``: where spikes go). ``graph_hints`` and
``hints`` list what may help, the latter on programs that ``edits`` changes. What a rule, a trial
and a hint are is in ``toolchain.chips.rules``.
"""
