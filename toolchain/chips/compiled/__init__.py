"""What the compiled simulators of all families share.

``cache`` compiles functions and keeps the machine code on disk, ``lanes`` is vector arithmetic for
them, ``threads`` runs them on the samples of a batch.
"""
