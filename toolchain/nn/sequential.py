"""Layers one after the other, each under a name of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from toolchain.nn.module import Evolved, Named, TorchModule

__all__ = ["TorchSequential"]


class TorchSequential(TorchModule):
    """Modules in a row; ``seq[name]`` and ``seq[-1]`` give one of them.

    Args:
        modules: in order; a single mapping gives their names too. Else they are called
            ``0_LinearTorch, 1_LIFTorch, ...``. Layers that give a plain tensor may stand among
            them.

    Raises:
        ValueError: no module at all.

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
        """Output of the last module, and state and record of each by name.

        The record holds ``<name>_output`` too, what each module gave.
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
        """A module by name or place; KeyError or IndexError if there is none."""
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
