"""Damaged and hostile files end in a ModelFileError, and nothing that they say is run."""

import numpy as np
import pytest

from tests.cases import each
from tests.frontends.files.damaged_files import RAW, damaged, with_pickle
from toolchain import load
from toolchain.diagnostics import ModelFileError
from toolchain.frontends.files.contents import identify
from toolchain.frontends.files.torch_file import TorchFile

ROUNDS = 17


def refusal(path):
    """The message, or None where the file was read."""
    try:
        load(path)
    except ModelFileError as refused:
        return str(refused)
    return None


@pytest.mark.parametrize("start", range(0, 510, ROUNDS * 3))
def test_a_damaged_file_is_refused_or_still_sound(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marker, path = tmp_path / "MARKER", tmp_path / "file"
    for seed in range(start, start + ROUNDS * 3):
        _, data = damaged(seed, marker, np.random.default_rng(seed))
        path.write_bytes(data)
        message = refusal(path)
        assert message is None or (message.startswith(str(path)) and len(message) < 3000), seed
        assert not marker.exists(), seed


@each("number", range(len(RAW)))
def test_a_pickle_that_no_state_dict_is_says_nothing(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").write_bytes(with_pickle(RAW[number]))
    with pytest.raises(ModelFileError):
        load("w")
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_a_torch_file_cannot_name_more_numbers_than_it_holds(tmp_path):
    """An expanded tensor, of which a copy would be 4 TB."""
    import torch

    torch.save({"w": torch.zeros(1).expand(2**20, 2**20)}, tmp_path / "w")
    file = TorchFile.of(identify(tmp_path / "w").data)
    with pytest.raises(
        ValueError, match=r"a tensor of shape \(1048576, 1048576\) with only 1 stored num"
    ):
        file.read()
