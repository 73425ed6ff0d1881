"""What sinabs' own layers do with the integers of a Speck program.

Plain ``torch`` convolutions, ``IAFSqueeze`` and ``SumPool2d`` in 64-bit floats, in which sums of
integers are exact. Nothing of sinabs' chip backend is imported (it would load samna).
"""

import numpy as np
import sinabs.layers as sl
import torch
from sinabs.activation import MembraneReset, MembraneSubtract


def run(program, raster):
    """Spikes and membranes by layer, int64 (batch, steps, channels, y, x) each."""
    batch, steps = raster.shape[:2]
    sent = {None: torch.as_tensor(raster.astype(np.float64)).flatten(0, 1)}
    spikes, v_mem = {}, {}
    for core in program.cores:
        arriving = sum(
            _pool(sent[source.name if source else None], target.pooling)
            for source, target in program.sources(core.name)
        )
        neurons = _neurons(core, batch)
        sent[core.name] = neurons(_convolution(core)(arriving)).double()  # it spikes in 32 bits
        spikes[core.name] = _whole(sent[core.name]).reshape(batch, steps, *core.output_shape)
        v_mem[core.name] = _whole(neurons.recordings["v_mem"])
    return spikes, v_mem


def _convolution(core):
    outputs, inputs, *kernel = core.weight.shape
    layer = torch.nn.Conv2d(
        inputs, outputs, kernel, core.stride, core.padding, bias=core.bias is not None
    ).double()
    layer.weight.data = torch.as_tensor(core.weight.astype(np.float64))
    if core.bias is not None:
        layer.bias.data = torch.as_tensor(core.bias.astype(np.float64))
    return layer.requires_grad_(False)


def _neurons(core, batch):
    layer = sl.IAFSqueeze(
        batch_size=batch,
        spike_threshold=torch.tensor(float(core.threshold_high), dtype=torch.float64),
        min_v_mem=float(core.threshold_low),
        reset_fn=MembraneReset() if core.return_to_zero else MembraneSubtract(),
        record_states=True,
    )
    layer.init_state_with_shape((batch, *core.output_shape))
    layer.reset_states()
    if core.initial is not None:
        layer.v_mem[:] = torch.as_tensor(core.initial.astype(np.float32))
    return layer


def _pool(counts, side):
    return counts if side == 1 else sl.SumPool2d(side)(counts)


def _whole(values):
    values = values.detach().numpy()
    whole = np.rint(values).astype(np.int64)
    assert np.array_equal(whole, values), "the oracle left the whole numbers"
    return whole
