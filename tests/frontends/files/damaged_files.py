"""Damaged and hostile files from a seed: rockpool's JSON, safetensors, and files of torch.save.

Every generator takes a random generator and the path of a file that must never come into being,
which is what the code hidden in a file would create.
"""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save as safetensors_bytes

__all__ = ["KINDS", "damaged"]


def damaged(seed, marker, rng):
    """``(what was done, bytes)``; the kind of file goes round with the seed."""
    make = KINDS[seed % len(KINDS)]
    return make(rng, marker)


# ---- what all kinds have in common ----


def cut(rng, data):
    return data[: rng.integers(0, len(data))]


def flipped(rng, data):
    result = bytearray(data)
    for _ in range(rng.integers(1, 20)):
        result[rng.integers(0, len(result))] ^= 1 << int(rng.integers(0, 8))
    return bytes(result)


def overwritten(rng, data):
    result = bytearray(data)
    start = int(rng.integers(0, len(result)))
    result[start : start + 16] = rng.bytes(16)
    return bytes(result)


def doubled(rng, data):
    start, end = sorted(int(n) for n in rng.integers(0, len(data), 2))
    return data[:end] + data[start:]


def any_bytes(rng, data):
    return data[:8] + rng.bytes(int(rng.integers(0, 200)))


BYTES = (cut, flipped, overwritten, doubled, any_bytes)


def one_of(rng, things):
    return things[int(rng.integers(0, len(things)))]


# ---- rockpool's JSON ----

LIF = {
    "threshold": "[1.0, 1.0]",
    "bias": "[0.0, 0.0]",
    "tau_mem": "[0.01, 0.02]",
    "tau_syn": "[[0.01], [0.02]]",
    "w_rec": "[[0.0, 0.0], [0.0, 0.0]]",
    "_has_rec": "false",
    "max_spikes_per_dt": "31.0",
    "noise_std": "0.0",
    "dt": "0.001",
    "leak_mode": '"taus"',
    "spike_generation_fn": None,
    "learning_window": "0.5",
}
ROCKPOOL = {
    "0_LinearTorch": {"weight": "[[0.1, 0.2], [0.3, -0.4], [0.5, 0.6]]"},
    "1_LIFTorch": LIF,
}

ODD = [
    *(1, 1.5, True, [], {}, [[1]], [None], "", "null", "true", '""', "[]", "[[]]", "{}", "-", "."),
    *("1e999", "-1e999", "NaN", "Infinity", "[NaN]", "1" * 5000, "[" + "9" * 400 + "]", "1_000"),
    *("[[1.0], [1.0, 2.0]]", "[1, [2]]", "[1.0, 2.0", "1 2", "0x10", "[true]", '["a"]', "\u0661"),
    *("[" * 100_000, "[" * 50 + "]" * 50, "{" * 1000, "1,2", "-1", "0", "1e308", "1e-320"),
    *("[" + "[]," * 300_000 + "[]]", "[" + "1," * 300_000 + "1]", "\ud800", "\0", "x" * 10**6),
]


def json_field(rng):
    """One field of a layer says something else."""
    tree = json.loads(json.dumps(ROCKPOOL))
    layer = one_of(rng, list(tree.values()))
    layer[one_of(rng, list(layer))] = one_of(rng, ODD)
    return json.dumps(tree)


def json_layer(rng):
    """A layer or its name is something else."""
    tree = json.loads(json.dumps(ROCKPOOL))
    name = one_of(rng, list(tree))
    value = tree.pop(name)
    other = ["0_", "1_LIFTorch ", "2_LIFTorch", "seq", "../x", "1_TorchResidual", "01_LIFTorch"]
    other += ["1_aLIFTorch", "1_os.system", "9" * 4000, "\ud800", "", "1_LinearTorch", "__class__"]
    tree[one_of(rng, other)] = one_of(rng, [value, {}, {"0_LinearTorch": value}, *ODD[:8]])
    return json.dumps(tree)


