"""Training of a Xylo program: an exact forward pass, surrogate gradients of its integers.

``structure`` finds the layers and connections of the program in the quantized graph, ``values`` the
ranges of its integers and the registers that they fill. ``forward`` simulates and keeps a
``record``. ``backward`` divides the batch into parts, a ``part`` computes its layers piece by piece
of the time, a ``layer`` its steps, with the compiled loops of ``kernel``. ``program`` is the
family's ``TrainableProgram``.
"""
