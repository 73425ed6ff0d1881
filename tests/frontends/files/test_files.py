"""A file is told by its content, and what is not read is refused by what it is."""

import gzip
import io
import json
import logging
import os
import pickle
import subprocess
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save as safetensors_bytes
from torch import nn as torch_nn

import toolchain
from tests.cases import each
from tests.frontends.files.damaged_files import ROCKPOOL, packed, saved
from toolchain import deploy, load, nn
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.files.contents import MAX_BYTES, FileKind, identify

WEIGHTS = {"w": torch.ones(2)}


def refusal(path, **given):
    """The message without the path, which every message starts with."""
    with pytest.raises(ModelFileError) as caught:
        load(path, **given)
    message = str(caught.value)
    assert message.startswith(str(path))
    return message.removeprefix(f"{path}: ")


def hdf5():
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["version"] = "1"
    return out.getvalue()


KNOWN = {
    FileKind.NIR: hdf5(),
    FileKind.JSON: json.dumps(ROCKPOOL).encode(),
    FileKind.SAFETENSORS: safetensors_bytes(WEIGHTS),
    FileKind.TORCH: saved(WEIGHTS),
}


@each("kind", KNOWN)
@each("name", ["x.nir", "x.json", "x.safetensors", "x.pt", "x", "x.png"])
def test_the_name_says_nothing(kind, name, tmp_path):
    (tmp_path / name).write_bytes(KNOWN[kind])
    assert identify(tmp_path / name).kind is kind


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\n \t", b"\r\n" * 200])
def test_json_may_start_with_white_space(start, tmp_path):
    (tmp_path / "x").write_bytes(start + b'{"a": 1}')
    assert identify(tmp_path / "x").kind is FileKind.JSON


def tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return out.getvalue()


def npz():
    out = io.BytesIO()
    np.savez(out, np.ones(2))
    return out.getvalue()


def npy():
    out = io.BytesIO()
    np.save(out, np.ones(2))
    return out.getvalue()


def npy_of_events():
    out = io.BytesIO()
    fields = [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]
    np.save(out, np.zeros(3, np.dtype(fields)))
    return out.getvalue()


def npz_of_events():
    out = io.BytesIO()
    np.savez(out, **dict.fromkeys("xytp", np.ones(2)))
    return out.getvalue()


def tree(**members):
    """An HDF5 file with these groups and arrays at its top."""
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for name, value in members.items():
            file[name] = value
    return out.getvalue()


def scripted():
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions of torch deprecate it
        torch.jit.save(torch.jit.script(torch_nn.Linear(2, 2)), out)
    return out.getvalue()


def legacy(thing=WEIGHTS):
    out = io.BytesIO()
    torch.save(thing, out, _use_new_zipfile_serialization=False)
    return out.getvalue()