def json_missing(rng):
    tree = json.loads(json.dumps(ROCKPOOL))
    layer = one_of(rng, list(tree.values()))
    layer.pop(one_of(rng, list(layer)))
    return json.dumps(tree)


def json_twice(rng):
    text = json.dumps(ROCKPOOL)
    name = one_of(rng, ["dt", "weight", "1_LIFTorch"])
    return text[:-2] + f', "{name}": "1", "{name}": "2"' + text[-2:]


def json_nested(rng):
    depth = int(rng.integers(2, 100_000))
    opened, closed = one_of(rng, [('{"0_TorchSequential":', "}"), ("[", "]"), ('{"a":[', "]}")])
    return '{"a":' + opened * depth + "1" + closed * depth + "}"


def json_much(rng):
    """More brackets, texts or names than fit."""
    many = [
        '{"a": [' + "[]," * 500_000 + "[]]}",
        '{"a": "' + r"\"" * 2_000_000,
        '{"a": "' + r"\"" * 2_000_000 + '"}',
        "{" + ",".join(f'"{n}": "1"' for n in range(60_000)) + "}",
        '{"0_LinearTorch": {"weight": "[[' + "1," * 2_000_000 + '1]]"}}',
        '{"0_LinearTorch": {"weight": "[' + "[1]," * 250_000 + '[1]]"}}',
        "{" + " " * 3_000_000 + "}",
    ]
    return one_of(rng, many)


JSONS = (json_field, json_field, json_field, json_layer, json_missing, json_twice, json_nested)


def a_json(rng, marker):
    choice = rng.random()
    if choice < 0.3:
        how = one_of(rng, BYTES)
        return how.__name__, how(rng, json.dumps(ROCKPOOL).encode())
    make = json_much if choice < 0.33 else one_of(rng, JSONS)
    text = make(rng)
    coding = "utf-16" if rng.random() < 0.03 else "utf-8"
    return make.__name__, text.encode(coding, "surrogatepass")


# ---- safetensors ----

WEIGHTS = {
    "fc.weight": torch.tensor([[0.5, -0.25, 1.0], [2.0, 0.0, 1.5]]),
    "fc.bias": torch.ones(2),
}
SAFETENSORS = safetensors_bytes(WEIGHTS)
HEADER_LENGTH = struct.unpack("<Q", SAFETENSORS[:8])[0]
NUMBERS = SAFETENSORS[8 + HEADER_LENGTH :]
BIG = [2**31, 2**32, 2**40, 2**62, 2**63, 2**64, 10**30, -1, -(2**63), 1.5, "6", None, [], True]


def header():
    return json.loads(SAFETENSORS[8 : 8 + HEADER_LENGTH])


def with_header(text, numbers=NUMBERS, length=None):
    data = text.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(data) if length is None else length) + data + numbers


def tensors_shape(rng):
    result = header()
    entry = result[one_of(rng, sorted(result))]
    entry["shape"] = one_of(rng, [[n] for n in BIG] + [[2**32, 2**32, 4], [0], [1] * 2000, *BIG])
    return with_header(json.dumps(result))


def tensors_offsets(rng):
    result = header()
    entry = result[one_of(rng, sorted(result))]
    odd = [[0, 8], [8, 0], [0, 10**12], [4, 28], [], [0], [0, 8, 16], *([0, n] for n in BIG)]
    entry["data_offsets"] = one_of(rng, odd)
    return with_header(json.dumps(result))


def tensors_type(rng):
    result = header()
    entry = result[one_of(rng, sorted(result))]
    entry["dtype"] = one_of(rng, ["F64", "I32", "BOOL", "F8_E4M3", "C64", "O", "", "f4", None, 4])
    return with_header(json.dumps(result))


