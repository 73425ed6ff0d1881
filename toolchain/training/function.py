"""The pass through a chip as a function of autograd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolchain.arrays import Array
from toolchain.chips.training import SurrogateSlope, Tape, TrainableProgram
from toolchain.diagnostics import GradientError
from toolchain.runs import InputSpikes
from toolchain.training.latents import Latent

__all__ = ["Pass", "apply"]

INPUT = "input"
"""Name of the gradient of the input in ``TrainableProgram.gradients``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pass:
    """A forward pass and all that it needs.

    Attributes:
        program: the program that runs.
        latents: rounding of each parameter, in the order of the tensors of ``apply``.
        values: their integers.
        outward: where latent values are out of range, by name, of those that are.
        spikes: input of the chip.
        layers: those whose values are wanted.
        timing, threads, steps: as for ``TrainableProgram.run``.
        slope: surrogate, or None for that of the program.
    """

    program: TrainableProgram
    latents: Mapping[str, Latent]
    values: Mapping[str, Array]
    outward: Mapping[str, tuple[Array, Array]]
    spikes: InputSpikes
    layers: tuple[str, ...]
    timing: str
    threads: int | None
    steps: int | None
    slope: SurrogateSlope | None

    def run(self, *, gradient: bool) -> Tape:
        """Simulate."""
        return self.program.run(
            self.values,
            self.spikes,
            layers=self.layers,
            timing=self.timing,
            gradient=gradient,
            threads=self.threads,
            steps=self.steps,
        )

    def tensors(self, tape: Tape) -> tuple[Tensor, ...]:
        """Return the values of the wanted layers, float32."""
        return tuple(_tensor(tape.values[name]) for name in self.layers)

    def gradients(
        self, tape: Tape, outer: Mapping[str, Array], wanted: Sequence[str], *, of_input: bool
    ) -> dict[str, Array]:
        """Return the gradients of the wanted latent values, and that of the input.

        Raises:
            GradientError: a gradient that is not finite.
        """
        for name, gradient in outer.items():
            _check_finite(gradient, f"the gradient of the loss with respect to layer {name!r}")
        found = self.program.gradients(
            tape, outer, wanted=wanted, slope=self.slope, of_input=of_input
        )
        for name, gradient in found.items():
            _check_finite(gradient, f"the gradient of {name!r}")
        result = {n: self.latents[n].gradient(found[n], self.outward.get(n)) for n in wanted}
        return {**result, INPUT: found[INPUT]} if of_input else result


def apply(
    step: Pass, x: Tensor | None, latents: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], Tape]:
    """Run a pass and return the values of its layers, with their gradient, and its tape.

    Args:
        step: the pass.
        x: the input as a tensor if its gradient is wanted; else None.
        latents: latent values, in the order of ``step.latents``.
    """
    inputs = [each for each in (x, *latents) if each is not None]
    if not (torch.is_grad_enabled() and any(each.requires_grad for each in inputs)):
        tape = step.run(gradient=False)
        return step.tensors(tape), tape
    keep: list[Tape] = []
    found = _Chip.apply(step, keep, x, *latents)  # type: ignore[no-untyped-call]
    return found, keep[0]


class _Chip(torch.autograd.Function):
    """Forward on the chip's integers, backward by surrogate gradients."""

    @staticmethod
    def forward(ctx: Any, step: Pass, keep: list[Tape], x: Tensor | None, *latents: Tensor) -> Any:
        tape = step.run(gradient=True)
        keep.append(tape)
        ctx.step = step
        ctx.x = None if x is None else (x.shape, x.dtype, x.device)
        ctx.latents = latents
        # Autograd frees what it saves after a backward pass, and the tape with it. Hooks that
        # replace saved tensors (checkpoints, copies on another device) lose or renew the tape.
        anchor = torch.empty(0)
        anchor.tape = tape  # type: ignore[attr-defined]
        ctx.save_for_backward(anchor)
        ctx.set_materialize_grads(False)
        return step.tensors(tape)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor | None) -> Any:
        step: Pass = ctx.step
        (anchor,) = ctx.saved_tensors
        of_input, *needed = ctx.needs_input_grad[2:]
        names = [name for name, need in zip(step.latents, needed, strict=True) if need]
        given = {
            name: _array(gradient)
            for name, gradient in zip(step.layers, outer, strict=True)
            if gradient is not None
        }
        if not given:
            return (None,) * len(ctx.needs_input_grad)
        tape = getattr(anchor, "tape", None) or step.run(gradient=True)
        found = step.gradients(tape, given, names, of_input=of_input)
        results = [
            torch.from_numpy(np.asarray(found[name])).to(latent) if name in found else None
            for name, latent in zip(step.latents, ctx.latents, strict=True)
        ]
        x = None
        if of_input:
            shape, dtype, device = ctx.x
            x = torch.from_numpy(found[INPUT].reshape(shape)).to(dtype=dtype, device=device)
        return None, None, *_once(ctx.latents, (x, *results))


class _First(torch.autograd.Function):
    """The gradients of a first backward pass, which have none themselves."""

    @staticmethod
    def forward(ctx: Any, latents: int, *tensors: Tensor) -> Any:
        del ctx
        return tensors[latents:]

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        del ctx, outer
        raise NotImplementedError(
            "the module of a chip has no second derivative: its gradient is a surrogate; call "
            "backward() and grad() with create_graph=False, or leave the term of the gradient out"
        )


def _once(latents: Sequence[Tensor], found: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Return gradients; where a second derivative could be asked for, with one that refuses."""
    if not torch.is_grad_enabled():
        return tuple(found)
    given = [each for each in found if each is not None]
    marked = iter(_First.apply(len(latents), *latents, *given))  # type: ignore[no-untyped-call]
    return tuple(None if each is None else next(marked) for each in found)


def _tensor(values: Array) -> Tensor:
    """Return values as a tensor of float32 that shares no memory with the tape."""
    return torch.from_numpy(np.array(values, np.float32))


def _array(gradient: Tensor) -> Array:
    found = gradient.detach().to(device="cpu", dtype=torch.float32)
    return np.ascontiguousarray(found.numpy())


def _check_finite(gradient: Array, what: str) -> None:
    wrong = int(np.count_nonzero(~np.isfinite(gradient)))
    if wrong:
        raise GradientError(
            f"{what} is not finite in {wrong} of {gradient.size} values; train with a smaller "
            "learning rate, clip the gradients, or check the loss"
        )
