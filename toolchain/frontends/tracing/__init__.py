"""A model is run once, and what happened is the Graph; ``trace`` is the entry.

``record`` sees the run, ``axes`` and ``claims`` tell batch and time apart, ``walk`` turns calls
into nodes, ``steps`` rolls loops up, ``build`` puts the Graph together, ``selfcheck`` proves it.
"""
