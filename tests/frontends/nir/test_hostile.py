"""Damaged and hostile files end in a typed error or as a file, whatever the HDF5 library does.

Three hundred here; ``make conformance`` takes ten thousand, with the time and memory of each.
"""

from collections import Counter

from tests.frontends.nir.damage import OF_BYTES, OF_CONTENT, damaged
from tests.frontends.nir.reading import outcome
from toolchain.frontends.nir.read import read_several

FILES = 300


def test_damaged_files_end_in_an_error_that_names_them_or_are_read(tmp_path):
    paths, kinds = [], Counter()
    for number in range(FILES):
        kind, data = damaged(number)
        kinds[kind] += 1
        paths.append(tmp_path / f"{number}.nir")
        paths[-1].write_bytes(data)
    words = Counter(outcome(*pair) for pair in zip(read_several(paths), paths, strict=True))
    assert kinds.keys() == {damage.__name__ for damage in (*OF_BYTES, *OF_CONTENT)}
    assert words["refused"] > FILES / 2
    assert words["read"] > FILES / 20  # damage to what nobody reads
    assert words["refused, lost"] == 0
