import json

import pytest

from tests.oracles.artifacts import DATA, DIGESTS, digests
from toolchain import Deployment

RECORDED = json.loads(DIGESTS.read_text())


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_an_artifact_of_an_earlier_version_loads_and_simulates_the_same(name):
    assert digests(Deployment.load(DATA / name)) == RECORDED[name]


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_an_artifact_of_an_earlier_version_can_be_saved_in_todays_format(name, tmp_path):
    former = Deployment.load(DATA / name)
    again = Deployment.load(former.save(tmp_path / name))
    assert again.config() == former.config()
    assert str(again) == str(former)


def test_every_recorded_artifact_has_its_digests():
    assert {path.name for path in DATA.iterdir() if path.is_dir()} == set(RECORDED)
