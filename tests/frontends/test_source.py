"""What extract takes besides modules, and how it refuses what is no model."""

import io
import json

import numpy as np
import pytest
import torch

from tests.frontends.files.damaged_files import ROCKPOOL
from toolchain import extract, load
from toolchain.diagnostics import ExtractError, ModelFileError
from toolchain.nn import IAF

NET = torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False), IAF())


def foreign(module, name):
    """An object of a class that is found by its name alone."""
    return type(name, (), {"__module__": module})()


def test_a_path_is_read_as_load_reads_it(tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(ROCKPOOL))
    wanted = load(path)
    for given in (path, str(path)):
        graph = extract(given)
        assert (str(graph), dict(graph.provenance)) == (str(wanted), dict(wanted.provenance))
    assert extract(wanted) is wanted
    torch.save(NET.state_dict(), tmp_path / "w.pt")
    with pytest.raises(ModelFileError, match=r"toolchain\.load\(path, factory="):
        extract(tmp_path / "w.pt")


REFUSED = {
    "module alone": (NET, "a torch module needs sample=, an input as its own forward takes it"),
    "class": (IAF, "got the class IAF; give an instance of it, IAF(...)"),
    "weights": (NET.state_dict(), "got OrderedDict; a state_dict holds weights only: load it into"),
    "layers": ([NET], "got list; give torch.nn.Sequential(*layers)"),
    "tensor": (torch.ones(3), "got Tensor: it is a tensor, not a network; give the module, and"),
    "array": (np.ones(3), "got ndarray: it is an array, not a network; give the module, and the"),
    "function": (len, "a function; give the torch module that it calls or builds"),
    "open file": (io.BytesIO(), "got BytesIO, an open file; give its path"),
    "nothing": (None, "got None"),
    "onnx": (foreign("onnx.onnx_ml_pb2", "ModelProto"), "it is an ONNX model, which contains no"),
    "nir node": (foreign("nir.ir.linear", "Linear"), "it is one node of NIR; give the whole"),
    "jax": (foreign("rockpool.nn.modules.jax", "LIFJax"), "the modules whose names end in Torch"),
    "keras": (foreign("keras.src.models", "Sequential"), "contains no spiking neurons; build"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_model_is_named_with_what_to_give(name):
    model, message = REFUSED[name]
    with pytest.raises(ExtractError) as caught:
        extract(model)
    assert message in str(caught.value)
