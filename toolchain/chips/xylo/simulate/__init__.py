"""Simulation of a program, bit for bit.

``run`` is the entry point. ``kernel`` is the compiled core: it chooses between ``dense`` (32
neurons at once) and ``batched`` (32 samples at once), with ``tables`` (their layout of the
program), ``packed`` (of the state and of recordings) and ``arithmetic`` (of their vectors);
``twin`` is the slow and plain reference with the same results.
"""
