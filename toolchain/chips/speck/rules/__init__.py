"""What Speck refuses, does otherwise, or may be asked about: one small function a question.

``graph`` holds every rule on the real-valued network, ``program`` every rule on the integers (by
subject: ``cores``, ``shapes``, ``values``, ``sensor``, ``readout``); ``rates`` holds activity
against a user's limits. ``hints`` and ``graph_hints`` try what might help: ``remedies`` on programs
that ``edits`` changes, judged by ``trial``.
"""
