"""Training of a Speck program on its own integers.

``parameters`` are the arrays of the quantized graph and their places in the cores; ``program``
implements ``TrainableProgram``. ``tables`` fills the tables of the simulators with other integers
for the ``forward`` pass, whose ``tape`` the ``backward`` pass reads from the last ``layer`` to the
first: by a compiled ``scan`` of its neurons and compiled ``kernels`` for its ``connections``.
"""
