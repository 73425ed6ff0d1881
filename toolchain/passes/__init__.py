"""Passes: pure functions ``Graph -> Graph``.

A pass takes the values that it needs, not the chip. It does not change its input, and states its
requirements and guarantees. A pass keeps the nodes that it cannot rewrite; the rules of the chip
then refuse them by name.
"""

from toolchain.passes.batch_norm import fuse_batch_norm
from toolchain.passes.canonicalize import drop_identities, fold_gain
from toolchain.passes.carry_bias import carry_bias
from toolchain.passes.join import join_convolutions
from toolchain.passes.linear_to_conv import linear_to_conv
from toolchain.passes.merge import merge_weights
from toolchain.passes.pooling import fold_average_pool
from toolchain.passes.prune import prune_weights
from toolchain.passes.prune_neurons import keep_features
from toolchain.passes.quantize import quantize
from toolchain.passes.regions import merge_regions
from toolchain.passes.resting import empty_at_once, rest_at_zero
from toolchain.passes.scale import fold_scale
from toolchain.passes.sensor import fold_sensor_pool
from toolchain.passes.spike_scale import fold_spike_scale
from toolchain.passes.synapses import drop_empty_synapses
from toolchain.passes.unroll import unroll

__all__ = [
    "carry_bias",
    "drop_empty_synapses",
    "drop_identities",
    "empty_at_once",
    "fold_average_pool",
    "fold_gain",
    "fold_scale",
    "fold_sensor_pool",
    "fold_spike_scale",
    "fuse_batch_norm",
    "join_convolutions",
    "keep_features",
    "linear_to_conv",
    "merge_regions",
    "merge_weights",
    "prune_weights",
    "quantize",
    "rest_at_zero",
    "unroll",
]
