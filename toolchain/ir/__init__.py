"""The intermediate representation (IR): a trained network as a graph of float operations.

``nodes``, ``neuron`` and ``sensor`` hold the frozen node types, ``graph`` joins them.
"""

from toolchain.ir.graph import Edge, Graph
from toolchain.ir.neuron import (
    Membrane,
    MembraneReadout,
    Neuron,
    decay,
    membrane_of,
    time_constant,
)
from toolchain.ir.nodes import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    Identity,
    Input,
    Linear,
    Node,
    Output,
    Scale,
    SumPool2d,
)
from toolchain.ir.sensor import Sensor

__all__ = [
    "Add",
    "AvgPool2d",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
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
    "Scale",
    "Sensor",
    "SumPool2d",
    "decay",
    "membrane_of",
    "time_constant",
]
