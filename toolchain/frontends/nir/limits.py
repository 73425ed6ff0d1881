"""Size limits of NIR files, checked before anything is read.

The networks of neuromorphic chips have some ten layers and thousands of weights; these bounds are
far above that, and low enough that no file takes more than a second or 500 MB.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT", "Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Inclusive upper bounds.

    Attributes:
        file_bytes: size of the file.
        data_bytes: all numbers and strings, unpacked, including the padding of edge chunks.
        chunk_bytes: one chunk, unpacked.
        chunks: chunks of all data sets together.
        objects: groups and data sets together.
        group_depth: groups within groups.
        rank: dimensions of an array.
        name_bytes: a name, in UTF-8.
        texts, text_bytes: number of strings, and their bytes in UTF-8.
        nodes, edges: of all graphs together.
        graph_depth: graphs within graphs, the outermost counted.
        whole: largest magnitude of an integer such as a stride.
        features: product of the sizes of a shape.
        faults: number of problems after which reading stops.
        seconds: processor time for a file.
        memory_bytes: address space of the process that reads.
    """

    file_bytes: int = 256 * 2**20
    data_bytes: int = 128 * 2**20
    chunk_bytes: int = 16 * 2**20
    chunks: int = 2**14
    objects: int = 2**13
    group_depth: int = 24
    rank: int = 8
    name_bytes: int = 128
    texts: int = 2**15
    text_bytes: int = 2**22
    nodes: int = 2**10
    edges: int = 2**13
    graph_depth: int = 8
    whole: int = 2**24
    features: int = 2**24
    faults: int = 20
    seconds: float = 0.7
    memory_bytes: int = 460 * 2**20


DEFAULT = Limits()
