"""The verb ``repair``: remedies from the cheapest to the dearest, then training."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from toolchain.chips.allow import accepted_names
from toolchain.chips.contract import Options
from toolchain.chips.load import family_of, load_chip
from toolchain.chips.options import merge_options
from toolchain.deployment.warn import warn_of
from toolchain.frontends.source import as_graph
from toolchain.remedies.result import Repair
from toolchain.remedies.search import Search
from toolchain.remedies.yardstick import yardstick
from toolchain.runs.decisions import DecisionRule

__all__ = ["repair"]


def repair(
    model: Any,
    chip: str,
    data: Any,
    labels: Any = None,
    *,
    max_drop: float = 0.01,
    sample: Any = None,
    dt: float | None = None,
    dialect: str | None = None,
    reset: str | None = None,
    quantizer: str | None = None,
    allow: Collection[str] | None = None,
    options: Options | None = None,
    decision: DecisionRule = "mean",
    epochs: int = 10,
    tries: int = 6,
    max_seconds: float = 600.0,
    every: bool = False,
    seed: int = 0,
) -> Repair:
    """Deploy a network to a chip that refuses it or on which it loses too much.

    Remedies of the findings are applied until the chip refuses nothing: approximations, pruning by
    magnitude to the chip's limits, fewer neurons, channels or layers. Networks that fit are
    measured from the one that loses least of its weights on; if none loses less than ``max_drop``,
    they are trained on the chip's integers in that order, until one does. A network that fits as
    it is is tried with every quantizer first.

    A quarter of the samples is kept apart to measure on; the others calibrate and train.

    Args:
        model, chip, sample, dt, dialect, reset, options: as for ``deploy``.
        data: spikes, in any form that ``deploy`` takes as calibration, of one length; or pairs of
            spikes and labels.
        labels: class numbers or one-hot rows. Without them the loss is that of the agreement of
            the output counts with the float network's, and training aims at these counts.
        max_drop: largest loss of accuracy, or of agreement, that is wanted, 0..1.
        quantizer: the only one to use; by default the family's first, and the others where the
            network fits as it is.
        allow: approximations that may be accepted; by default all. Those that were needed are in
            the ledger of the deployment.
        decision: which of an output's values over time decide, see ``toolchain.runs.decisions``.
        epochs: passes over the samples of each training.
        tries: most networks that are deployed, besides the given one.
        max_seconds: time after which no other remedy is tried.
        every: True to try and train all of them, for a table without gaps.
        seed: of the divisions of the samples, and of the order in training.

    Returns:
        The first network within ``max_drop``, or else the nearest, with a ``DeployWarning``; and
        what each remedy costs.

    Raises:
        DeployError: no network that fits was found; it holds every finding about the given one.
        ValueError: as by ``deploy`` and ``Deployment.fit``.

    >>> import numpy as np
    >>> from toolchain import repair
    >>> from toolchain.ir import Graph, Input, Linear, Neuron, Output
    >>> lif, rng = {"v_threshold": 1.0, "alpha_mem": 0.875, "alpha_syn": [0.75]}, np.random
    >>> nodes = {
    ...     "input": Input(shape=(20,)),
    ...     "fc1": Linear(weight=rng.default_rng(0).normal(0.1, 0.3, (8, 20))),
    ...     "lif1": Neuron(shape=(8,), **lif),
    ...     "fc2": Linear(weight=rng.default_rng(1).normal(0.1, 0.3, (3, 8))),
    ...     "lif2": Neuron(shape=(3,), **lif),
    ...     "output": Output(),
    ... }
    >>> graph = Graph.chain(nodes, dt=1e-3)
    >>> spikes = rng.default_rng(2).poisson(0.2, (16, 30, 20))
    >>> result = repair(graph, "xylo_a2", spikes, max_drop=1.0)  # whatever fits
    >>> result.chosen.name, result.within, len(result.channels)
    ('fewer_input_channels', True, 16)
    """
    if not 0 <= max_drop <= 1:
        raise ValueError(f"max_drop must be 0..1, such as 0.01 for one point, got {max_drop!r}")
    family = family_of(load_chip(chip))
    if allow is not None:
        allow = accepted_names(family.TITLE, family.APPROXIMATIONS, allow)
    settings = merge_options(family, options, {})
    graph = as_graph(model, sample=sample, dt=dt, dialect=dialect, reset=reset)
    graph, _ = family.configured(graph, settings)
    search = Search(
        family=family,
        graph=graph,
        options=settings,
        quantizer=quantizer,
        allow=allow,
        yard=yardstick(family, graph, data, labels, decision, seed),
        max_drop=max_drop,
        epochs=epochs,
        tries=tries,
        until=time.monotonic() + max_seconds,
        every=every,
        seed=seed,
    )
    result = search.result()
    warn_of(family.chip.name, result.deployment.diagnostics, stacklevel=2)
    return result
