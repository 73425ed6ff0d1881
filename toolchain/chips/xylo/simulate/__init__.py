"""What a program does, bit for bit.

``run`` is the entry point. ``kernel`` is the compiled core, with ``tables`` (the program as it
reads it), ``layer_state`` (the state as it keeps it) and ``arithmetic`` (of its vectors); ``twin``
computes the same slowly and plainly.
"""
