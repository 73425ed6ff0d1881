import copy
import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from tests.edited_artifacts import EDITS, files_of, mended, recorded, result, same, write
from tests.edited_artifacts import edited as edited_files
from tests.oracles.artifacts import DATA
from toolchain import Deployment, deploy
from toolchain.chips.load import family_of
from toolchain.chips.stored import chip_data, chip_of
from toolchain.diagnostics import ArtifactError
from toolchain.hardware.overlay import Overlay, write_overlay
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
    assert str(again) == str(deployment)
    assert [*again.ledger.provenance] == [*deployment.ledger.provenance]


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
    saved.chmod(0o555)
    code = (
        "import sys, numpy as np\n"
        "sys.modules |= {name: None for name in ('torch', 'matplotlib', 'samna')}\n"
        "from toolchain import Deployment\n"
        f"d = Deployment.load({str(saved)!r})\n"
        "d.simulate(np.zeros((1, 3, 1, 6, 6), int))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert {path.name for path in saved.iterdir()} == {"manifest.json", *NAMES}


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
    "latent.json",
    "latent.safetensors",
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
        ('{"format": "snn-deployment/3", "format": "", "sha256": {}}', "duplicate key 'format'"),
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


# ---- parts that do not agree ----


def test_what_lies_beside_the_program_has_to_be_its_configuration(saved):
    (saved / "config.json").write_text('{"some": "other configuration"}')
    rehash(saved)
    with pytest.raises(ArtifactError, match=r"config.json: .* is missing; restore the folder"):
        Deployment.load(saved)


def test_a_refusal_does_not_quote_the_file(saved):
    edited(saved, "chip.json", lambda data: data["specification"].update(title="\ud800"))
    with pytest.raises(ArtifactError, match=r"chip\.json: .*; restore the folder") as refused:
        Deployment.load(saved)
    assert len(str(refused.value)) < 1500


@pytest.mark.parametrize("chip", ["speck2e", "/etc/hostname", "../xylo_a2.yaml", None, ["speck2f"]])
def test_the_manifest_names_the_chip_and_no_path_is_opened(saved, chip):
    edited(saved, "manifest.json", lambda data: data.update(chip=chip))
    with pytest.raises(ArtifactError, match=r"manifest.json: chip is .*, must be 'speck2f'"):
        Deployment.load(saved)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("graph.safetensors", None),
        ("ledger.json", lambda data: data["layers"][1]["changes"][0].update(what="other")),
        ("ledger.json", lambda data: data["layers"][1]["changes"].pop()),
        ("diagnostics.json", lambda data: data["diagnostics"][0].update(message="fine")),
        ("diagnostics.json", lambda data: data["diagnostics"].clear()),
        ("activity.json", lambda data: data.update(deployment_sha256="0" * 64)),
    ],
)
def test_a_part_that_no_other_determines_cannot_be_edited_alone(saved, name, change):
    if change is None:
        arrays = load((saved / name).read_bytes())
        arrays |= {key: 2 * array for key, array in arrays.items() if key.endswith("/weight")}
        (saved / name).write_bytes(save(arrays))
        rehash(saved)
    else:
        edited(saved, name, change)
    with pytest.raises(ArtifactError, match="was not saved with the other files, or one was edit"):
        Deployment.load(saved)


def test_edited_artifacts_are_refused_or_load_bit_equal(tmp_path):
    """A few of those of ``tests/campaigns``, each kind of edit twice."""
    artifacts = recorded()
    wanted = [result(write(files, tmp_path / "saved")) for files in artifacts]
    assert not any(isinstance(each, str) for each in wanted)
    loaded = []
    for seed in range(2 * len(EDITS), 4 * len(EDITS)):
        _, _, files = edited_files(seed, artifacts)
        found = result(write(files, tmp_path / "saved"))
        if not isinstance(found, str):
            assert any(same(found, each) for each in wanted), seed
            loaded.append(seed)
    assert 0 < len(loaded) < len(EDITS)


