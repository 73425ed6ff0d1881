"""Training of a deployment: what is returned, chosen, resumed and refused."""

import json
import re
import warnings
from functools import partial

import numpy as np
import pytest
import torch

from tests.builders import chain
from tests.cases import each
from toolchain import DeployWarning, deploy
from toolchain.diagnostics import ArtifactError
from toolchain.ir import Linear, Neuron
from toolchain.nn import Ramp
from toolchain.report import render
from toolchain.training import History, LatentAdam
from toolchain.training.schedule import course

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 60)
RATES = np.where(np.repeat(np.eye(3), 2, axis=1), 0.5, 0.15)
SPIKES = RNG.poisson(RATES[LABELS][:, None], (60, 20, 6))


@pytest.fixture(scope="module")
def start():
    """A small network with random weights on a chip."""
    rng = np.random.default_rng(1)
    lif = {"v_threshold": 1.0, "alpha_mem": 0.8, "alpha_syn": [0.6]}
    graph = chain(
        (6,),
        fc1=Linear(weight=rng.normal(0.1, 0.3, (8, 6))),
        lif1=Neuron(shape=(8,), max_spikes=31, **lif),
        fc2=Linear(weight=rng.normal(0.2, 0.3, (3, 8))),
        lif2=Neuron(shape=(3,), max_spikes=1, **lif),
        dt=1e-3,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeployWarning)
        return deploy(graph, "xylo_a2", quantizer="channel", calibration=SPIKES[:16])


@pytest.fixture(scope="module")
def trained(start):
    return start.fit(SPIKES, LABELS, epochs=4, lr=0.02, batch=16)


def same(one, other):
    arrays, others = (d.on_chip.pack()[0] for d in (one, other))
    return arrays.keys() == others.keys() and all(
        np.array_equal(arrays[name], others[name]) for name in arrays
    )


def counts(d):
    return d.simulate(SPIKES).spikes.sum(axis=1)


def test_training_on_labels_returns_the_best_epoch(start, trained):
    history = trained.history
    assert len(history.epochs) == 5
    assert (history.samples, history.validation) == (48, 12)
    assert history.best.beats(history.start)
    assert history.best.value == max(epoch.score.value for epoch in history.epochs)
    assert start.history is None
    assert not same(start, trained)
    before, after = (float((counts(d).argmax(axis=1) == LABELS).mean()) for d in (start, trained))
    assert after > before + 0.1


def test_the_result_reports_accuracy_in_place_of_agreement(start, trained):
    rules = [finding.rule for finding in trained.diagnostics]
    assert rules.count("trained") == 1
    assert "held_out" not in rules
    (finding,) = (each for each in trained.diagnostics if each.rule == "trained")
    assert "trained on 48 samples, 4 epochs: accuracy" in finding.message
    assert "of 12 samples that were not trained on" in finding.message
    assert trained.estimate().power.nominal > 0
    assert "trained on the chip's integers" in str(trained.ledger)


def test_the_history_prints_and_is_plain_data(trained):
    history = trained.history
    text = render(history.sheet())
    assert f"epoch {history.choice} of 4 was taken" in text
    assert "start" in text
    assert History.from_dict(json.loads(json.dumps(history.as_dict()))) == history


def test_a_seed_decides_the_result_and_threads_do_not(start, trained):
    again = start.fit(SPIKES, LABELS, epochs=4, lr=0.02, batch=16, threads=1)
    assert same(again, trained)
    assert again.history == trained.history


def test_a_result_is_trained_further_from_its_unrounded_values(trained):
    module = trained.as_module()
    latent = dict(module.named_parameters())["fc1.weight"].detach()
    assert not torch.equal(latent, latent.round())
    further = trained.fit(SPIKES, LABELS, epochs=1, lr=0.02, batch=16, validation=0)
    assert not same(further, trained)
    assert [each.rule for each in further.diagnostics].count("trained") == 1


