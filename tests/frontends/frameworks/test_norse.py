"""What the adapters of Norse do at the edges of the recorded cases, on bare stand-ins."""

import numpy as np
import pytest
import torch

from tests.oracles.frameworks.snapshot import rebuilt
from toolchain.frontends.frameworks.adapter import UnsupportedError
from toolchain.frontends.frameworks.kinds import kind
from toolchain.frontends.frameworks.norse import LAYERS, REFUSED

CELL = "norse.torch.module.lif:LIFCell"
RECURRENT = "norse.torch.module.lif:LIFRecurrentCell"
DEFAULTS = {"tau_syn_inv": 200.0, "tau_mem_inv": 100.0, "v_leak": 0.0, "v_th": 1.0, "v_reset": 0.0}


def single(value):
    return {"tensor": np.float32(value)}


def cell(path=CELL, dt=0.001, attributes=(), **p):
    parameters = {name: single(value) for name, value in {**DEFAULTS, **p}.items()}
    values = {"object": ["norse.torch.utils.pytree:LIFParameters"], "attributes": parameters}
    return rebuilt({"classes": [path], "attributes": {"p": values, "dt": dt, **dict(attributes)}})


def fragment_of(module, features=(4,)):
    return kind(module).adapter("lif", module, features)


def test_no_class_is_both_supported_and_refused():
    assert set(LAYERS).isdisjoint(REFUSED)


def test_constants_are_rounded_as_norse_rounds_them():
    # its parameters are in single precision, and so is their product with dt
    node = fragment_of(cell(tau_mem_inv=87.654, tau_syn_inv=123.4567)).nodes["lif"]
    k_mem = np.float64(np.float32(0.001) * np.float32(87.654))
    k_syn = np.float64(np.float32(0.001) * np.float32(123.4567))
    assert node.gain == k_mem
    assert node.alpha_mem == 1 - k_mem
    assert node.alpha_syn == 1 - k_syn
    assert node.gain != 0.001 * 87.654


def test_dt_goes_with_the_layer():
    assert fragment_of(cell(dt=0.002)).dt == 0.002


SLOW = {"tau_mem_inv": 1.0, "tau_syn_inv": 1.0}


@pytest.mark.parametrize("name", SLOW)
def test_an_euler_step_that_overshoots_is_refused(name):
    with pytest.raises(UnsupportedError, match=rf"dt \* {name} is 1.125 .* lower dt or {name}"):
        fragment_of(cell(dt=0.5, **{**SLOW, name: 2.25}))


def test_the_fastest_euler_step_is_taken():
    node = fragment_of(cell(dt=0.5, tau_mem_inv=2.0, tau_syn_inv=2.0)).nodes["lif"]
    assert node.alpha_mem == 0
    assert node.alpha_syn == 0


def test_a_recurrent_diagonal_counts_as_it_stands():
    weights = {"input_weights": np.ones((3, 2)), "recurrent_weights": np.ones((3, 3))}
    values = {name: {"tensor": array} for name, array in weights.items()}
    fragment = fragment_of(cell(RECURRENT, attributes={**values, "autapses": False}), (2,))
    back = fragment.nodes["lif.recurrent_weights"]
    assert torch.from_numpy(np.array(back.weight)).equal(torch.ones(3, 3, dtype=torch.float64))
    assert [edge.delay for edge in fragment.edges if edge.delay] == [1]
