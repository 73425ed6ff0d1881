"""Shared code of the SynSense families: the vendor's library samna, boards and configurations.

``vendor`` checks whether samna can be imported and sets a configuration attribute by attribute;
``spec`` defines the vendor's names in chip files; ``boards`` finds and opens boards; ``session``
accesses an open board and measures its power.
"""
