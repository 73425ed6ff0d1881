"""What a program does, bit for bit.

``run`` is the way in. ``kernel`` is the compiled core, with ``tables`` (the program as it reads it)
and ``lanes`` (its vector arithmetic); ``twin`` says the same slowly and plainly.
"""