@pytest.mark.parametrize(
    ("folder", "kind", "message"),
    [
        (None, ArtifactError, "need the path of a folder, as str or os.PathLike, got None"),
        ("", ArtifactError, "need the path of a folder"),
        (__file__, ArtifactError, "need a folder that Deployment.save wrote"),
        ("no such folder", ArtifactError, "need a folder that Deployment.save wrote"),
    ],
)
def test_what_is_no_folder_is_refused_with_what_is_wanted(folder, kind, message):
    with pytest.raises(kind, match=message):
        Deployment.load(folder)


# ---- the chip file inside ----


def own_file(folder, name, **changes):
    text = (ROOT / "hardware_specs" / "speck2f.yaml").read_text()
    for old, new in {"name: speck2f": f"name: {name}", **changes}.items():
        assert old in text
        text = text.replace(old, new, 1)
    (folder / f"{name}.yaml").write_text(text)
    return folder / f"{name}.yaml"


@pytest.mark.parametrize("name", ["my_speck", "speck2f"])
def test_an_own_chip_loads_where_its_file_is_missing(deployment, tmp_path, name):
    path = own_file(tmp_path, name, **{"value: 1.58": "value: 2.58"})
    d = deploy(deployment.graph, str(path))
    path.unlink()
    again = Deployment.load(d.save(tmp_path / "saved"))
    assert again.chip == d.chip
    assert again.chip != deployment.chip
    assert again.chip.origin == d.chip.origin != ""
    assert str(again) == str(d)
    assert again.estimate(X).as_dict() == d.estimate(X).as_dict()
    assert again.estimate(X).as_dict() != deployment.estimate(X).as_dict()
    overlay = tmp_path / "mine.yaml"
    write_overlay(Overlay(chip=name, note="none", sources={}, constants={}), overlay)
    assert again.estimate(X, overlay=overlay).power == again.estimate(X).power
    assert again.simulate(X).spikes.tolist() == d.simulate(X).spikes.tolist()


@pytest.mark.parametrize(
    ("place", "text", "severity"),
    [
        (("limits", "destinations", "value"), "limits.destinations.value: 3 -> 2", "warning"),
        (("title",), "title: 'older' -> 'Speck 2f'", "info"),
    ],
)
def test_a_built_in_chip_that_has_changed_since_is_named(
    deployment, tmp_path, place, text, severity
):
    data = chip_data(deployment.chip)
    *parents, last = place
    part = data["specification"]
    for name in parents:
        part = part[name]
    part[last] = 3 if parents else "older"
    family = family_of(chip_of(data))
    d = replace(deployment, on_chip=family.unpack(*deployment.on_chip.pack()))
    again = Deployment.load(d.save(tmp_path / "saved"))
    assert again.chip == d.chip != deployment.chip
    *before, finding = again.diagnostics
    assert tuple(before) == d.diagnostics
    assert (finding.rule, finding.severity.value) == ("chip_file", severity)
    start = "the chip file of the artifact, speck2f.yaml, is used: the built-in one has changed"
    assert finding.message == f"{start} since, {text}"
    assert "is used: the built-in one" in str(again)
    # it is found anew, not stored
    assert Deployment.load(again.save(tmp_path / "saved")).diagnostics == again.diagnostics


def test_the_former_format_says_which_own_chip_file_it_lacks(tmp_path):
    saved = Path(shutil.copytree(DATA / "speck2f-auto", tmp_path / "saved"))
    own = "file my.yaml, sha256 0123456789ab"
    files = files_of(saved)
    data = json.loads(files["ledger.json"])
    data["provenance"]["chip_file"] = own
    write(mended({**files, "ledger.json": json.dumps(data).encode()}), saved)
    with pytest.raises(ArtifactError, match=f"deployed to another chip file 'speck2f', {own}, wh"):
        Deployment.load(saved)


# ---- copies ----


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))]
)
def test_copies_are_read_only_for_good(deployment, copied):
    d = copied(deployment)
    core, node = d.program.cores[0], d.graph["conv"]
    again = copied(d.program).cores[0]
    for array in (core.weight, again.weight, node.weight, copied(d.graph)["conv"].weight):
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
            array.flags.writeable = True
    assert d.simulate(X).spikes.tolist() == deployment.simulate(X).spikes.tolist()
