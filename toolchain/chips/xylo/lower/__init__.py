"""From a quantized Graph to a program.

``layers`` reads the graph as populations and projections, ``aliases`` finds those that need no
connections of their own, ``place`` gives neuron ids, ``integers`` fills the program.
"""
