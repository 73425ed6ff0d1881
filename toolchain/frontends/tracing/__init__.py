"""Tracer for torch modules: one recorded run of the model becomes the Graph (entry: ``trace``).

``record`` records the run, ``axes`` and ``grids`` find batch and time, ``converter`` turns each
call into nodes, ``loop_nodes`` merges the timesteps of a loop, ``build`` assembles the Graph, and
``selfcheck`` compares the Graph with the model.
"""
