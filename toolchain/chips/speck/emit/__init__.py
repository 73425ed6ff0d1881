"""A program in the forms of the vendor.

``tree`` is the configuration as plain data, with ``extras`` that no simulation knows; ``addresses``
packs neuron addresses and turns rasters into events and back.
"""
