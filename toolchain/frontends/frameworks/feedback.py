"""Recurrent connections of a layer of neurons: any linear layers, as one dense weight."""

from __future__ import annotations

import copy
from math import prod

import torch
from torch import Tensor, nn

from toolchain.arrays import Shape
from toolchain.frontends.frameworks.adapter import Fragment, UnsupportedError
from toolchain.frontends.frameworks.torch_nodes import dense
from toolchain.ir import Add, Edge, Flatten, Node, Reshape

__all__ = ["dense_feedback", "loop"]

_LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.AvgPool2d, nn.BatchNorm1d, nn.BatchNorm2d)
_SAME = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
_MOST = 2**24


def dense_feedback(module: nn.Module, features: Shape) -> list[Node]:
    """Return the nodes of ``rec_connect``: a dense weight, between reshapes if axes are several.

    Args:
        module: the recurrent connection; taken as in evaluation mode.
        features: of the layer; its output is given this shape.

    Raises:
        UnsupportedError: a layer that is not linear, another number of outputs than inputs, or a
            matrix that is too large.
    """
    if type(module) is nn.Linear and len(features) == 1:
        return dense(module.weight, module.bias)
    _check(module)
    neurons = prod(features)
    if neurons**2 > _MOST:
        raise UnsupportedError(
            f"rec_connect connects {neurons} neurons, a matrix of more than {_MOST} numbers; use "
            "fewer neurons"
        )
    weight, bias = _matrix(module, features)
    if weight.shape[0] != neurons:
        raise UnsupportedError(
            f"rec_connect gives {weight.shape[0]} numbers for {neurons} neurons; it must give one "
            "for each"
        )
    nodes = dense(weight, bias if bool(bias.any()) else None)
    return nodes if len(features) == 1 else [Flatten(), *nodes, Reshape(shape=features)]


def _check(module: nn.Module) -> None:
    """Raise UnsupportedError unless every layer in ``module`` is linear."""
    layers = [m for m in module.modules() if type(m) is not nn.Sequential]
    other = [type(m).__name__ for m in layers if type(m) not in (*_LINEAR, *_SAME)]
    if other:
        raise UnsupportedError(
            f"rec_connect is or contains {', '.join(sorted(set(other)))}; supported are nn.Linear, "
            "nn.Conv2d, nn.Flatten, nn.Unflatten and nn.Sequential of them; put other layers "
            "outside of the feedback"
        )


def _matrix(module: nn.Module, features: Shape) -> tuple[Tensor, Tensor]:
    """Return weight (outputs, inputs) and bias of linear layers, from the outputs of single ones.

    The weight comes from a copy without biases, so that no number of it is rounded.
    """
    neurons = prod(features)
    module = copy.deepcopy(module).eval()
    plain = copy.deepcopy(module)
    like = next(module.parameters(), torch.empty(0, dtype=torch.double))
    with torch.no_grad():
        bias = module(like.new_zeros(1, *features)).flatten()
        for layer in plain.modules():
            for name in ("bias", "running_mean"):
                value = getattr(layer, name, None)
                if value is not None:
                    value.zero_()
        ones = torch.eye(neurons, dtype=like.dtype).reshape(neurons, *features)
        weight = torch.cat([plain(part).flatten(1) for part in torch.split(ones, 256)])
    return weight.T.contiguous(), bias


def loop(
    name: str, neuron: Node, back: str, weight: list[Node], dt: float | None = None
) -> Fragment:
    """Return ``neuron`` with its spikes fed back through ``weight``, one step later.

    The delay comes after the weight, so that the weight's bias does not act in the first step.
    """
    add, row = f"{name}.add", Fragment.chain(back, weight)
    return Fragment(
        nodes={add: Add(), name: neuron, **row.nodes},
        edges=(
            *(Edge(add, name), Edge(name, row.entry)),
            *(*row.edges, Edge(row.exit, add, delay=1)),
        ),
        entry=add,
        exit=name,
        dt=dt,
    )