def test_nothing_worse_than_the_start_is_returned(start):
    result = start.fit(
        SPIKES,
        LABELS,
        epochs=2,
        lr=3.0,
        batch=16,
        loss=lambda out, y: out.sum() * 0,
    )
    assert same(result, start)
    assert result.history.choice == 0
    assert "none was better than the start, whose integers were kept" in str(result.diagnostics[-1])
    assert "no epoch of 2 was better than the start" in str(result.history)


@each(
    "arguments",
    [
        {"labels": LABELS.tolist()},
        {"labels": np.eye(3)[LABELS]},
        {"validation": (SPIKES[:9], LABELS[:9])},
        {"validation": 0},
        {"labels": None, "objective": "reference"},
        {"labels": None, "objective": "reference", "validation": SPIKES[:9]},
        {"loss": lambda out, y: torch.nn.functional.cross_entropy(out.mean(dim=1), y)},
        {"labels": None, "loss": lambda out, y: out.mean()},
        {"train": "threshold"},
        {"surrogate": Ramp(max_spikes=31)},
        {"optimizer": partial(torch.optim.SGD, lr=0.5, momentum=0.9)},
        {"lr": {"weight": 0.01}},
        {"decision": "max"},
        {"labels": np.where(LABELS == 1, 0, LABELS)},
        {"progress": False, "batch": np.int64(16), "validation": np.float32(0.2)},
    ],
)
def test_every_form_trains(start, arguments):
    result = start.fit(SPIKES, **{"labels": LABELS, "epochs": 1, **arguments})
    assert len(result.history.epochs) == 2
    assert result.simulate(SPIKES[:2]).spikes.shape == (2, 20, 3)


def test_pairs_of_a_loader_train_as_the_arrays_do(start):
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(torch.tensor(SPIKES), torch.tensor(LABELS)), batch_size=7)
    one, other = (start.fit(*given, epochs=1) for given in ((loader,), (SPIKES, LABELS)))
    assert same(one, other)