def tensors_header(rng):
    text = json.dumps(header())
    odd = [
        "{" * 10_000,
        '{"a":' * 50_000,
        "[]",
        "{}",
        "{" + text[1:-1] + "," + text[1:],
        text[:-1] + ', "__metadata__": 3}',
        text[:-1] + ', "__metadata__": {"a": {"b": 1}}}',
        text[:-1] + ', "\ud800": 3}',
        "{" + ",".join(f'"{n}": {{"dtype": "F32", "shape": [0]}}' for n in range(30_000)) + "}",
        "{" + " " * 3_000_000 + text[1:],
    ]
    return with_header(one_of(rng, odd))


def tensors_length(rng):
    lengths = [0, 1, 7, 2**31, 2**32, 2**40, 2**63, 2**64 - 1, HEADER_LENGTH - 1]
    lengths += [HEADER_LENGTH + 1, len(SAFETENSORS), len(SAFETENSORS) - 8]
    return with_header(json.dumps(header()), length=one_of(rng, lengths))


def tensors_numbers(rng):
    odd = [NUMBERS + b"\0", NUMBERS[:-1], b"", b"\0\0\xc0\x7f" * 8, b"\0\0\x80\x7f" * 8]
    return with_header(json.dumps(header()), numbers=one_of(rng, odd))


TENSORS = (
    *(tensors_shape, tensors_offsets, tensors_type, tensors_header, tensors_length),
    tensors_numbers,
)


def a_safetensors(rng, marker):
    if rng.random() < 0.3:
        how = one_of(rng, BYTES)
        return how.__name__, how(rng, SAFETENSORS)
    make = one_of(rng, TENSORS)
    return make.__name__, make(rng)


# ---- files of torch.save ----


def saved(thing):
    out = io.BytesIO()
    torch.save(thing, out)
    return out.getvalue()


TORCH = saved(WEIGHTS)


