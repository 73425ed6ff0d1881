"""Lowering of a quantized Graph to a program.

``maps`` replaces feature maps by dense weights, ``layers`` reads the graph as populations and
projections, ``aliases`` finds layers that need no connections of their own, ``place`` allocates
neuron ids, ``blocks`` names the registers of each weight, ``integers`` fills the program.
"""
