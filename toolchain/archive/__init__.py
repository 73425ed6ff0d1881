"""Archive format: a folder of files with their hashes, written and read atomically.

``manifest.json`` contains the format, further entries of its writer, and the SHA-256 of every other
file. Nothing is pickled, and only files that the manifest lists with their hash are read, all of
them at once. Arrays are stored as safetensors, with a JSON file for their shapes and other data.
A folder with any other file is read, but never replaced.

``RESTORE`` is the action of messages about a damaged archive:

>>> RESTORE
'restore the folder from a copy, or deploy the network again'
"""

from toolchain.archive.json_text import as_json, from_json, with_entry
from toolchain.archive.path import archive_path
from toolchain.archive.read import RESTORE, Archive, is_part, packed_files, tensors
from toolchain.archive.write import write_archive

__all__ = [
    "RESTORE",
    "Archive",
    "archive_path",
    "as_json",
    "from_json",
    "is_part",
    "packed_files",
    "tensors",
    "with_entry",
    "write_archive",
]