ONNX = b"\x08\x07\x12\x07pytorch\x1a\x051.0.0:\x02"
FOREIGN = {
    "is empty": b"",
    "contains only white space": b" \n\n",
    "is a TorchScript archive": scripted,
    "is a program of torch.export": lambda: packed([("x/archive_format", b"pt2")]),
    "is a zip archive without a model": lambda: packed([("a.txt", b"")]),
    "is an empty zip archive": lambda: packed([]),
    "is a damaged zip archive": b"PK\x03\x04 and no more",
    "is a Keras model": lambda: packed([("model.weights.h5", b"")]),
    "is an archive of numpy arrays (arr_0), which do not describe a network; save weights": npz,
    "is an archive of numpy arrays of events, a recording of events, no network": npz_of_events,
    "is a numpy array of events, a recording of events, no network": npy_of_events,
    "is an AEDAT file, a recording of events": b"#!AER-DAT4.0\r\n\0\1",
    "is a DAT file, a recording of events": b"% Data file containing CD events.\n% Version 2\n\0",
    "is a RAW file, a recording of events": b"% evt 3.0\n% end\n\0",
    "is an event stream, a recording of events": b"Event Stream\2\0",
    "is a table of events, a recording of events": b"x,y,t,p\n1,2,3,1\n",
    "is a recording of sound, no network": b"RIFF\0\0\0\0WAVEfmt ",
    "is a MATLAB file": b"MATLAB 5.0 MAT-file",
    "is a chip file; give it to load_chip(path) or as chip=path": b"name: x\nfamily: toy\n",
    "is Python code of another simulator": b"import numpy\nfrom brian2 import *\n",
    "is the manifest of a saved deployment": b'{"format": "x/1", "sha256": {}, "chip": "c"}',
    "is a configuration as a vendor's library writes it, in a layout that": b'{"value0": {"a": 1}}',
    "is a Keras model, which contains no spiking neurons": b'{"class_name": "M", "config": {}}',
    "is a graph as JSON; save it as NIR": b'{"nodes": {}, "edges": []}',
    "/node: missing group; the file has layer, as in a network of lava-dl (.net)": lambda: tree(
        **{"layer/0/weight": np.ones((2, 2))}
    ),
    "/node: missing group; the file has events, as in a recording of events": lambda: tree(
        **{"events/x": np.ones(2)}
    ),
    "/node: missing group; the file has fc.weight, as in weights alone": lambda: tree(
        **{"fc.weight": np.ones(2)}
    ),
    "is an office document": lambda: packed([("[Content_Types].xml", b"")]),
    "is one numpy array": npy,
    "uses the torch.save format from before torch 1.6": legacy,
    "is a plain pickle, which can run code when it is loaded": lambda: pickle.dumps({"a": 1}),
    "is a plain pickle, which can run code": lambda: pickle.dumps({"a": 1}, protocol=0),
    "is an ONNX model": ONNX,
    "is a TensorFlow Lite model": b"\x1c\0\0\0TFL3\0\0",
    "is compressed with gzip; unpack it first": lambda: gzip.compress(b"x"),
    "is text in UTF-16; save it as UTF-8": lambda: "{}".encode("utf-16"),
    "is a tar archive": tar,
    "is a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n",
    "is a web page; the download may have failed": b"\n<!DOCTYPE html><html>404</html>",
    "is an image (PNG)": b"\x89PNG\r\n\x1a\n",
    "is an image (JPEG)": b"\xff\xd8\xff\xe0",
    "is a PDF document": b"%PDF-1.4",
    "is an executable": b"\x7fELF\x02",
    'is text starting with "import torch"': b"import torch\nnet = 3\n",
    'is text starting with "[1, 2]"': b"[1, 2]",
    "has an unknown format (starts with 00 01 02)": b"\0\1\2",
}


@pytest.mark.parametrize("message", FOREIGN)
def test_what_is_not_read_is_refused_by_what_it_is(message, tmp_path):
    content = FOREIGN[message]
    (tmp_path / "model.nir").write_bytes(content() if callable(content) else content)
    assert refusal(tmp_path / "model.nir").startswith(message)


def test_a_recording_without_a_header_is_named_by_the_end_of_its_name(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"\0\1\2\3\4" * 20)
    assert refusal(tmp_path / "x.bin").endswith(
        "; if it is a recording of events, no network; read it into arrays with fields x, y, t, p "
        "and give them to simulate()"
    )


def test_an_export_of_torch_is_told_apart_from_weights(tmp_path):
    program = torch.export.export(torch_nn.Linear(2, 2), (torch.zeros(1, 2),))
    torch.export.save(program, tmp_path / "x.pt2")
    assert refusal(tmp_path / "x.pt2").startswith("is a program of torch.export")


def test_what_is_no_file_is_refused(tmp_path):
    assert refusal(tmp_path / "none") == "No such file or directory"
    assert refusal(tmp_path).startswith("is a folder but not a saved deployment")
    (tmp_path / "w.safetensors").touch()
    assert refusal(tmp_path).endswith("pass the network file in it, such as w.safetensors")
    (tmp_path / "saved_model.pb").touch()
    assert refusal(tmp_path).startswith(
        "is a folder with saved_model.pb: a TensorFlow SavedModel, which contains no spiking"
    )
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "is not a regular file"
    with pytest.raises(ModelFileError, match="embedded null byte"):
        load("a\0b")
    for other in (b"net.json", None, 3, io.BytesIO(b"{}"), {}):
        with pytest.raises(ModelFileError, match="path must be the path of a file, got "):
            load(other)


def test_a_file_is_not_read_beyond_the_limit(tmp_path):
    for name, size in (("fits", MAX_BYTES), ("one_more", MAX_BYTES + 1)):
        (tmp_path / name).write_bytes(b"{")
        os.truncate(tmp_path / name, size)
    assert identify(tmp_path / "fits").kind is FileKind.JSON
    assert refusal(tmp_path / "one_more").startswith(
        "is larger than the limit of 134 217 728 bytes"
    )


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (
            FileKind.JSON,
            {"dialect": "euler"},
            "is a JSON file; dialect= applies only to a NIR file",
        ),
        (
            FileKind.TORCH,
            {"reset": "value"},
            "is a file of torch.save; reset= applies only to a NIR file",
        ),
        (
            FileKind.NIR,
            {"factory": "a:b"},
            "is a NIR file; factory= applies only to a JSON file and",
        ),
    ],
)
def test_arguments_for_another_kind_of_file_are_refused(kind, given, message, tmp_path):
    (tmp_path / "x").write_bytes(KNOWN[kind])
    assert refusal(tmp_path / "x", **given).startswith(message)


