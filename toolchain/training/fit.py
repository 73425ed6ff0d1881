"""Training of a module on data of any form, with the settings that work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from torch.optim import Optimizer

from toolchain.arrays import Array
from toolchain.report import brief
from toolchain.training.adam import LatentAdam
from toolchain.training.history import History
from toolchain.training.loop import Loop
from toolchain.training.module import ChipModule
from toolchain.training.samples import FitSamples, FitSource, samples_of
from toolchain.training.schedule import rates_of, step_sizes
from toolchain.training.settings import FitSettings

__all__ = ["fit"]


def fit(
    module: ChipModule, subject: FitSource, data: Any, labels: Any, settings: FitSettings
) -> tuple[History, Array]:
    """Train a module and leave the best parameters in it; see ``Deployment.fit``.

    Returns:
        The history, and the spikes of the training samples.

    Raises:
        ValueError: data, labels or settings that cannot be used; the message states the remedy.
        ArtifactError: a checkpoint that cannot be read, or that of another training.
        GradientError: a gradient that is not finite.
    """
    train, judge = samples_of(subject, module, data, labels, settings)
    loop = Loop(
        module=module,
        optimizer=_optimizer(module, settings),
        train=train,
        judge=judge,
        epochs=settings.epochs,
        batch=settings.batch,
        seed=settings.seed,
        progress=settings.progress,
        checkpoint=settings.checkpoint,
        identity=_identity(module, train, judge, settings) if settings.checkpoint else {},
    )
    return loop.run(), train.spikes[train.rows]


def _optimizer(module: ChipModule, settings: FitSettings) -> Optimizer:
    tensors = {n: p for n, p in module.named_parameters() if p.requires_grad}
    if not tensors:
        raise ValueError("nothing to train: the network has no parameter of the kinds in train=")
    if settings.optimizer is not None:
        found = settings.optimizer(list(tensors.values()))
        if not isinstance(found, Optimizer):
            raise ValueError(
                f"optimizer must return a torch.optim.Optimizer of its argument, got {brief(found)}"
            )
        return found
    parameters = {n: each.parameter for n, each in module.latents().items() if n in tensors}
    sizes = step_sizes(parameters.values(), rates_of(settings.lr))
    return LatentAdam(
        {
            "params": [tensors[name]],
            "lr": sizes[name],
            "relative": parameter.kind == "threshold",
            "low": parameter.low,
            "high": parameter.high,
        }
        for name, parameter in parameters.items()
    )


def _identity(
    module: ChipModule, train: FitSamples, judge: FitSamples, settings: FitSettings
) -> dict[str, Any]:
    """Return what identifies a training, as plain data; of functions, their names."""
    start = {name: each.start for name, each in module.latents().items()}
    kinds = {n: p.requires_grad for n, p in module.named_parameters()}
    return {
        "epochs": settings.epochs,
        "batch": settings.batch,
        "seed": settings.seed,
        "lr": dict(rates_of(settings.lr)),
        "timing": module.timing,
        "train": sorted(name for name, trained in kinds.items() if trained),
        "surrogate": _name(module.surrogate),
        "optimizer": _name(settings.optimizer),
        "loss": _name(settings.loss),
        "objective": settings.objective,
        "decision": settings.decision,
        "samples": len(train.rows),
        "validation": len(judge.rows),
        "data": _digest([train.spikes, train.rows, judge.spikes, judge.rows]),
        "targets": _digest([*train.objective.targets(), *judge.objective.targets()]),
        "start": _digest(list(start.values())),
    }


def _name(function: Any) -> str | None:
    """Return a text that is the same in another process."""
    if function is None:
        return None
    return getattr(function, "__qualname__", None) or (
        repr(function) if type(function).__module__.startswith("toolchain.") else _type(function)
    )


def _type(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _digest(arrays: Iterable[Array]) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
