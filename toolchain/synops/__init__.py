"""Counts of synaptic operations and spikes of a network while it runs, and losses on the counts.

A synaptic operation (synop) is one spike passing one synapse. Hooks count synops per timestep, mean
over timesteps and samples, with dt in seconds; ``SNNAnalyzer`` counts synops per sample, over its
whole length, with dt in milliseconds.
"""

from toolchain.extras import needed_by

with needed_by("toolchain.synops"):
    from toolchain.synops.analyzer import SNNAnalyzer
    from toolchain.synops.counter import SynOpCounter
    from toolchain.synops.data import get_hook_data_dict
    from toolchain.synops.hooks import SynopsHooks, register_synops_hooks
    from toolchain.synops.layer_hooks import (
        conv_connection_map,
        conv_layer_synops_hook,
        firing_rate_hook,
        firing_rate_per_neuron_hook,
        input_diff_hook,
        linear_layer_synops_hook,
    )
    from toolchain.synops.losses import firing_rate_loss, layer_synops_loss, total_synops_loss

__all__ = [
    "SNNAnalyzer",
    "SynOpCounter",
    "SynopsHooks",
    "conv_connection_map",
    "conv_layer_synops_hook",
    "firing_rate_hook",
    "firing_rate_loss",
    "firing_rate_per_neuron_hook",
    "get_hook_data_dict",
    "input_diff_hook",
    "layer_synops_loss",
    "linear_layer_synops_hook",
    "register_synops_hooks",
    "total_synops_loss",
]
