"""A chip as a torch module: exact forward pass, surrogate backward pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import prod
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo  # torch.compiler.disable imports the compiler at once

from toolchain.arrays import Array
from toolchain.chips.training import ParameterKind, SurrogateSlope, TrainableProgram
from toolchain.diagnostics import Diagnostic
from toolchain.runs import Activity
from toolchain.training.function import Pass, apply
from toolchain.training.latents import Latent, latents_at_start
from toolchain.training.run import ModuleRun
from toolchain.training.source import TrainingSource
from toolchain.training.tree import Branch, plant

__all__ = ["ChipModule"]

KINDS: tuple[str, ...] = get_args(ParameterKind)
Surrogate = Callable[[Tensor, Tensor], Tensor]


class ChipModule(Branch):
    """A network on a chip as a torch module; ``Deployment.as_module`` returns one.

    The forward pass is the simulation of the chip, in ``train`` and ``eval``: every output equals
    ``Deployment.simulate``. The backward pass is a surrogate gradient on the recorded integers.
    Parameters are the unrounded ("latent") values of the chip's integers under the user's names,
    in units of the integers; the forward pass rounds them. A weight that the trained network does
    not have stays 0.

    >>> import numpy as np
    >>> import torch
    >>> from toolchain import deploy
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> from toolchain.training import ChipModule
    >>> lif = {"v_threshold": 1.0, "alpha_mem": 0.75, "alpha_syn": [0.5]}
    >>> graph = Graph.chain(
    ...     {
    ...         "input": Input(shape=(4,)),
    ...         "fc1": Linear(weight=np.full((3, 4), 0.4)),
    ...         "lif1": Neuron(shape=(3,), **lif),
    ...         "fc2": Linear(weight=np.eye(2, 3)),
    ...         "lif2": Neuron(shape=(2,), **lif),
    ...         "output": Output(),
    ...     },
    ...     dt=1e-3,
    ... )
    >>> d = deploy(graph, "xylo_a2")
    >>> module, x = d.as_module(), torch.ones(1, 20, 4)
    >>> isinstance(module, ChipModule)
    True
    >>> bool((module(x).numpy(force=True) == d.simulate(x).spikes).all())
    True
    >>> optimizer = torch.optim.SGD(module.parameters(), lr=10.0)
    >>> module(x).sum().backward()  # fewer spikes
    >>> optimizer.step()
    >>> trained = module.deployment()
    >>> bool((module(x).numpy(force=True) == trained.simulate(x).spikes).all())
    True
    """

    def __init__(
        self,
        source: TrainingSource,
        *,
        timing: str = "clocked",
        train: Collection[str] = KINDS,
        surrogate: Surrogate | None = None,
        threads: int | None = None,
    ) -> None:
        """Start from the integers of a deployment; call ``Deployment.as_module`` instead.

        Args:
            source: the deployment.
            timing: one of the chip's timings.
            train: kinds of parameters that require a gradient.
            surrogate: derivative of the spikes with respect to the membrane, such as those of
                ``toolchain.nn``; takes membrane and threshold as tensors in units of the
                threshold. By default a ramp, ``clip(v / threshold, 0, 1)``, which is 0 for neurons
                at their most spikes of a step.
            threads: samples simulated at a time; the number of processors by default. No result
                depends on it.

        Raises:
            ValueError: invalid arguments, or a program that cannot be trained.
        """
        super().__init__()
        _check_one_of("timing", timing, source.timings)
        if not isinstance(train, Iterable):
            raise ValueError(f"train must be of {', '.join(KINDS)}, got {train!r}")
        if surrogate is not None and not callable(surrogate):
            raise ValueError(
                f"surrogate must be a function of (membrane, threshold), got {surrogate!r}"
            )
        kinds = (train,) if isinstance(train, str) else tuple(train)
        for kind in kinds:
            _check_one_of("train", kind, KINDS)
        self.timing, self.threads, self.surrogate = timing, threads, surrogate
        self._source = source
        self._start()
        plant(
            self,
            {
                name: nn.Parameter(
                    torch.from_numpy(latent.start.copy()),
                    requires_grad=latent.parameter.kind in kinds,
                )
                for name, latent in self._latents.items()
            },
        )

    def _start(self) -> None:
        """Build what follows from the deployment."""
        self._program = self._source.program()
        self._latents = latents_at_start(
            self._program.parameters, self._source.quantized, self._source.latent
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the program, which a copy builds for itself."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_program", "_latents")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the module of a copy or of a pickle."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._start()

    @property
    def program(self) -> TrainableProgram:
        """The program that runs; its integers are those of ``integers``."""
        return self._program

    @property
    def source(self) -> TrainingSource:
        """The deployment that is trained."""
        return self._source

    def forward(self, x: Any, steps: int | None = None) -> Tensor:
        """Simulate the chip and return its outputs; see ``run``."""
        return self.run(x, steps=steps).spikes

    def run(self, x: Any, *, layers: Collection[str] = (), steps: int | None = None) -> ModuleRun:
        """Simulate the chip from its initial state, bit-exact.

        Args:
            x: spike counts (batch, time, *features) as a tensor or array of any type, or event
                arrays on chips that take them. A tensor that requires a gradient gets one.
            layers: names of layers whose spikes are wanted.
            steps: number of timesteps, for event arrays.

        Raises:
            ValueError: invalid input, an unknown layer, or parameters that are not finite or of
                a type that does not hold the chip's integers.
        """
        if torch.compiler.is_compiling():
            return _uncompiled(self, x, layers, steps)
        return self._run(x, layers, steps)

    def _run(self, x: Any, layers: Collection[str], steps: int | None) -> ModuleRun:
        _check_transforms()
        for name in layers:
            _check_one_of("layers", name, tuple(self._program.layers))
        tensors = self._tensors()
        arrays = {name: _values(name, tensor) for name, tensor in tensors.items()}
        outward = {name: each.outward(arrays[name]) for name, each in self._latents.items()}
        step = Pass(
            program=self._program,
            latents=self._latents,
            values=self._integers(arrays),
            outward={name: found for name, found in outward.items() if found is not None},
            spikes=self._source.spikes(x),
            layers=tuple(dict.fromkeys((*self._program.outputs, *layers))),
            timing=self.timing,
            threads=self.threads,
            steps=steps,
            slope=None if self.surrogate is None else _slope(self.surrogate),
        )
        trained = x if isinstance(x, Tensor) and x.requires_grad else None
        found, tape = apply(step, trained, tuple(tensors.values()))
        device = x.device if isinstance(x, Tensor) else torch.device("cpu")
        values = {n: each.to(device) for n, each in zip(step.layers, found, strict=True)}
        return ModuleRun(
            spikes=self._outputs(values),
            given=step.spikes,
            layers={name: values[name] for name in layers},
            saturations=dict(tape.saturations),
        )

    def _outputs(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return the outputs side by side, states in the unit of the trained network."""
        parts = [values[name] for name in self._program.outputs]
        flat = [part.reshape(*part.shape[:2], prod(part.shape[2:])) for part in parts]
        outputs = flat[0] if len(flat) == 1 else torch.cat(flat, dim=2)
        unit = self._source.unit
        if unit is None:
            return outputs
        return outputs * torch.from_numpy(unit.astype(np.float32)).to(outputs.device)

    def _tensors(self) -> dict[str, Tensor]:
        """Return the parameters in the order of the program."""
        found = dict(self.named_parameters(remove_duplicate=False))
        return {name: found[name] for name in self._latents}

    def _integers(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        return {name: each.integers(arrays[name]) for name, each in self._latents.items()}

    def _arrays(self) -> dict[str, Array]:
        return {name: _values(name, tensor) for name, tensor in self._tensors().items()}

    def integers(self) -> dict[str, Array]:
        """Return the integers on the chip by the name of the parameter, int64."""
        return self._integers(self._arrays())

    def latents(self) -> dict[str, Latent]:
        """Return by name how each parameter is rounded: its range, step and missing connections."""
        return dict(self._latents)

    @torch.no_grad()
    def project(self) -> None:
        """Move every parameter into its range, and missing connections to 0, in place.

        The forward pass does the same without changing the parameters. Optimizers that carry them
        far out of range, by momentum or noise, need longer to return without it.
        """
        for name, tensor in self._tensors().items():
            tensor.copy_(torch.from_numpy(self._latents[name].projected(_values(name, tensor))))

    def deployment(
        self, *, findings: Sequence[Diagnostic] = (), activity: Activity | None = None
    ) -> Any:
        """Return the Deployment of the integers as they are now.

        It is built as by ``deploy``: the integers are lowered, placed and checked. Its ledger names
        each layer that was trained. What was measured on the integers of before is left out.

        Args:
            findings: to report besides those of the chip, such as accuracy before and after.
            activity: activity of the trained network, for ``estimate()`` without arguments.

        Raises:
            DeployError: the chip does not take the integers; holds every finding.
        """
        arrays = self._arrays()
        latent = {name: each.projected(arrays[name]) for name, each in self._latents.items()}
        return self._source.deployment(self._integers(arrays), latent, tuple(findings), activity)

    def extra_repr(self) -> str:
        """Return timing and number of parameters."""
        return f"timing={self.timing!r}, parameters={len(self._latents)}"


@_disable_dynamo
def _uncompiled(
    module: ChipModule, x: Any, layers: Collection[str], steps: int | None
) -> ModuleRun:
    """Run the module as it is within compiled code."""
    return module._run(x, layers, steps)


def _values(name: str, tensor: Tensor) -> Array:
    """Return a parameter as an array.

    Raises:
        ValueError: it is on no device with values, or of another type than float32 and float64.
    """
    if tensor.dtype not in (torch.float32, torch.float64):
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise ValueError(
            f"{name} is {dtype}, which does not hold the chip's integers; parameters must be "
            "float32 or float64: call module.float()"
        )
    if tensor.is_meta:
        raise ValueError(f"{name} is on the device 'meta' and has no values")
    return np.asarray(tensor.detach().cpu().numpy())


def _slope(surrogate: Surrogate) -> SurrogateSlope:
    """Return a surrogate of tensors as one of arrays in the chip's units."""

    def slope(membrane: Array, threshold: Array) -> Array:
        scaled = torch.from_numpy(np.asarray(membrane / threshold, np.float32))
        found = surrogate(scaled, torch.ones(())).numpy(force=True)
        return np.asarray(found / threshold, np.float32)

    return slope


def _check_one_of(what: str, given: str, valid: Collection[str]) -> None:
    if given not in valid:
        raise ValueError(f"{what} must be of {', '.join(valid)}, got {given!r}")


def _check_transforms() -> None:
    """Refuse transforms of functions, which would take the pass apart."""
    active = getattr(torch._C, "_are_functorch_transforms_active", None)
    if active is not None and active():
        raise NotImplementedError(
            "the module of a chip cannot be transformed by torch.func: it is a simulation with a "
            "surrogate gradient; use backward() or torch.autograd.grad()"
        )
