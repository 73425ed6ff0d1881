"""What SynSense's chips share: their vendor's library samna, its boards and its configurations.

``vendor`` decides whether samna can be imported and sets a configuration attribute by attribute;
``spec`` holds the vendor's names in chip files; ``boards`` finds and opens boards; ``session`` is a
board that is open, and measures its power.
"""
