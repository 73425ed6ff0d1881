"""Network of named layers with branches and sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

__all__ = ["Wired"]


class Wired(nn.Module):
    """Layers that take the outputs of others by name, where a Sequential is not enough.

    >>> import torch
    >>> from toolchain.nn import Wired
    >>> layers = {"a": torch.nn.Identity(), "b": torch.nn.ReLU()}
    >>> net = Wired(layers, {"a": ["input"], "b": ["a", "input"]}, outputs=["b"])
    >>> net(torch.tensor([[1.0, -1.0]])).tolist()
    [[2.0, 0.0]]

    Args:
        layers: by name, each after those whose outputs it takes.
        sources: names of what each layer takes, ``input`` for the input of the network; several
            are added.
        outputs: names of the layers whose outputs are returned: one as a tensor, several as a
            tuple.

    Raises:
        ValueError: a source that is no layer before it, or an output that is no layer.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        sources: Mapping[str, Sequence[str]],
        outputs: Sequence[str],
    ) -> None:
        super().__init__()
        known = ["input"]
        for name in layers:
            unknown = [source for source in sources.get(name, ()) if source not in known]
            if unknown or not sources.get(name):
                raise ValueError(f"layer {name!r} takes {unknown or 'nothing'}; before it: {known}")
            known.append(name)
        if not outputs or not set(outputs) <= {*known}:
            raise ValueError(f"outputs are {list(outputs)}; there are {known}")
        self.layers = nn.ModuleDict(layers)
        self.sources = {name: tuple(sources[name]) for name in layers}
        self.outputs = tuple(outputs)

    def forward(self, data: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the output of the network, or a tuple of several."""
        values = {"input": data}
        for name, layer in self.layers.items():
            first, *others = (values[source] for source in self.sources[name])
            for other in others:
                first = first + other
            values[name] = layer(first)
        found = tuple(values[name] for name in self.outputs)
        return found if len(found) > 1 else found[0]