def entries(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return out.getvalue()


def with_pickle(data):
    files = entries(TORCH)
    return packed({**files, "archive/data.pkl": data}.items())


class Runs:
    """Something whose pickle calls a function when it is loaded."""

    def __init__(self, function, *given):
        self.call = (function, given)

    def __reduce__(self):
        return self.call


class Sets:
    """Something whose pickle sets attributes when it is loaded."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        return (Path, ("x",), self.state)


def torch_code(rng, marker):
    """A pickle that would create the marker, in the places and protocols that there are."""
    create = [
        Runs(os.system, f"touch {marker}"),
        Runs(exec, f"open({str(marker)!r}, 'w')"),
        Runs(eval, f"open({str(marker)!r}, 'w')"),
        Runs(open, str(marker), "w"),
        Runs(Path.touch, Path(marker)),
        Sets({"_raw_paths": [Runs(open, str(marker), "w")]}),
    ]
    evil = one_of(rng, create)
    places = [evil, {"fc.weight": evil}, {**WEIGHTS, "more": [evil]}, [evil], {"state_dict": evil}]
    thing = one_of(rng, places)
    if rng.random() < 0.5:
        return saved(thing)
    thing = evil if isinstance(thing, dict) else thing
    data = pickle.dumps(thing, protocol=int(rng.integers(0, 5)))
    return one_of(rng, [with_pickle(data), data])


RAW = [
    b"cos\nsystem\n(S'touch MARKER'\ntR.",
    b"(S'touch MARKER'\nios\nsystem\n.",
    b"\x80\x02cposix\nsystem\nX\x0c\0\0\0touch MARKER\x85R.",
    b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0ctouch MARKER\x85R.",
    b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\0\0\0\0\0\x01\x85R.",
    b"\x80\x02ctorch\nFloatStorage\n\x8a\x06\0\0\0\0\0\x01\x85R.",
    b"\x80\x02ccollections\nOrderedDict\n)R.",
    b"\x80\x02}r\xff\xff\xff\x7f.",
    b"\x80\x02" + b"(" * 50_000 + b"t" * 50_000 + b".",
    b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
    b"\x80\x02]q\0" + b"h\0a" * 50_000 + b".",
    b"\x80\x02]q\0(" + b"h\0" * 100_000 + b"e.",
    b"\x80\x02}q\0h\0h\0s.",
    b"\x80\x02}q\0X\x01\0\0\0ah\0s.",
    b"\x80\x02\x8b\xff\xff\xff\x7f" + b"\1" * 300_000 + b".",
    b"\x80\x02X\xff\xff\xff\xffab.",
    b"\x80\x02B\xff\xff\xff\x7fab.",
    b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
    b"\x80\x02h\0.",
    b"\x80\x02K\1K\2.",
    b"\x80\x02t.",
    b"\x80\x02.",
    b"\x80\x02(K\1K\2K\3Q.",
    b"\x80\x02}(K\1u.",
    b"\x80\x02I" + b"9" * 100_000 + b"\n.",
    b"\x80\x02F1e999\n.",
    b"P1\n.",
    b"\x82\x01.",
    b"",
    b"\x80\x02" + b"N" * 500_000,
]


def torch_pickle(rng, marker):
    raw = one_of(rng, RAW).replace(b"MARKER", os.fsencode(marker)[-6:])
    return with_pickle(raw)


def torch_tensor(rng, marker):
    """A tensor that does not fit the numbers that are there."""
    files = entries(TORCH)
    data = files["archive/data.pkl"]
    number = b"K" + bytes([one_of(rng, [1, 2, 3, 6])])
    big = one_of(rng, [2**31, 2**40, 2**62, 2**63, -1, 10**40])
    places = [n for n in range(len(data)) if data[n : n + 2] == number]
    place = one_of(rng, places)
    long = pickle.dumps(big, protocol=2)[2:-1]
    return with_pickle(data[:place] + long + data[place + 2 :])


def torch_archive(rng, marker):
    files = entries(TORCH)
    listed = list(files.items())
    pickled = files["archive/data.pkl"]
    odd = [
        lambda: packed(listed, zipfile.ZIP_DEFLATED),
        lambda: packed([*listed, ("archive/data/9", b"\0" * 30_000_000)], zipfile.ZIP_DEFLATED),
        lambda: packed([(f"../../{name}", data) for name, data in listed]),
        lambda: packed([(f"/{name}", data) for name, data in listed]),
        lambda: packed([*listed, ("other/data.pkl", pickled)]),
        lambda: packed([(n, d) for n, d in listed if not n.endswith("/data/0")]),
        lambda: packed([(n, b"" if n.endswith("/data/0") else d) for n, d in listed]),
        lambda: packed([(n, b"big" if n.endswith("byteorder") else d) for n, d in listed]),
        lambda: packed([*listed, *((f"archive/x{n}", b"") for n in range(25_000))]),
        lambda: packed([("archive/data.pkl", b"")]),
        lambda: packed([]),
        lambda: TORCH + TORCH,
        lambda: b"PK\x03\x04" + TORCH,
        lambda: TORCH[:-22] + packed([])[-22:],
    ]
    return one_of(rng, odd)()


def torch_sizes(rng, marker):
    """The sizes that the archive's own directory says are others."""
    result = bytearray(TORCH)
    place = result.rfind(b"PK\x01\x02")
    for _ in range(int(rng.integers(1, 4))):
        place = result.rfind(b"PK\x01\x02", 0, place + int(rng.integers(0, 4)))
        if place < 0:
            break
        offset = place + int(one_of(rng, [8, 10, 16, 20, 24, 28, 30, 32, 42]))
        result[offset : offset + 4] = rng.bytes(4)
    return bytes(result)


TORCHES = (torch_code, torch_code, torch_pickle, torch_pickle, torch_tensor, torch_archive)


def a_torch(rng, marker):
    if rng.random() < 0.25:
        how = one_of(rng, BYTES)
        return how.__name__, how(rng, TORCH)
    make = torch_sizes if rng.random() < 0.1 else one_of(rng, TORCHES)
    return make.__name__, make(rng, marker)


KINDS = (a_json, a_safetensors, a_torch)
