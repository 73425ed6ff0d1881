"""The conformance matrix of sinabs; needs requirements-sinabs.txt.

sinabs' sensor layer lives in a package that imports the chip vendor's samna, which is never
imported: empty modules stand in for it.
"""

import sys
from functools import partial
from pathlib import Path

import sinabs
import sinabs.activation as sa
import sinabs.layers as sl
import torch
from sinabs.from_torch import from_model
from torch import nn

from tests.oracles.frameworks import forms
from tests.oracles.frameworks.harness import BATCH, NEURONS, TIME, Case, main

sys.path.insert(0, str(Path(__file__).parent.parent))
from dvs_vectors_sinabs import Finder

sys.meta_path.insert(0, Finder())
from sinabs.backend.dynapcnn.crop2d import Crop2d  # noqa: E402
from sinabs.backend.dynapcnn.dvs_layer import DVSLayer  # noqa: E402
from sinabs.backend.dynapcnn.flipdims import FlipDims  # noqa: E402

N = NEURONS


def uniform(low, high):
    """One constant a neuron."""
    return torch.empty(N).uniform_(low, high)


def dense(layer, gain=1.5):
    """A linear layer before ``layer``, which is built by a function."""
    linear = nn.Linear(N, N)
    with torch.no_grad():
        linear.weight.mul_(gain)
    return nn.Sequential(linear, layer())


def neuron(kind, *arguments, gain=1.5, **options):
    """What builds a linear layer and a neuron layer; options may be functions."""

    def build():
        given = {k: v() if isinstance(v, partial) else v for k, v in options.items()}
        return dense(lambda: kind(*arguments, **given), gain)

    return build


def recurrent(kind, **options):
    """A neuron layer with a linear one from its spikes to its input."""

    def build():
        return dense(lambda: kind(rec_connect=scaled(nn.Linear(N, N), 0.3), **options))

    return build


def fed_back(*layers, **options):
    """Build neurons with several layers from their spikes to their input, on two axes."""

    def build():
        back = scaled(nn.Sequential(nn.Flatten(), *(layer() for layer in layers)), 0.3)
        neurons = sl.LIFRecurrent(rec_connect=back, **options)
        dense = scaled(nn.Linear(N, N), 1.5)
        return nn.Sequential(dense, nn.Unflatten(2, (2, N // 2)), neurons, nn.Flatten(2))

    return build


def squeezed(kind, how, **options):
    """A Squeeze layer, which takes (batch * time, ...)."""
    return neuron(kind, **how, **options)


def used_before():
    """Layers that hold the states of another batch size."""
    model = neuron(sl.LIF, tau_mem=10.0, tau_syn=4.0, norm_input=False)()
    model(torch.rand(5, 7, N))
    return model


def scaled(model, gain):
    """``model`` with larger weights."""
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.mul_(gain)
    return model


def images(*layers):
    """Layers on rows of images, between batch and time as axes of their own."""
    return nn.Sequential(sl.FlattenTime(), *layers, sl.UnflattenTime(BATCH))


def converted():
    """A convolutional network as from_model turns it out."""
    relus = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False),
        nn.ReLU(),
        sl.SumPool2d(2),
        nn.Conv2d(6, 8, 3, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8, 16, bias=False),
        nn.ReLU(),
    )
    return scaled(from_model(relus, batch_size=BATCH), 2.0)


class Branched(nn.Module):
    """Two branches that merge, behind a repeated layer."""

    def __init__(self):
        super().__init__()
        self.first = sl.Repeat(nn.Conv2d(2, 3, 3, padding=1))
        self.spikes = sl.IAF(min_v_mem=-1.0)
        self.rows = sl.FlattenTime()
        self.left, self.right = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3)
        self.merge = sl.Merge()
        self.last = sl.IAFSqueeze(num_timesteps=TIME, min_v_mem=-1.0)
        self.timed = sl.UnflattenTime(BATCH)

    def forward(self, x):
        x = self.rows(self.spikes(self.first(x)))
        return self.timed(self.last(self.merge(self.left(x), self.right(x))))


def camera():
    """The sensor layer with every option, and a layer behind it."""
    dvs = DVSLayer((8, 8), pool=(2, 1), crop=((0, 4), (1, 7)), flip_x=True, swap_xy=True)
    return images(dvs, scaled(nn.Conv2d(2, 4, 3), 2.0), sl.IAFSqueeze(batch_size=BATCH))


def cropped(crop, channels=2):
    """What builds ``crop`` and layers behind it."""
    return lambda: images(
        *(sl.ChannelShift(), crop),
        *(scaled(nn.Conv2d(channels, 4, 3), 4.0), sl.IAFSqueeze(batch_size=BATCH)),
    )


