"""Sequence of named layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from toolchain.nn.module import Evolved, Named, TorchModule

__all__ = ["TorchSequential"]


class TorchSequential(TorchModule):
    """Sequence of modules, indexed by name or position: ``seq[name]``, ``seq[-1]``.

    >>> import torch
    >>> from toolchain.nn import LIFTorch, LinearTorch, TorchSequential
    >>> seq = TorchSequential(LinearTorch((2, 3)), LIFTorch((3, 3)))
    >>> seq
    TorchSequential with shape (2, 3) {
        LinearTorch '0_LinearTorch' with shape (2, 3)
        LIFTorch '1_LIFTorch' with shape (3, 3)
    }
    >>> out, state, record = seq(torch.ones(1, 4, 2), record=True)
    >>> tuple(out.shape), list(state)
    ((1, 4, 3), ['0_LinearTorch', '1_LIFTorch'])
    >>> list(record)
    ['0_LinearTorch', '0_LinearTorch_output', '1_LIFTorch', '1_LIFTorch_output']
    >>> seq[-1] is seq["1_LIFTorch"]
    True

    Args:
        modules: in order; a single mapping also gives their names. Otherwise they are called
            ``0_LinearTorch, 1_LIFTorch, ...``. Layers that return a plain tensor are allowed.

    Raises:
        ValueError: no modules.

    Source: rockpool's ``Sequential`` as observed.
    """

    def __init__(self, *modules: nn.Module | Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, module in _named(modules).items():
            setattr(self, name, module)
        shapes = [m.shape for m in self.children() if isinstance(m, TorchModule)]
        if not len(self):
            raise ValueError("TorchSequential needs at least one module")
        self.shape = (shapes[0][0], shapes[-1][-1]) if shapes else ()

    def forward(self, data: Tensor, record: bool = False) -> Evolved:
        """Return the output of the last module, and state and record of each by name.

        The record also contains ``<name>_output``, the output of each module.
        """
        state: Named = {}
        records: Named = {}
        for name, module in self.named_children():
            own: Named = {}
            state[name] = {}
            if isinstance(module, TorchModule):
                data, state[name], own = module(data, record=record)
            else:
                data = module(data)
            if record:
                records[name] = own
                records[f"{name}_output"] = data
        return data, state, records

    def __getitem__(self, key: int | str) -> nn.Module:
        """Return a module by name or position; KeyError or IndexError if there is none."""
        named = dict(self.named_children())
        return named[key] if isinstance(key, str) else list(named.values())[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[nn.Module]:
        return self.children()


def _named(modules: tuple[nn.Module | Mapping[str, nn.Module], ...]) -> dict[str, nn.Module]:
    named: dict[str, nn.Module] = {}
    for module in modules:
        if isinstance(module, Mapping):
            named.update(module)
        else:
            named[f"{len(named)}_{type(module).__name__}"] = module
    return named