def test_a_saved_deployment_gives_its_float_graph(tmp_path):
    torch.manual_seed(0)
    model = torch_nn.Sequential(torch_nn.Linear(4, 3, bias=False), nn.IAF())
    sample = torch.randint(0, 2, (1, 8, 4)).float()
    deployment = deploy(model, "speck", sample=sample, dt=1e-3)
    deployment.save(tmp_path / "net")
    graph = load(tmp_path / "net")
    assert str(graph) == str(deployment.graph)
    assert load(tmp_path / "net", dt=2e-3).dt == 2e-3
    for part in ("program.json", "graph.safetensors"):
        assert refusal(tmp_path / "net" / part) == (
            "is a part of a saved deployment; give the folder to toolchain.Deployment.load, or to "
            "load for its network"
        )
    (tmp_path / "net" / "mine.json").write_bytes(KNOWN[FileKind.JSON])
    assert load(tmp_path / "net" / "mine.json").nodes
    (tmp_path / "net" / "graph.json").write_text("{}")
    assert "its hash differs" in refusal(tmp_path / "net")


@pytest.mark.parametrize("manifest", ['{"name": "my page"}', '{"format": "1"}', "[1]", "no JSON"])
def test_a_manifest_of_another_program_beside_a_file_does_not_matter(manifest, tmp_path):
    (tmp_path / "manifest.json").write_text(manifest)
    (tmp_path / "net.json").write_bytes(KNOWN[FileKind.JSON])
    assert load(tmp_path / "net.json").nodes


@pytest.mark.parametrize("found", ["true", "3", "[1]"])
def test_json_of_another_program_is_not_taken_for_a_network_of_rockpool(found, tmp_path):
    (tmp_path / "x").write_text(f'{{"layers": {{"a": "1"}}, "enable": {found}}}')
    assert "enable is " in refusal(tmp_path / "x")
    assert "expected a string as rockpool writes it" in refusal(tmp_path / "x")


def test_names_in_a_message_cannot_steer_a_terminal(tmp_path):
    (tmp_path / "x").write_text('{"\\u001b[2J\\ud800": "1", "b": {"c": "1"}}')
    assert r"the name \x1b[2J\ud800 is not printable" in refusal(tmp_path / "x")


@pytest.mark.parametrize(
    "found",
    ['{"a\\nb": "1"}', '{"0_LinearTorch": {"a\\nb": "1"}}', '{"a\\nb": {"c": "1"}, "d": "1"}'],
)
def test_names_in_a_message_cannot_imitate_lines(found, tmp_path):
    path = tmp_path / "a\nb.json"
    path.write_text(found)
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert str(caught.value).count("\n") == 0
    assert r"a\nb.json: is not a valid file of" in str(caught.value)
    torch.save({"weight": torch.ones(1), "a\nb": torch.ones(1)}, path)
    with pytest.raises(ModelFileError, match=r"a.nb.json: contains the name a.nb, which") as caught:
        load(path, factory="a:b")
    assert str(caught.value).count("\n") == 0


def test_it_is_public_and_deploy_takes_a_path(tmp_path):
    assert toolchain.load is load
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(ModelFileError, match="is empty"):
        deploy(tmp_path / "x", "speck")


def test_nothing_is_logged_about_a_file_that_is_not_unpickled(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "toolchain")
    (tmp_path / "x").write_bytes(pickle.dumps(zipfile.ZipFile))
    refusal(tmp_path / "x", trust_pickle=True)
    assert not caplog.records


def test_networks_and_chips_are_read_without_compiled_code(tmp_path):
    (tmp_path / "net.json").write_text('{"0_LinearTorch": {"weight": "[[0.5], [0.25]]"}}')
    code = (
        "import sys, toolchain; toolchain.load('net.json', dt=1e-3); "
        "[toolchain.load_chip(name) for name in ('speck2f', 'xylo_a2')]; "
        "print('numba' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(toolchain.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
