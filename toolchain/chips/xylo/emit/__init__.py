"""A program in the formats of other tools.

``tree`` is the vendor's configuration as plain data. ``vendor_json`` reads and writes the vendor's
files for Audio 2, with ``vendor_document`` (their layout) and ``vendor_program`` (the program in
them). ``ram_files`` are memory images as xylosim writes them.
"""
