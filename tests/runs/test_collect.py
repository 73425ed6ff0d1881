"""Input spikes of any form become counts, grouped by length; faults name the argument."""

import itertools
import re

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from tests.builders import chain
from toolchain.ir import Neuron
from toolchain.runs.collect import Collected, collect

X = (np.random.default_rng(0).random((6, 20, 12)) < 0.2).astype(int)  # (batch, time, channels)
LABELS = torch.arange(6)
GRAPH = chain((12,), Neuron(shape=(12,), v_threshold=1.0))
MAPS = chain((2, 3, 4), Neuron(shape=(2, 3, 4), v_threshold=1.0))


class Recordings(Dataset):
    """A data set without iterator and without IndexError at its end."""

    def __len__(self):
        return len(X)

    def __getitem__(self, n):
        return X[n % 6], n


class Table:
    """A table that is an array only by conversion, as those of pandas are."""

    shape = X.shape

    def __array__(self, dtype=None, copy=None):
        return X


def gradient():
    return torch.tensor(X, dtype=torch.float32, requires_grad=True)


SAME = {
    "array": X,
    "bool": X.astype(bool),
    "float16": X.astype(np.float16),
    "tensor": torch.tensor(X),
    "with gradient": gradient(),
    "bfloat16": torch.tensor(X).bfloat16(),
    "sparse": torch.tensor(X).to_sparse(),
    "table": Table(),
    "nested lists": X.tolist(),
    "axes of length 1": X[..., None, None],
    "list of arrays": list(X),
    "list of tensors with gradient": list(gradient()),
    "list of sparse tensors": [each.to_sparse() for each in torch.tensor(X)],
    "list of batches": [X[:4], X[4:]],
    "lists of arrays of timesteps": [list(recording) for recording in X],
    "array of objects": np.array([*map(list, X), None], dtype=object)[:6],
    "list of pairs": list(zip(X, LABELS, strict=True)),
    "generator": (recording for recording in X),
    "generator of pairs": ((x, 1) for x in X),
    "data set": Recordings(),
    "loader": DataLoader(TensorDataset(torch.tensor(X)), batch_size=4),
    "loader of pairs": DataLoader(TensorDataset(torch.tensor(X), LABELS), batch_size=4),
    "loader of lists of pairs": DataLoader(Recordings(), batch_size=4, collate_fn=list),
    "loader of pairs of lists": DataLoader(
        Recordings(), batch_size=4, collate_fn=lambda pairs: tuple(zip(*pairs, strict=True))
    ),
}


@pytest.mark.parametrize("form", SAME)
def test_every_form_of_the_same_recordings_is_the_same_counts(form):
    result = collect(GRAPH, SAME[form], "calibration")
    (counts,) = result.groups
    np.testing.assert_array_equal(counts, X)
    assert counts.dtype != np.float16
    said = [note for note in result.notes if "of which the first was taken" in note]
    assert len(said) == ("pairs" in form or form == "data set") == len(result.notes)


def test_recordings_of_different_length_are_grouped_and_not_padded():
    lengths = (20, 15, 20, 9)
    given = [x[:n] for x, n in zip(X, lengths, strict=False)]
    result = collect(GRAPH, given, "calibration")
    assert [g.shape[:2] for g in result.groups] == [(2, 20), (1, 15), (1, 9)]
    np.testing.assert_array_equal(result.groups[0], X[[0, 2]])
    np.testing.assert_array_equal(result.groups[2][0], X[3, :9])
    assert (result.samples, result.lengths) == (4, (9, 15, 20))
    # of 9 x 4, 15 x 3 and 20 x 2 timesteps the second are most
    np.testing.assert_array_equal(result.excerpt(), X[[0, 2, 1], :15])


def test_a_generator_is_read_once_and_no_further_than_the_bound():
    read = []

    def endless():
        for n in itertools.count():
            read.append(n)
            yield X[n % 6]

    result = collect(GRAPH, endless(), "calibration", most=3 * X[0].size)
    np.testing.assert_array_equal(result.groups[0], X[:3])
    assert read == [0, 1, 2, 3]
    assert not result.complete
    assert "the first 3 elements of calibration (generator) were read" in result.notes[0]
    known = collect(GRAPH, Recordings(), "calibration", most=3 * X[0].size)
    assert "the first 3 elements of 6 of calibration (Recordings)" in known.notes[1]
    assert collect(GRAPH, list(X), "calibration", most=1).complete  # is in memory already


