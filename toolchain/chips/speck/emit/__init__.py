"""Export of a program to the vendor's formats.

``tree`` writes the configuration as plain data, with ``extras`` for blocks that are not simulated;
``addresses`` packs neuron addresses and converts rasters to events and back.
"""
