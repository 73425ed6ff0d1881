import json

import pytest

from tests.oracles.artifacts import DATA, DIGESTS, digests
from toolchain import Deployment

RECORDED = json.loads(DIGESTS.read_text())


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_an_artifact_of_an_earlier_version_loads_and_simulates_the_same(name):
    assert digests(Deployment.load(DATA / name)) == RECORDED[name]


def test_every_recorded_artifact_has_its_digests():
    assert {path.name for path in DATA.iterdir() if path.is_dir()} == set(RECORDED)
