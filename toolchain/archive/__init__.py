"""Archive format: a folder of files with their hashes, written and read atomically.

``manifest.json`` contains the format, further entries of its writer, and the SHA-256 of every other
file. Nothing is pickled, and only files that the manifest lists with their hash are read. Arrays
are stored as safetensors, with a JSON file for their shapes and other data.

>>> import numpy as np
>>> files = packed_files("net", {"weight": np.eye(2)}, {"name": "fc"})
>>> folder = write_archive("saved", files, {"chip": "xylo_a2"})
>>> archive = Archive(archive_path("saved"))
>>> archive.manifest["chip"], archive.unpacked("net")[1], as_json(1)
('xylo_a2', {'name': 'fc'}, b'1')
"""

from toolchain.archive.path import archive_path
from toolchain.archive.read import Archive, as_json, packed_files
from toolchain.archive.write import write_archive

__all__ = ["Archive", "archive_path", "as_json", "packed_files", "write_archive"]
