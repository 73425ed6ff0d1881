"""Tools for the compiled simulators of all families.

``cache`` compiles functions and caches the machine code on disk, ``lanes`` provides vector
arithmetic for them, ``threads`` runs them in parallel on the samples of a batch.
"""
