import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from toolchain import Deployment, deploy
from toolchain.diagnostics import ArtifactError
from toolchain.ir import Conv2d, Flatten, Graph, Input, Linear, Neuron, Output

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def deployment():
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input(shape=(1, 6, 6)),
        "conv": Conv2d(weight=rng.normal(size=(2, 1, 3, 3)), bias=rng.normal(size=2)),
        "if1": Neuron(shape=(2, 4, 4), v_threshold=1.0, v_min=-1.0),
        "flat": Flatten(),
        "fc": Linear(weight=rng.normal(size=(3, 32))),
        "if2": Neuron(shape=(3,), v_threshold=1.0),
        "output": Output(),
    }
    return deploy(Graph.chain(nodes, dt=1e-3, provenance={"model": "Net"}), chip="speck2f")


@pytest.fixture
def saved(deployment, tmp_path):
    return deployment.save(tmp_path / "net")


X = (np.random.default_rng(1).random((2, 20, 1, 6, 6)) < 0.3).astype(int)


def test_everything_comes_back(deployment, saved):
    again = Deployment.load(saved)
    np.testing.assert_array_equal(again.simulate(X).spikes, deployment.simulate(X).spikes)
    np.testing.assert_array_equal(again.reference(X).spikes, deployment.reference(X).spikes)
    assert str(again.graph) == str(deployment.graph)
    assert again.graph.provenance == {"model": "Net"}
    assert str(again.quantized) == str(deployment.quantized)
    assert str(again.program) == str(deployment.program)
    assert again.config() == deployment.config()
    assert again.diagnostics == deployment.diagnostics
    assert again.ledger == deployment.ledger
    assert again.placement == deployment.placement


def test_the_same_deployment_writes_the_same_bytes(deployment, saved, tmp_path):
    other = deployment.save(tmp_path / "other")
    for file in saved.iterdir():
        assert file.read_bytes() == (other / file.name).read_bytes()


def test_a_layer_may_be_called_input_and_is_counted_by_itself():
    rng = np.random.default_rng(0)
    nodes = {
        "camera": Input(shape=(1, 6, 6)),
        "conv": Conv2d(weight=rng.normal(size=(2, 1, 3, 3))),
        "input": Neuron(shape=(2, 4, 4), v_threshold=1.0),
        "output": Output(),
    }
    d = deploy(Graph.chain(nodes, dt=1e-3), chip="speck2f")
    first, layer = d.estimate(X).activity.layers
    assert (first.name, first.spikes_per_step) == ("camera", X.sum() / 40)
    assert (layer.name, layer.spikes_per_step) == ("input", d.simulate(X).spikes.sum() / 40)
    rates = {"camera": 300.0, "input": 1.0}
    assert d.estimate(rates=rates, steps=20).activity.layers[0].spikes_per_step == 0.3 * 36


def test_loading_and_simulating_needs_no_torch(saved):
    code = (
        "import sys, numpy as np\n"
        "from toolchain import Deployment\n"
        f"d = Deployment.load({str(saved)!r})\n"
        "d.simulate(np.zeros((1, 3, 1, 6, 6), int))\n"
        "assert not {'torch', 'matplotlib', 'samna'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_nothing_is_pickled(saved):
    assert {file.suffix for file in saved.iterdir()} == {".json", ".safetensors"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("part", ["manifest.json", "config.json", "program.safetensors"])
def test_a_pipe_in_place_of_a_part_is_refused_at_once(saved, part):
    (saved / part).unlink()
    os.mkfifo(saved / part)
    with pytest.raises(ArtifactError, match=f"{part}: is not a file"):
        Deployment.load(saved)


NAMES = (
    "chip.json",
    "config.json",
    "diagnostics.json",
    "graph.json",
    "graph.safetensors",
    "ledger.json",
    "activity.json",
    "program.json",
    "program.safetensors",
    "quantized.json",
    "quantized.safetensors",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_file_is_refused_by_name(saved, name):
    data = bytearray((saved / name).read_bytes())
    data[len(data) // 2] ^= 1
    (saved / name).write_bytes(data)
    with pytest.raises(ArtifactError, match=f"{name}: is not the file that was saved"):
        Deployment.load(saved)


@pytest.mark.parametrize("name", ["manifest.json", *NAMES])
def test_a_missing_file_is_refused_by_name(saved, name):
    (saved / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name}: No such file"):
        Deployment.load(saved)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("", "manifest.json: Expecting value"),
        ("[]", "manifest.json: is not a JSON object"),
        (
            '{"format": "snn-deployment/9"}',
            "format is 'snn-deployment/9', need 'snn-deployment/3'; load it with the release that "
            "wrote it",
        ),
        (
            '{"format": "snn-deployment/1"}',
            "format is 'snn-deployment/1', need 'snn-deployment/3'; deploy the network again$",
        ),
        ("[" * 100_000, "manifest.json: "),
        ('{"format": "snn-deployment/3", "sha256": 3}', "sha256 must list the files"),
        ('{"format": "snn-deployment/3", "format": "", "sha256": {}}', "'format' is repeated"),
        ('{"format": "snn-deployment/3", "sha256": {"../../etc/passwd": ""}}', "passwd: "),
    ],
)
def test_a_damaged_manifest_is_refused(saved, manifest, message):
    (saved / "manifest.json").write_text(manifest)
    with pytest.raises(ArtifactError, match=message):
        Deployment.load(saved)


def rehash(saved):
    """Make the manifest agree with the files, as someone who tampers would."""
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["sha256"] = {
        name: hashlib.sha256((saved / name).read_bytes()).hexdigest() for name in NAMES
    }
    (saved / "manifest.json").write_text(json.dumps(manifest))


def edited(saved, name, change):
    data = json.loads((saved / name).read_text())
    change(data)
    (saved / name).write_text(json.dumps(data))
    rehash(saved)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("program.json", lambda data: data["data"].update(format="other")),
        ("program.json", lambda data: data["data"].pop("cores")),
        ("program.json", lambda data: data.pop("shapes")),
        ("program.json", lambda data: data["shapes"].clear()),
        ("graph.json", lambda data: data["data"]["nodes"].pop()),
        ("graph.json", lambda data: data["data"]["nodes"][0].update(kind="Popen")),
        ("diagnostics.json", lambda data: data["diagnostics"].append({"rule": "x"})),
        ("diagnostics.json", lambda data: data.pop("diagnostics")),
        ("ledger.json", lambda data: data.pop("layers")),
        ("ledger.json", lambda data: data.update(provenance={"dt": 3})),
        ("ledger.json", lambda data: data.update(samples="many")),
        ("activity.json", lambda data: data.pop("activity")),
        ("activity.json", lambda data: data.update(activity={"dt": 1e-3})),
        ("ledger.json", lambda data: data["layers"][0].update(kind=3)),
        ("ledger.json", lambda data: data["layers"][0].update(effect={"trained": 1})),
        ("ledger.json", lambda data: data["layers"][1]["changes"][0].update(fidelity="fine")),
        ("ledger.json", lambda data: data["layers"][1]["changes"][0].update(before=[1])),
        ("ledger.json", lambda data: data["layers"][1]["changes"][0].update(error="0")),
    ],
)
def test_a_tampered_file_with_the_right_hash_is_refused_all_the_same(saved, name, change):
    edited(saved, name, change)
    with pytest.raises(ArtifactError):
        Deployment.load(saved)


def test_a_broken_tensor_file_with_the_right_hash_is_refused(saved):
    (saved / "program.safetensors").write_bytes(b"\xff" * 64)
    rehash(saved)
    with pytest.raises(ArtifactError, match="program: "):
        Deployment.load(saved)