def test_what_was_collected_is_not_collected_again():
    result = collect(GRAPH, X, "calibration")
    assert collect(GRAPH, result, "spikes") is result
    assert isinstance(result, Collected)


ONE = "give calibration[None]"
ELEMENT = "must be an array (batch, time, 12) or a single recording (time, 12)"
FAULTS = [
    (None, "calibration must be an array (batch, time, 12), or a list, a data loader", "NoneType"),
    ("x.npy", "calibration must be an array", "got str 'x.npy'"),
    (7, "calibration must be an array", "got int 7"),
    (len, "calibration must be an array", "got builtin_function_or_method"),
    (np.array(3), "calibration must be (batch, time, 12), got ndarray", ""),
    (torch.tensor(3), "calibration must be (batch, time, 12), got Tensor", ""),
    (np.ones(12), "calibration must be (batch, time, 12), got shape (12,)", ""),
    (X[0], "calibration must be (batch, time, 12), got shape (20, 12)", ONE),
    (X.swapaxes(1, 2), "got shape (6, 12, 20); if its axes are (batch, 12, time)", "position 1"),
    (X[..., :11], "calibration must be (batch, time, 12), got shape (6, 20, 11)", ""),
    ({"x": X}, "calibration must be spikes, got a dict with keys 'x'", "one of its arrays"),
    ([], "calibration contains no recording: list is empty", ""),
    (iter(()), "calibration contains no recording: tuple_iterator is empty", ""),
    ([X[0], None], f"element 1 of calibration {ELEMENT}, got NoneType None", ""),
    ([X[0], X[0, :, :3]], f"element 1 of calibration {ELEMENT}, got shape (20, 3)", ""),
    ((X, LABELS), f"element 1 of calibration {ELEMENT}", "labels, give calibration[0] alone"),
    ([[1], [1, 2]], f"element 0 of calibration {ELEMENT}, got shape (1,)", ""),
    (["a.npy"], f"element 0 of calibration {ELEMENT}, got str 'a.npy'", ""),
    ([{"x": X, "y": 1}], "element 0 of calibration must be spikes", "(each['x'] for each in data)"),
    (X.astype(complex), "calibration must be an array of spike counts", "complex128"),
    (X.astype(str), "calibration must be an array of spike counts", "<U"),
    (np.ma.masked_array(X, mask=X == 0), "calibration has masked values", ".filled(0)"),
    (torch.ones(1, 2, 12, device="meta"), "calibration cannot become an array", "'meta'"),
]


@pytest.mark.parametrize(("given", "message", "more"), FAULTS)
def test_other_forms_are_refused_under_the_name_of_the_argument(given, message, more):
    with pytest.raises(
        ValueError, match=f"(?s)^.*{re.escape(message)}.*{re.escape(more)}"
    ) as found:
        collect(GRAPH, given, "calibration")
    assert re.match(r"(element \d+ of )?calibration ", str(found.value))


@pytest.mark.parametrize(
    ("shape", "remedy", "turn"),
    [
        ((20, 2, 3, 4), "give calibration[None]", lambda x: x[None]),
        ((6, 2, 3, 4, 20), "move the last to position 1", lambda x: np.moveaxis(x, -1, 1)),
        (
            (6, 20, 3, 4, 2),
            "is the channel, move it to position 2",
            lambda x: np.moveaxis(x, -1, 2),
        ),
        (
            (6, 20, 24),
            "give calibration.reshape(*calibration.shape[:2], 2, 3, 4)",
            lambda x: x.reshape(*x.shape[:2], 2, 3, 4),
        ),
    ],
)
def test_remedies_for_maps_give_the_right_shape(shape, remedy, turn):
    given = np.zeros(shape)
    with pytest.raises(ValueError, match=re.escape(remedy)):
        collect(MAPS, given, "calibration")
    assert collect(MAPS, turn(given), "calibration").groups[0].shape[1:] == (20, 2, 3, 4)
