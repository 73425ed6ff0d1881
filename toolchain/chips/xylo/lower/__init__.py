"""From a quantized Graph to a program.

``maps`` writes maps out as dense weights, ``layers`` reads the graph as populations and
projections, ``aliases`` finds those that need no connections of their own, ``place`` gives neuron
ids, ``integers`` fills the program.
"""