@each(
    ("data", "arguments", "words"),
    [
        (SPIKES, {}, 'or objective="reference", which needs none'),
        (SPIKES, {"labels": LABELS[:5]}, "one for each of 60 samples"),
        (SPIKES, {"labels": LABELS + 1}, "labels are 1 to 3, but the network has 3 outputs"),
        (SPIKES[..., :5], {"labels": LABELS}, "data must be (batch, time, 6)"),
        (SPIKES[:0], {"labels": LABELS[:0]}, "at least one sample"),
        (SPIKES - 1, {"labels": LABELS}, "negative"),
        (SPIKES, {"labels": LABELS, "epochs": 0}, "epochs must be a whole number >= 1"),
        (SPIKES, {"labels": LABELS, "batch": True}, "batch must be a whole number >= 1"),
        (SPIKES, {"labels": LABELS, "seed": -1}, "seed must be a whole number >= 0"),
        (SPIKES, {"labels": LABELS, "lr": -1.0}, "lr of weight must be a finite number"),
        (SPIKES, {"labels": LABELS, "lr": {"weights": 1}}, "its kinds are weight, threshold, bias"),
        (SPIKES, {"labels": LABELS, "train": "weights"}, "weights"),
        (SPIKES, {"labels": LABELS, "timing": "event"}, "timing must be of clocked"),
        (SPIKES, {"labels": LABELS, "validation": 1.5}, "validation must be a part"),
        (SPIKES, {"labels": LABELS, "validation": SPIKES}, "validation needs labels"),
        (SPIKES, {"labels": LABELS, "objective": "reference"}, "trains without labels"),
        (SPIKES, {"objective": "labels"}, 'must be "reference" or None'),
        (SPIKES, {"objective": "reference", "loss": len}, "not both"),
        (SPIKES, {"labels": LABELS, "loss": 3}, "loss must be a function"),
        (SPIKES, {"labels": LABELS, "loss": lambda o, y: o}, "loss must return one number"),
        (SPIKES, {"labels": LABELS, "loss": lambda o, y: o.detach().sum()}, "does not depend on"),
        (SPIKES, {"labels": LABELS, "optimizer": 3}, "optimizer must be a function"),
        (SPIKES, {"labels": LABELS, "optimizer": torch.optim.SGD, "lr": 0.1}, "give yours in"),
        (SPIKES, {"labels": LABELS, "decision": "sum"}, "decision must be one of"),
        (SPIKES, {"labels": LABELS, "train": ()}, "nothing to train"),
        (SPIKES, {"labels": LABELS, "train": None}, "train must be of weight"),
        (SPIKES, {"labels": LABELS, "surrogate": 3}, "surrogate must be a function"),
        (SPIKES, {"labels": LABELS, "lr": "fast"}, "lr of weight must be a finite number"),
        (SPIKES, {"labels": LABELS, "optimizer": list}, "must return a torch.optim.Optimizer"),
        (SPIKES, {"labels": LABELS, "validation": None}, "validation must be a part"),
        ([{"x": SPIKES[0], "y": 1}], {}, "as in [(each['x'], each['y']) for each in data]"),
    ],
)
def test_what_cannot_train_is_refused_with_the_remedy(start, data, arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        start.fit(data, **arguments)


def cross_entropy(out, y):
    return torch.nn.functional.cross_entropy(out.sum(dim=1) / 3, y)


def interrupted_after(batches):
    """Return the same loss until Ctrl-C; under the same name, by which a checkpoint knows it."""
    passes = iter(range(batches))

    def loss(out, y):
        if out.requires_grad and next(passes, None) is None:
            raise KeyboardInterrupt
        return cross_entropy(out, y)

    loss.__qualname__ = cross_entropy.__qualname__
    return loss


@each("how", [{"lr": 0.02}, {"optimizer": partial(torch.optim.Adam, lr=0.5)}])
def test_a_training_that_was_interrupted_continues_bit_for_bit(start, how, tmp_path):
    fit = partial(start.fit, SPIKES, LABELS, epochs=4, batch=16, **how)
    with pytest.raises(KeyboardInterrupt):  # in the third of four epochs
        fit(loss=interrupted_after(7), checkpoint=tmp_path / "run")
    resumed = fit(loss=cross_entropy, checkpoint=tmp_path / "run")
    whole = fit(loss=cross_entropy)
    assert resumed.history == whole.history
    assert same(resumed, whole)
    for name, latent in whole.latent.items():
        assert np.array_equal(resumed.latent[name], latent)
    assert same(fit(loss=cross_entropy, checkpoint=tmp_path / "run"), whole)


def test_a_checkpoint_of_another_training_is_refused(start, trained, tmp_path):
    start.fit(SPIKES, LABELS, epochs=1, checkpoint=tmp_path / "run")
    for data, more, words in (
        (SPIKES, {"epochs": 2}, "epochs is 2, there 1"),
        (SPIKES + 1, {}, "data is"),
        (SPIKES, {"lr": 0.1}, "lr is"),
    ):
        with pytest.raises(ArtifactError, match=words):
            start.fit(data, LABELS, **{"epochs": 1, "checkpoint": tmp_path / "run", **more})
    with pytest.raises(ArtifactError, match="is no checkpoint of a training"):
        start.fit(SPIKES, LABELS, epochs=1, checkpoint=start.save(tmp_path / "saved"))


def test_a_damaged_checkpoint_or_a_foreign_folder_is_refused_and_kept(start, tmp_path):
    fit = partial(start.fit, SPIKES, LABELS, epochs=1)
    fit(checkpoint=tmp_path / "run")
    damaged, mine = tmp_path / "run" / "training.json", tmp_path / "mine" / "thesis.txt"
    mine.parent.mkdir()
    for path in (damaged, mine):
        path.write_text("{")
    for path, words in ((damaged, "remove it to begin the training anew"), (mine, "no checkpoint")):
        with pytest.raises(ArtifactError, match=words):
            fit(checkpoint=path.parent)
        assert path.read_text() == "{"


@pytest.fixture(scope="module")
def at_the_limit():
    """Two neurons with 66 targets, of which half are rounded to 0; the chip takes 64."""
    weight = np.where(np.arange(66)[:, None] % 2 == [0, 1], 1.0, 0.003)
    lif = {"v_threshold": 1.0, "alpha_mem": 0.875, "alpha_syn": [0.75]}
    graph = chain(
        (1,),
        fc1=Linear(weight=[[0.5], [0.5]]),
        lif1=Neuron(shape=(2,), **lif),
        fc2=Linear(weight=weight),
        lif2=Neuron(shape=(66,), **lif),
        fc3=Linear(weight=np.full((1, 66), 0.005)),
        lif3=Neuron(shape=(1,), **lif),
        dt=1e-3,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeployWarning)
        return deploy(graph, "xylo_a2", quantizer="global")


@each("validation", [0.5, 0])
def test_integers_that_the_chip_refuses_are_not_taken(at_the_limit, validation, tmp_path):
    """The best epoch that it takes is returned, or the start; no error after the training."""

    def more(out, _):
        return -out.mean()

    def fit(*train):
        where = tmp_path / str(len(train))
        return at_the_limit.fit(
            SPIKES[:8, :, :1],
            loss=more,
            epochs=3,
            batch=2,
            train=train,
            validation=validation,
            checkpoint=where,
        )

    grown = fit("weight", "threshold")
    assert same(grown, at_the_limit)
    assert grown.history.choice == 0
    assert all(epoch.refusal for epoch in grown.history.epochs[1:])
    assert "no epoch of 3 could be taken" in str(grown.history)
    (finding,) = (each for each in grown.diagnostics if each.rule == "trained")
    for words in (
        "integers of the start were kept",
        "epochs 1, 2, 3 were",
        "lif1: needs 66 hidden",
    ):
        assert words in finding.message
    kept = fit("threshold")
    assert not same(kept, at_the_limit)
    assert not kept.history.refusal
    assert fit("weight", "threshold").history == grown.history


def test_training_ends_when_saturations_explode(start, monkeypatch):
    """As many at the start as now are too many here: steps that saturate are rare by design."""
    module = start.as_module()
    with torch.no_grad():
        module.get_parameter("fc1.weight").fill_(127.0)
    saturated = module.deployment()
    loud = np.full_like(SPIKES, 15)
    monkeypatch.setattr("toolchain.training.loop.SATURATIONS_TO_STOP", (0.5, 0.0))
    history = saturated.fit(loud, LABELS, epochs=4).history
    assert history.epochs[0].saturations > 100
    assert len(history.epochs) == 2
    assert "states were saturated" in str(history)
    assert len(start.fit(SPIKES, LABELS, epochs=4).history.epochs) == 5


def test_a_loss_that_is_not_finite_ends_the_training_with_the_best_epoch(start):
    seen = []

    def loss(out, y):
        if out.requires_grad:
            seen.append(1)
        return cross_entropy(out, y) * (float("nan") if len(seen) > 5 else 1.0)

    history = start.fit(
        SPIKES, LABELS, loss=loss, epochs=4, batch=16, validation=(SPIKES[:9], LABELS[:9])
    ).history
    assert "the loss is nan" in history.reason


def test_the_rate_warms_up_and_falls_to_zero():
    rates = [course(step, 200) for step in range(200)]
    assert rates[0] == pytest.approx(1 / 20)
    assert max(rates) == pytest.approx(1.0, abs=1e-3)
    assert rates[19:] == sorted(rates[19:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert course(0, 1) == 1


def test_adam_moves_thresholds_in_proportion_to_themselves():
    values = torch.nn.Parameter(torch.tensor([10.0, 1000.0, 1e6]))
    adam = LatentAdam([{"params": [values], "lr": 0.1, "relative": True, "high": 1.05e6}])
    values.grad = torch.tensor([-1e-6, 5.0, -1.0])
    adam.step()
    assert values.tolist() == pytest.approx(
        [10 * np.exp(0.1), 1000 * np.exp(-0.1), 1.05e6], rel=1e-4
    )
