"""Labels and data of every form, and what is refused."""

import re

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.builders import dense
from tests.cases import each
from toolchain.training.labels import as_classes, as_targets
from toolchain.training.pairs import separated
from toolchain.training.split import split

GRAPH = dense(np.eye(3, 2))
SPIKES = np.arange(4 * 5 * 2).reshape(4, 5, 2) % 3
LABELS = np.array([2, 0, 1, 2])


@each(
    "given",
    [
        LABELS,
        LABELS.astype(np.uint8),
        LABELS.astype(float),
        LABELS.tolist(),
        LABELS[:, None],
        torch.tensor(LABELS),
        [torch.tensor(label) for label in LABELS],
        np.eye(3)[LABELS],
        np.eye(3, dtype=bool)[LABELS],
        torch.eye(3)[LABELS].requires_grad_(),
    ],
)
def test_labels_are_class_numbers(given):
    found = as_classes(given, samples=4, classes=3)
    assert found.dtype == np.int64
    assert found.tolist() == LABELS.tolist()


@each(
    ("given", "words"),
    [
        ([0, 1], "one for each of 4 samples, got shape (2,)"),
        (3, "got a single value"),
        (
            [0, 1, 2, 3],
            "labels are 0 to 3, but the network has 3 outputs: class numbers are 0 to 2",
        ),
        ([0, 1, 2, -1], "labels are -1 to 2"),
        ([0, 1, 2, 0.5], "label 3 is 0.5, need whole class numbers"),
        ([0, 1, 2, np.nan], "1 values that are not finite"),
        (["a", "b", "c", "a"], "np.unique(labels, return_inverse=True)[1]"),
        (np.eye(4), "labels have 4 columns, but the network has 3 outputs"),
        (np.full((4, 3), 1 / 3), "the first 0, are no one-hot rows"),
        (np.zeros((4, 5, 3)), "for labels of each timestep give your own loss="),
        ([[1, 0], [1], [0], [0]], "one shape for all samples"),
    ],
)
def test_other_labels_are_refused_with_the_remedy(given, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        as_classes(given, samples=4, classes=3)


def test_a_loss_of_the_user_takes_any_rows_of_numbers():
    assert as_targets(np.ones((4, 5, 3)), 4).shape == (4, 5, 3)
    with pytest.raises(ValueError, match="the first axis of the spikes"):
        as_targets(np.ones((5, 4)), 4)


class OnlyIndexed:
    """A data set without an iterator."""

    def __len__(self):
        return 4

    def __getitem__(self, number):
        return SPIKES[number], int(LABELS[number])


@each(
    "data",
    [
        (SPIKES, LABELS),
        [SPIKES, LABELS],
        [(spikes, label) for spikes, label in zip(SPIKES, LABELS, strict=True)],
        ((spikes, label) for spikes, label in zip(SPIKES, LABELS, strict=True)),
        [(SPIKES[:3], LABELS[:3]), (SPIKES[3:], LABELS[3:])],
        [(SPIKES[:1], LABELS[:1]), (SPIKES[1:], LABELS[1:])],
        DataLoader(TensorDataset(torch.tensor(SPIKES), torch.tensor(LABELS)), batch_size=3),
        TensorDataset(torch.tensor(SPIKES), torch.tensor(LABELS)),
        OnlyIndexed(),
        [(spikes.tolist(), int(label)) for spikes, label in zip(SPIKES, LABELS, strict=True)],
    ],
)
def test_pairs_of_every_form_are_taken_apart(data):
    spikes, labels = separated(GRAPH, data, None)
    parts = spikes if isinstance(spikes, list) else [spikes]
    joined = np.concatenate([np.asarray(part).reshape(-1, 5, 2) for part in parts])
    assert np.array_equal(joined, SPIKES)
    assert np.array_equal(labels, LABELS)


def test_one_hot_labels_of_recordings_stay_rows():
    pairs = [(spikes, np.eye(3)[label]) for spikes, label in zip(SPIKES, LABELS, strict=True)]
    assert np.array_equal(separated(GRAPH, pairs, None)[1], np.eye(3)[LABELS])


def test_event_arrays_are_recordings():
    events = [np.zeros(number, [("x", "u2"), ("t", "u8")]) for number in (3, 5)]
    for pairs in ([*zip(events, (1, 0), strict=True)], [(events, [1, 0])]):
        found, labels = separated(GRAPH, pairs, None)
        assert [len(each) for each in found] == [3, 5]
        assert labels.tolist() == [1, 0]


def test_spikes_alone_have_no_labels():
    for data in (SPIKES, torch.tensor(SPIKES), [*SPIKES], [SPIKES[0], SPIKES[1]]):
        assert separated(GRAPH, data, None)[1] is None
    with pytest.raises(ValueError, match="element 0 of data has 4 samples, but labels"):
        separated(GRAPH, [(SPIKES, LABELS[:2])], None)


def test_a_split_keeps_every_class_in_the_training_part():
    labels = np.array([0] * 40 + [1] * 9 + [2] * 2 + [5])
    for seed in range(20):
        train, others = split(len(labels), 0.2, seed, labels)
        assert sorted([*train, *others]) == list(range(len(labels)))
        assert {*labels[train]} == {0, 1, 2, 5}
        assert 9 <= len(others) <= 11
        assert 5 not in labels[others]
    assert np.array_equal(split(9, 0.5, 3)[1], split(9, 0.5, 3)[1])


@each(
    ("samples", "labels"),
    [(2, None), (2, [0, 1]), (2, [1, 1]), (5, [0, 1, 2, 3, 4]), (3, [0, 0, 1]), (1000, None)],
)
def test_a_split_has_samples_on_both_sides(samples, labels):
    labels = None if labels is None else np.array(labels)
    for part in (0.01, 0.5, 0.99):
        train, others = split(samples, part, 0, labels)
        assert len(train) > 0
        assert len(others) > 0


def test_what_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match="needs at least 2 samples, got 1 sample"):
        split(1, 0.2, 0)
    for part in (1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="validation must be a part"):
            split(9, part, 0)
