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


class Network:
    """The same layers as a user of sinabs runs them: 32-bit floats, no gradients, no recording.

    32-bit floats hold the sums of small networks exactly; who compares times compares spikes too.
    """

    def __init__(self, program, raster):
        self.program, self.batch = program, raster.shape[0]
        self.raster = torch.as_tensor(raster, dtype=torch.float32)
        self.weights = {core.name: _convolution(core).float() for core in program.cores}
        self.neurons = {
            core.name: _neurons(core, self.batch, dtype=torch.float32, record=False)
            for core in program.cores
        }

    def run(self):
        """Spikes of the last core, (batch, steps, channels); every run starts from zero."""
        with torch.no_grad():
            sent = {None: self.raster.flatten(0, 1)}
            for core in self.program.cores:
                neurons = self.neurons[core.name]
                neurons.reset_states()
                arriving = sum(
                    _pool(sent[source.name if source else None], target.pooling)
                    for source, target in self.program.sources(core.name)
                )
                sent[core.name] = neurons(self.weights[core.name](arriving))
        last = sent[self.program.cores[-1].name]
        return last.reshape(self.batch, -1, last.shape[1]).numpy()


def _convolution(core):
    outputs, inputs, *kernel = core.weight.shape
    layer = torch.nn.Conv2d(
        inputs, outputs, kernel, core.stride, core.padding, bias=core.bias is not None
    ).double()
    layer.weight.data = torch.as_tensor(core.weight.astype(np.float64))
    if core.bias is not None:
        layer.bias.data = torch.as_tensor(core.bias.astype(np.float64))
    return layer.requires_grad_(False)


def _neurons(core, batch, *, dtype=torch.float64, record=True):
    layer = sl.IAFSqueeze(
        batch_size=batch,
        spike_threshold=torch.tensor(float(core.threshold_high), dtype=dtype),
        min_v_mem=float(core.threshold_low),
        reset_fn=MembraneReset() if core.return_to_zero else MembraneSubtract(),
        record_states=record,
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
