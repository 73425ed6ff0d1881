"""The intermediate representation (IR): a trained network as a graph of float operations.

``nodes``, ``features``, ``maps``, ``transposed``, ``neuron`` and ``sensor`` hold the frozen node
types, ``graph`` joins them.
"""

from toolchain.ir.features import Flatten, Pad, Permute, Reshape
from toolchain.ir.graph import Edge, Graph
from toolchain.ir.maps import AvgPool2d, Conv1d, Conv2d, SumPool2d
from toolchain.ir.neuron import Membrane, MembraneReadout, Neuron, decay, membrane_of, time_constant
from toolchain.ir.nodes import Add, BatchNorm, Identity, Input, Linear, Node, Output, Scale
from toolchain.ir.sensor import Sensor
from toolchain.ir.transposed import ConvTranspose1d, ConvTranspose2d

__all__ = [
    "Add",
    "AvgPool2d",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Edge",
    "Flatten",
    "Graph",
    "Identity",
    "Input",
    "Linear",
    "Membrane",
    "MembraneReadout",
    "Neuron",
    "Node",
    "Output",
    "Pad",
    "Permute",
    "Reshape",
    "Scale",
    "Sensor",
    "SumPool2d",
    "decay",
    "membrane_of",
    "time_constant",
]
