"""Damaged and hostile ``.nir`` files by the number: each number gives one file, always the same."""

import io
import zlib
from functools import cache

import h5py
import numpy as np

from tests.frontends.nir import samples

EXTREMES = (0, 1, 2, 8, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**40, 2**63 - 1, 2**64 - 1)


@cache
def whole():
    return samples.whole()


def any_whole(rng):
    return bytearray(whole()[rng.integers(len(whole()))])


# ---- bytes ----


def truncated(rng):
    data = any_whole(rng)
    return data[: rng.integers(len(data))]


def flipped(rng):
    """Single bits, more of them where the structure of the file is."""
    data = any_whole(rng)
    for _ in range(2 ** int(rng.integers(0, 7))):
        data[_somewhere(rng, data)] ^= 1 << int(rng.integers(8))
    return data


def overwritten(rng):
    """Fields of 1 to 8 bytes replaced by numbers at the edge of something."""
    data = any_whole(rng)
    for _ in range(int(rng.integers(1, 5))):
        at, width = _somewhere(rng, data), int(rng.choice([1, 2, 4, 8]))
        value = int(rng.choice(np.array([*EXTREMES, len(data)], np.uint64)))
        data[at : at + width] = (value % 256**width).to_bytes(width, "little")
    return data


def moved(rng):
    """Addresses in the file replaced by others of the same file: loops, and types confused."""
    data = any_whole(rng)
    words = np.frombuffer(bytes(data[: len(data) // 8 * 8]), "<u8")
    places = np.flatnonzero((words > 0) & (words < len(data)))
    for _ in range(int(rng.integers(1, 4))):
        to, source = (8 * int(place) for place in rng.choice(places, 2))
        data[to : to + 8] = data[source : source + 8]
    return data


def spliced(rng):
    """A piece of one file within another."""
    data, other = any_whole(rng), any_whole(rng)
    at, size = _somewhere(rng, data), int(rng.integers(1, 600))
    piece = other[(start := _somewhere(rng, other)) : start + size]
    data[at : at + (len(piece) if rng.random() < 0.7 else 0)] = piece
    return data


def blanked(rng):
    data = any_whole(rng)
    at, size = _somewhere(rng, data), int(rng.integers(1, 500))
    data[at : at + size] = bytes(len(data[at : at + size]))
    return data


def cut_out(rng):
    data = any_whole(rng)
    at = _somewhere(rng, data)
    del data[at : at + int(rng.integers(1, 300))]
    return data


def noise(rng):
    """Not a file of that kind at all, or only its first bytes."""
    start = (b"", b"\x89HDF\r\n\x1a\n", bytes(any_whole(rng)[:96]))[rng.integers(3)]
    return start + rng.bytes(int(rng.integers(0, 3000)))


def _somewhere(rng, data):
    """A place; every second time in the first kilobytes, where the structure is dense."""
    most = len(data) if rng.random() < 0.5 else min(len(data), 4096)
    return int(rng.integers(most))


# ---- structure ----


def bent(rng, *bends):
    """A file of one of the layouts, changed by one of ``bends``."""
    bend = bends[rng.integers(len(bends))]
    libver = ("earliest", "latest")[rng.integers(2)]
    return samples.make(*samples.recurrent(), libver=libver, bend=lambda file: bend(file, rng))


def links(rng):
    return bent(rng, _soft, _dangling, _outside, _loop, _loop_above, _bomb, _stored_type)


def _soft(file, rng):
    file["node/nodes/again"] = h5py.SoftLink("/node/nodes/fc")


def _dangling(file, rng):
    file["node/nodes/fc/bias2"] = h5py.SoftLink("/nowhere")


def _outside(file, rng):
    file["node/nodes/other"] = h5py.ExternalLink("/etc/passwd", "/node")


def _loop(file, rng):
    file["node/nodes/layer/nodes/self"] = file["node/nodes/layer"]


def _loop_above(file, rng):
    file["node/nodes/all"] = file["/"]


def _bomb(file, rng):
    """2 to the power of 30 paths over 30 groups."""
    group = file["node/nodes"]
    for _ in range(30):
        inner = group.create_group("a")
        group["b"] = inner
        group = inner


def _stored_type(file, rng):
    file["node/nodes/kind"] = np.dtype("f4")


def huge(rng):
    return bent(rng, _huge_chunked, _huge_plain, _huge_chunk, _many_chunks, _huge_texts, _long_text)


def _weight(file):
    del file["node/nodes/fc/weight"]
    return file["node/nodes/fc"]


def _huge_chunked(file, rng):
    shape = (2 ** int(rng.integers(20, 50)), 2 ** int(rng.integers(1, 12)))
    _weight(file).create_dataset("weight", shape, "f4", chunks=(64, 1), compression="gzip")


def _huge_plain(file, rng):
    _weight(file).create_dataset("weight", (2 ** int(rng.integers(25, 50)), 8), "f8")


def _huge_chunk(file, rng):
    _weight(file).create_dataset("weight", (1, 1), "f4", chunks=(2**24, 8), maxshape=(None, None))


def _many_chunks(file, rng):
    _weight(file).create_dataset("weight", (2**20, 2**4), "u1", chunks=(1, 1))


def _huge_texts(file, rng):
    _weight(file).create_dataset("weight", (2**26,), h5py.string_dtype())


def _long_text(file, rng):
    samples.put(file["node"], "metadata", {"note": "x" * 2 ** int(rng.integers(20, 24))})


@cache
def _inflating(mebibytes):
    """A gzip stream of zeros."""
    return zlib.compress(bytes(mebibytes * 2**20), 9)


def packed(rng):
    return bent(rng, _gzip_bomb, _gzip_overflow, _gzip_noise, _unknown_filter, _filters_twice)


def _chunked(file, shape, chunk, **filters):
    return _weight(file).create_dataset("weight", shape, "f4", chunks=chunk, **filters)


def _gzip_bomb(file, rng):
    """Every chunk a few kilobytes that unpack to 8 MiB, of 1 to 40 chunks."""
    count = int(rng.integers(1, 41))
    data = _chunked(file, (2**20 * count, 2), (2**20, 2), compression="gzip")
    for chunk in range(count):
        data.id.write_direct_chunk((2**20 * chunk, 0), _inflating(8))


def _gzip_overflow(file, rng):
    """A chunk of 24 bytes that unpacks to 64 or 256 MiB."""
    data = _chunked(file, (3, 2), (3, 2), compression="gzip")
    data.id.write_direct_chunk((0, 0), _inflating(int(rng.choice([64, 256]))))


def _gzip_noise(file, rng):
    data = _chunked(file, (3, 2), (3, 2), compression="gzip")
    data.id.write_direct_chunk((0, 0), rng.bytes(int(rng.integers(1, 40))))


def _plist(file, shape, *filters):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk(shape)
    for code in filters:
        plist.set_filter(code, h5py.h5z.FLAG_OPTIONAL, (9,))
    where = _weight(file).id
    space = h5py.h5s.create_simple(shape)
    return h5py.h5d.create(where, b"weight", h5py.h5t.IEEE_F32LE, space, plist)


def _unknown_filter(file, rng):
    """One that a plug-in would have to be loaded for."""
    data = _plist(file, (3, 2), int(rng.choice([257, 32001, 32015, 60000])))
    data.write_direct_chunk((0, 0), rng.bytes(24))


def _filters_twice(file, rng):
    data = _plist(file, (2**10, 2**10), *[h5py.h5z.FILTER_DEFLATE] * int(rng.integers(2, 5)))
    data.write_direct_chunk((0, 0), zlib.compress(_inflating(64)))


def elsewhere(rng):
    return bent(rng, _virtual, _external, _never_written)


def _virtual(file, rng):
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:2] = h5py.VirtualSource("/etc/passwd", "x", (2, 3))
    _weight(file).create_virtual_dataset("weight", layout)


def _external(file, rng):
    _weight(file).create_dataset("weight", (4, 3), "f4", external=[("/etc/passwd", 0, 48)])


def _never_written(file, rng):
    _weight(file).create_dataset("weight", (4, 3), "f4")


ODD = (
    lambda: np.zeros(3, [("a", "f4"), ("b", "i8")]),
    lambda: np.zeros((4, 3), "c8"),
    lambda: np.zeros((4, 3), np.longdouble),
    lambda: np.zeros((4, 3), "V7"),
    lambda: np.zeros((4, 3), bool),
    lambda: np.array([["a", "b"]], "S3"),
    lambda: np.zeros((4, 3), [("x", "f4", (2, 2))]),
)


def types(rng):
    return bent(rng, _odd, _vlen, _references, _enum, _wide_text, _no_value)


def _odd(file, rng):
    array = ODD[rng.integers(len(ODD))]()
    _weight(file)["weight"] = array


def _vlen(file, rng):
    data = _weight(file).create_dataset("weight", (3,), h5py.vlen_dtype(np.int32))
    data[0] = range(5)


def _references(file, rng):
    dtype = (h5py.ref_dtype, h5py.regionref_dtype)[rng.integers(2)]
    _weight(file).create_dataset("weight", (3,), dtype)


def _enum(file, rng):
    _weight(file).create_dataset("weight", (3,), h5py.enum_dtype({"A": 1, "B": 2}, "i2"))


def _wide_text(file, rng):
    _weight(file).create_dataset(
        "weight", data=np.array([b"x"], f"S{2 ** int(rng.integers(8, 16))}")
    )


def _no_value(file, rng):
    _weight(file)["weight"] = h5py.Empty("f4")


# ---- meaning ----


def meaning(rng):
    nodes, edges = (samples.feed_forward, samples.recurrent, samples.convolutional)[
        rng.integers(3)
    ]()
    edges = list(edges)
    name = list(nodes)[rng.integers(len(nodes))]
    kind, content = nodes[name]
    if isinstance(kind, str):
        content, key = dict(content), list(content)[rng.integers(len(content))]
        content = CHANGES[rng.integers(len(CHANGES))](content, key, rng)
        nodes[name] = (kind if rng.random() < 0.8 else "Perceptron", content)
    for _ in range(int(rng.integers(0, 3))):
        if edges:
            ENDS_OF_EDGES[rng.integers(len(ENDS_OF_EDGES))](edges, rng)
    return samples.make(nodes, edges)


CHANGES = (
    lambda content, key, rng: {k: v for k, v in content.items() if k != key},
    lambda content, key, rng: {**content, "surplus": 1.0},
    lambda content, key, rng: {**content, key: "text"},
    lambda content, key, rng: {**content, key: {"deep": 1}},
    lambda content, key, rng: {**content, key: np.full((2, 2, 2, 2, 2, 2), 1.0)},
    lambda content, key, rng: {**content, key: np.array(np.nan)},
    lambda content, key, rng: {**content, key: np.array([2**62, -1])},
    lambda content, key, rng: {**content, key: np.zeros(0)},
    lambda content, key, rng: {**content, "type\u202e": 1},
    lambda content, key, rng: {**content, "n" * 200: 1},
)
ENDS_OF_EDGES = (
    lambda edges, rng: edges.append(edges[0]),
    lambda edges, rng: edges.append(edges[-1][::-1]),
    lambda edges, rng: edges.append(("nobody", edges[0][0])),
    lambda edges, rng: edges.pop(int(rng.integers(len(edges)))),
    lambda edges, rng: edges.clear(),
    lambda edges, rng: edges.append((edges[0][1], edges[0][1])),
)


def shapes_of_graphs(rng):
    return (_deep, _crowded, _tangled, _without, _primitive)[rng.integers(5)](rng)


def _deep(rng):
    """Graphs in graphs: as many as are taken, and more."""
    nodes, edges = samples.feed_forward()
    for _ in range(int(rng.integers(6, 30))):
        nodes, edges = (
            {**samples.ends(3, 4), "in": (nodes, edges)},
            [("input", "in"), ("in", "output")],
        )
    return samples.make(nodes, edges)


def _crowded(rng):
    nodes, edges = samples.feed_forward()
    nodes |= {f"n{i}": ("Scale", {"scale": 1.0}) for i in range(int(rng.integers(300, 3000)))}
    return samples.make(nodes, edges)


def _tangled(rng):
    nodes, _ = samples.feed_forward()
    names = [*nodes, "nobody"]
    return samples.make(nodes, rng.choice(names, (int(rng.integers(1, 12000)), 2)).tolist())


def _without(rng):
    def bend(file):
        paths = []
        file.visit(paths.append)
        del file[paths[rng.integers(len(paths))]]

    return samples.make(*samples.recurrent(), bend=bend)


def _primitive(rng):
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        samples.put(file, "node", {"type": "Linear", "weight": np.ones((2, 2))})
    return out.getvalue()


OF_BYTES = (truncated, flipped, overwritten, moved, spliced, blanked, cut_out, noise)
OF_CONTENT = (links, huge, packed, elsewhere, types, meaning, shapes_of_graphs)


def damaged(number):
    """The name of the damage and the bytes of the file."""
    rng = np.random.default_rng([number, 6])
    table = OF_BYTES if number % 3 else OF_CONTENT
    damage = table[rng.integers(len(table))]
    return damage.__name__, bytes(damage(rng))
