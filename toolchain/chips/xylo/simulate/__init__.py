"""Simulation of a program, bit for bit.

``run`` is the entry point. ``kernel`` is the compiled core, with ``tables`` (its layout of the
program), ``layer_state`` (its layout of the state) and ``arithmetic`` (of its vectors); ``twin`` is
the slow and plain reference with the same results.
"""