def between(form):
    """Return a function that builds two layers of neurons with ``form`` between."""

    def build():
        conv = scaled(nn.Conv2d(2, 4, 3, padding=1), 2.0)
        last = sl.LIFSqueeze(tau_mem=9.0, norm_input=False, batch_size=BATCH)
        return images(conv, sl.IAFSqueeze(batch_size=BATCH, min_v_mem=-1.0), form(), last)

    return build


PLAIN = {"tau_mem": 10.0, "norm_input": False}
ALIF = {"tau_mem": 10.0, "tau_adapt": 5.0}
LOW = {"tau_mem": 10.0, "spike_threshold": torch.tensor(0.07)}

PASSING = [
    ("IAF", neuron(sl.IAF), {}),
    ("IAF real input", sl.IAF, {"input": "real"}),
    ("IAF min_v_mem", neuron(sl.IAF, min_v_mem=-0.25), {}),
    ("IAF tau_syn", neuron(sl.IAF, tau_syn=4.0, gain=0.7), {}),
    ("IAF MaxSpike", neuron(sl.IAF, spike_fn=sa.MaxSpike(2), gain=6.0), {}),
    ("IAF SingleSpike", neuron(sl.IAF, spike_fn=sa.SingleSpike, gain=3.0), {}),
    ("IAF MembraneSubtract", neuron(sl.IAF, reset_fn=sa.MembraneSubtract(0.75)), {}),
    ("IAF MembraneReset", neuron(sl.IAF, reset_fn=sa.MembraneReset()), {}),
    ("IAF MembraneReset value", neuron(sl.IAF, reset_fn=sa.MembraneReset(0.0625)), {}),
    ("IAF vector threshold", neuron(sl.IAF, spike_threshold=partial(uniform, 0.4, 2)), {}),
    ("LIF norm_input", neuron(sl.LIF, **LOW), {}),
    ("LIF", neuron(sl.LIF, **PLAIN), {}),
    ("LIF tau_syn", neuron(sl.LIF, tau_syn=4.0, **PLAIN), {}),
    ("LIF tau_syn norm_input", neuron(sl.LIF, tau_syn=4.0, **LOW), {}),
    (
        "LIF vectors",
        neuron(
            sl.LIF,
            tau_mem=partial(uniform, 2, 30),
            tau_syn=partial(uniform, 2, 9),
            min_v_mem=partial(uniform, -1, -0.1),
            norm_input=False,
        ),
        {},
    ),
    ("LIF train_alphas", neuron(sl.LIF, train_alphas=True, tau_syn=3.0, **PLAIN), {}),
    (
        "LIF everything",
        neuron(
            sl.LIF,
            tau_syn=3.0,
            min_v_mem=-0.5,
            spike_fn=sa.MaxSpike(3),
            reset_fn=sa.MembraneSubtract(0.8),
            **PLAIN,
        ),
        {},
    ),
    ("LIF used before", used_before, {"reset": sinabs.reset_states}),
    ("ExpLeak", neuron(sl.ExpLeak, tau_mem=12.0), {}),
    ("ExpLeak norm_input", neuron(sl.ExpLeak, tau_mem=12.0, norm_input=True), {}),
    ("IAFRecurrent", recurrent(sl.IAFRecurrent, min_v_mem=-1.0), {}),
    ("LIFRecurrent", recurrent(sl.LIFRecurrent, **PLAIN), {}),
    ("LIFRecurrent tau_syn", recurrent(sl.LIFRecurrent, tau_syn=4.0, **PLAIN), {}),
    (
        "IAFRecurrent Sequential",
        lambda: dense(lambda: sl.IAFRecurrent(nn.Sequential(scaled(nn.Linear(N, N), 0.3)))),
        {},
    ),
    (
        "LIFRecurrent Flatten Linear",
        fed_back(partial(nn.Linear, N, N), **PLAIN),
        {},
    ),
    (
        "LIFRecurrent Linear Linear Unflatten",
        fed_back(
            *(partial(nn.Linear, N, 4), partial(nn.Linear, 4, N), nn.Dropout),
            partial(nn.Unflatten, 1, (2, N // 2)),
            **PLAIN,
        ),
        {},
    ),
    (
        "IAFRecurrent Conv2d",
        lambda: nn.Sequential(
            sl.Repeat(nn.Conv2d(2, 2, 3, padding=1)),
            sl.IAFRecurrent(scaled(nn.Conv2d(2, 2, 3, padding=1), 0.5), min_v_mem=-1.0),
        ),
        {"input": "image"},
    ),
    ("IAFSqueeze", squeezed(sl.IAFSqueeze, {"batch_size": BATCH}), {"layout": "rows"}),
    ("LIFSqueeze", squeezed(sl.LIFSqueeze, {"num_timesteps": TIME}, **PLAIN), {"layout": "rows"}),
    (
        "ExpLeakSqueeze",
        squeezed(sl.ExpLeakSqueeze, {"batch_size": BATCH}, tau_mem=12.0),
        {"layout": "rows"},
    ),
    ("conv net from_model", converted, {"input": "image", "layout": "rows"}),
    ("Repeat and Merge", Branched, {"input": "image"}),
    ("DVSLayer", camera, {"input": "image"}),
    ("Cropping2dLayer", cropped(sl.Cropping2dLayer(((1, 2), (0, 3)))), {"input": "image"}),
    ("Crop2d", cropped(Crop2d(((2, 7), (0, 5)))), {"input": "image"}),
    ("ChannelShift", cropped(sl.ChannelShift(2), 4), {"input": "image"}),
    ("ChannelShift negative", cropped(sl.ChannelShift(-1), 1), {"input": "image"}),
    ("FlipDims", cropped(FlipDims(flip_x=True, swap_xy=True)), {"input": "image"}),
    ("linear layers between neurons", between(forms.Layers), {"input": "image"}),
    ("linear functions between neurons", between(forms.Functions), {"input": "image"}),
    ("SumPool2d ceil_mode", cropped(sl.SumPool2d(2, ceil_mode=True)), {"input": "image"}),
]

ADAPTIVE = "its threshold adapts to its spikes, which no supported chip can do; use LIF"
SPIKE_FN = "supported are MultiSpike, MaxSpike and SingleSpike"


class Doubled(sl.IAF):
    """A subclass that computes something else."""

    def forward(self, data):
        return super().forward(2 * data)


REFUSED = [
    ("ALIF", neuron(sl.ALIF, 10.0, 5.0), f"layer '1' (ALIF): {ADAPTIVE}"),
    (
        "NeuromorphicReLU",
        lambda: dense(sl.NeuromorphicReLU),
        "layer '1' (NeuromorphicReLU): not spiking; convert the network with "
        "sinabs.from_torch.from_model first",
    ),
    (
        "ALIFRecurrent",
        recurrent(sl.ALIFRecurrent, **ALIF),
        f"layer '1' (ALIFRecurrent): {ADAPTIVE}",
    ),
    (
        "rec_connect ReLU",
        lambda: dense(lambda: sl.IAFRecurrent(nn.Sequential(nn.Linear(N, N), nn.ReLU()))),
        "layer '1' (IAFRecurrent): rec_connect is or contains ReLU; supported are nn.Linear, "
        "nn.Conv2d, nn.Flatten, nn.Unflatten and nn.Sequential of them; put other layers outside "
        "of the feedback",
    ),
    (
        "SpikingMaxPooling2dLayer",
        lambda: images(sl.SpikingMaxPooling2dLayer((2, 2)), sl.IAFSqueeze(batch_size=BATCH)),
        "layer '1' (SpikingMaxPooling2dLayer): a maximum is not a sum of spikes; use SumPool2d or "
        "nn.AvgPool2d",
    ),
    (
        "QuantizeLayer",
        lambda: nn.Sequential(sl.QuantizeLayer(), nn.Linear(N, N), sl.IAF()),
        "layer '0' (QuantizeLayer): it rounds numbers down, and spikes are whole numbers; leave it "
        "out",
    ),
    (
        "spike_fn of the user's own",
        neuron(sl.IAF, spike_fn=type("Mine", (sa.MultiSpike,), {"__module__": "mine"})),
        f"layer '1' (IAF): spike_fn is Mine; {SPIKE_FN}",
    ),
    (
        "reset_fn of the user's own",
        neuron(sl.IAF, reset_fn=type("Half", (sa.MembraneSubtract,), {"__module__": "mine"})()),
        "layer '1' (IAF): reset_fn is Half; supported are MembraneSubtract and MembraneReset",
    ),
    (
        "ExpLeak min_v_mem",
        neuron(sl.ExpLeak, tau_mem=12.0, min_v_mem=-0.1),
        "layer '1' (ExpLeak): min_v_mem: a readout without spikes has no lower bound; leave "
        "min_v_mem at None",
    ),
    (
        "SumPool2d ceil_mode in part",
        lambda: images(sl.SumPool2d(3, ceil_mode=True), sl.IAFSqueeze(batch_size=BATCH)),
        "layer '1' (SumPool2d): ceil_mode=True ends in windows of less than 3 x 3 on a map of "
        "8 x 8; crop or pad the map to whole windows, or use ceil_mode=False",
    ),
    (
        "subclass with a forward of its own",
        lambda: dense(Doubled),
        "layer '1' (Doubled): overrides IAF.forward, so its parameters no longer describe it",
    ),
]
IMAGES = {"SumPool2d ceil_mode in part", "SpikingMaxPooling2dLayer"}

CASES = [Case(name=name, build=build, **options) for name, build, options in PASSING]
CASES += [
    Case(name=name, build=build, refused=told, input="image" if name in IMAGES else "spikes")
    for name, build, told in REFUSED
]

if __name__ == "__main__":
    main("sinabs", CASES)
