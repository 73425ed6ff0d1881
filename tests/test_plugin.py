"""Chip families, chip files and layers of other packages, and of the user's own folder."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.oracles.artifacts import dense
from toolchain import Deployment, compare_chips, deploy, list_chips, load_chip
from toolchain.chips import plugins
from toolchain.chips.load import load_family
from toolchain.diagnostics import ChipFileError, PluginError, PluginWarning

ROOT = Path(__file__).parents[1]
SPECS = ROOT / "hardware_specs"

USE = """
import tempfile, warnings
import numpy as np, torch
from toolchain import Deployment, compare_chips, deploy, extract, list_chips, load_chip
from toolchain.ir import Scale
from toolchain.nn import IAFSqueeze
import sys
assert "toy_plugin" not in sys.modules
assert "toy_chip" in list_chips() and "toy_plugin.family" not in sys.modules
assert load_chip("toy").name == "toy_chip"
assert load_chip("toy_chip").origin.startswith("of toy-plugin 0.1, sha256 ")
from tests.toy_contract import dense
spikes = np.random.default_rng(0).poisson(0.3, (2, 20, 6))
d = deploy(dense(6, 9, 4), "toy_chip", calibration=spikes)
assert d.ledger.provenance["chip_file"].startswith("of toy-plugin 0.1")
with tempfile.TemporaryDirectory() as folder:
    again = Deployment.load(d.save(folder + "/saved"))
assert (again.simulate(spikes).spikes == d.simulate(spikes).spikes).all()
rows = {row.chip: row for row in compare_chips(dense(6, 9, 4), calibration=spikes).rows}
assert rows["toy_chip"].fits and rows["toy_chip"].power.nominal > 100, rows["toy_chip"]
assert len(rows) == 10
from toy_plugin.modules import Doubler, Halver
model = torch.nn.Sequential(Halver(), torch.nn.Linear(6, 4, bias=False), IAFSqueeze(batch_size=1))
graph = extract(model, torch.ones(10, 6), dt=1e-3)
assert graph.of(Scale), str(graph)
try:
    extract(torch.nn.Sequential(Doubler(), *model[1:]), torch.ones(10, 6), dt=1e-3)
except ValueError as refused:
    assert "too much; use Halver" in str(refused)
else:
    raise AssertionError("taken")
print("used")
"""


def run(code, *folders):
    path = os.pathsep.join(map(str, (*folders, ROOT)))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the toy package, installed there by pip from a copy of its sources."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "tests" / "plugin", source / "plugin")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--disable-pip-version-check", "--no-build-isolation", "--target", str(target)]
    done = subprocess.run(
        [*command, str(source / "plugin")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


def test_an_installed_package_adds_a_family_a_chip_and_a_layer(installed):
    done = run(USE, installed)
    assert done.stdout == "used\n", done.stderr


def test_the_toy_family_passes_the_kit(installed):
    code = "import pytest, sys; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-ra', "
    done = run(code + "'tests/toy_contract.py']))", installed)
    assert done.returncode == 0, done.stdout
    assert "toy_chip: its family declares no training" in done.stdout
    assert "no sessions" not in done.stdout


# ---- what is built in ----


def test_the_table_of_what_is_built_in_is_that_of_our_own_metadata():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    table = {group: dict(names) for group, names in plugins.BUILT_IN.items()}
    assert project["entry-points"] == table
    assert set(table["snn_toolchain.chips"]) == {path.stem for path in SPECS.glob("*.yaml")}


def test_a_bare_tree_on_the_path_has_every_chip():
    code = "import sys; sys.path = [p for p in sys.path if 'importlib' not in p]\n"
    code += "import importlib.metadata as m; m.entry_points = lambda **_: ()\n"
    code += "from toolchain import list_chips, load_chip; print(len(list_chips()))\n"
    code += "from toolchain.chips.load import load_family; print(load_family('xylo').TITLE)"
    assert run(code).stdout.split() == ["9", "Xylo"]


def test_metadata_of_another_version_of_ours_changes_nothing(tmp_path):
    metadata = tmp_path / "snn_toolchain-0.0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: snn-toolchain\nVersion: 0.0.1\n"
    )
    (metadata / "entry_points.txt").write_text(
        "[snn_toolchain.families]\nxylo = toolchain.old:face\nolder = toolchain.older:face\n"
        "[snn_toolchain.chips]\nspeck9 = toolchain.hardware_specs\n"
    )
    code = (
        "from toolchain import list_chips, load_chip; from toolchain.chips.load import families\n"
    )
    code += "print(len(list_chips()), *(family.NAME for family in families()))"
    done = run(code, tmp_path)
    assert done.stdout.split() == ["9", "speck", "xylo"], done.stderr


# ---- broken plug-ins ----


@pytest.fixture
def broken(tmp_path):
    """A package whose family cannot be imported, and that takes the name of a built-in chip."""
    package, metadata = tmp_path / "broken_plugin", tmp_path / "broken_plugin-0.3.dist-info"
    package.mkdir()
    metadata.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('made for another release')")
    text = (SPECS / "xylo_a2.yaml").read_text()
    text = text.replace("name: xylo_a2", "name: broken_chip").replace("family: xylo", "family: odd")
    text = text.replace("aliases: [xylo, xylo_audio_2]", "aliases: [oddity]")
    text = text.replace("vendor_ids: [syns61201, xyloa2testboard]", "vendor_ids: [oddboard]")
    (package / "broken_chip.yaml").write_text(text)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 0.3\n")
    (metadata / "entry_points.txt").write_text(
        "[snn_toolchain.families]\nodd = broken_plugin:Odd\n"
        "[snn_toolchain.chips]\nbroken_chip = broken_plugin\nmissing_chip = broken_plugin\n"
        "xylo_a2 = broken_plugin\n"
    )
    return tmp_path


def test_a_broken_plug_in_is_named_and_harms_nothing_else(broken):
    code = """
import warnings
from toolchain import compare_chips, deploy, list_chips, load_chip
from tests.oracles.artifacts import dense
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    names = list_chips()
print(sorted(str(w.message) for w in caught))
print("broken_chip" in names, "missing_chip" in names, load_chip("xylo_a2").origin == "")
warnings.simplefilter("ignore")
print(deploy(dense((8, 20, 4)), "xylo", quantizer="channel").chip.name)
try:
    load_chip("broken_chip")
except RuntimeError as fault:
    print(type(fault).__name__, fault)
rows = {row.chip: row for row in compare_chips(dense((8, 20, 4))).rows}
print(rows["xylo_a2"].fits, rows["broken_chip"].blocker)
"""
    done = run(code, broken)
    assert done.stdout.splitlines() == [
        "[\"plug-in 'missing_chip' of broken-plugin 0.3 is skipped: no file missing_chip.yaml in "
        "broken_plugin\", \"plug-in 'xylo_a2' of broken-plugin 0.3 is skipped: its name is "
        "already used by 'xylo_a2' of snn-toolchain\"]",
        "True False True",
        "xylo_a2",
        "PluginError plug-in 'odd' of broken-plugin 0.3 cannot be loaded: RuntimeError: made for "
        "another release",
        "True error[plug_in] network: plug-in 'odd' of broken-plugin 0.3 cannot be loaded: "
        "RuntimeError: made for another release",
    ], done.stderr


def test_a_class_that_lacks_a_part_of_the_contract_is_refused(monkeypatch):
    plugin = plugins.Plugin(
        group="snn_toolchain.families", name="half", value="builtins:int", package="half 1"
    )
    monkeypatch.setattr(plugins, "find", lambda group: {"half": plugin})
    load_family.cache_clear()
    with pytest.raises(
        PluginError, match=r"plug-in 'half' of half 1 is not a chip family: missing APPROX"
    ):
        load_family("half")
    load_family.cache_clear()


def test_a_class_that_only_derives_from_the_contract_is_refused_with_the_missing_members(broken):
    (broken / "broken_plugin" / "__init__.py").write_text("""
from toolchain.chips.contract import Family
from toolchain.hardware import SpecBase
class Odd(Family):
    NAME, TITLE, SPEC, QUANTIZERS = "odd", "Odd", SpecBase, ("plain",)
    def shape(self, graph):
        return graph
""")
    code = """
from toolchain.chips.load import load_family
try:
    load_family("odd")
except RuntimeError as fault:
    print(fault)
"""
    done = run(code, broken)
    assert done.stdout.strip() == (
        "plug-in 'odd' of broken-plugin 0.3 is not a chip family: missing can_lower, check_graph, "
        "chip, lags, lower, on, quantize, unpack"
    ), done.stderr


@pytest.mark.parametrize(("member", "base"), [("SPEC", "SpecBase"), ("OPTIONS", "Options")])
def test_a_family_whose_models_are_of_another_kind_is_refused(broken, member, base):
    (broken / "broken_plugin" / "__init__.py").write_text(
        "from toolchain.chips.xylo.family import Xylo\n"
        f"class Odd(Xylo):\n    NAME, {member} = 'odd', dict\n"
    )
    code = """
import warnings; warnings.simplefilter("ignore")
from toolchain import compare_chips
from tests.oracles.artifacts import dense
rows = {row.chip: row for row in compare_chips(dense((8, 20, 4))).rows}
print(rows["xylo_a2"].fits, rows["broken_chip"].blocker)
"""
    done = run(code, broken)
    assert done.stdout.strip() == (
        "True error[plug_in] network: plug-in 'odd' of broken-plugin 0.3 is not a chip family: "
        f"{member} must be a class derived from {base}, got <class 'dict'>"
    ), done.stderr


def test_a_family_that_fails_has_a_row_with_the_reason_and_harms_no_other_chip(broken):
    (broken / "broken_plugin" / "__init__.py").write_text("""
from typing import Literal
from toolchain.chips.xylo.family import Xylo
from toolchain.chips.xylo.spec import XyloChip
class OddChip(XyloChip):
    family: Literal["odd"]
class Odd(Xylo):
    NAME, SPEC = "odd", OddChip
""")
    code = """
import warnings; warnings.simplefilter("ignore")
import numpy as np
import broken_plugin
from toolchain import compare_chips
from tests.oracles.artifacts import dense
def fails(*rest):
    raise KeyError("half done")
use = {"spikes": np.ones((1, 9, 8))}
for method in ("on", "shape", "check_graph", "quantize", "lower"):
    setattr(broken_plugin.Odd, method, classmethod(fails) if method == "on" else fails)
    rows = {row.chip: row for row in compare_chips(dense((8, 20, 4)), **use).rows}
    print(rows["xylo_a2"].fits, rows["broken_chip"].blocker)
    try:
        compare_chips(dense((8, 20, 4)), ["broken_chip"], **use)
    except KeyError as fault:
        print(fault)
    delattr(broken_plugin.Odd, method)
"""
    done = run(code, broken)
    assert done.stdout.splitlines() == 5 * [
        "True error[plug_in] network: family 'odd' fails: KeyError: 'half done'",
        "'half done'",
    ], done.stderr


def test_a_plug_in_that_ends_the_program_is_named_instead(broken):
    (broken / "broken_plugin" / "__init__.py").write_text("raise SystemExit('no licence')")
    code = """
from toolchain.chips.load import load_family
try:
    load_family("odd")
except RuntimeError as fault:
    print(fault)
"""
    done = run(code, broken)
    assert done.stdout.strip() == (
        "plug-in 'odd' of broken-plugin 0.3 cannot be loaded: SystemExit: no licence"
    ), done.stderr


def test_layers_of_torch_are_no_plug_ins_to_change(broken):
    (broken / "broken_plugin" / "__init__.py").write_text("LAYERS, REFUSED = {}, {'Linear': 'no'}")
    (broken / "broken_plugin-0.3.dist-info" / "entry_points.txt").write_text(
        "[snn_toolchain.layers]\ntorch = broken_plugin\ntoolchain = broken_plugin\n"
    )
    code = """
import torch
from toolchain import extract
from toolchain.nn import IAFSqueeze
model = torch.nn.Sequential(torch.nn.Linear(6, 4, bias=False), IAFSqueeze(batch_size=1))
print(*extract(model, torch.ones(10, 6), dt=1e-3).nodes)
"""
    done = run(code, broken)
    assert done.stdout.split() == ["input", "0", "1", "output"], done.stderr


def test_an_unknown_family_says_how_one_is_added(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text((SPECS / "xylo_a2.yaml").read_text().replace("family: xylo", "family: other"))
    with pytest.raises(ChipFileError, match=r"family: is 'other', must be one of speck, xylo; a "):
        load_chip(path)


# ---- the user's own folder ----


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SNN_TOOLCHAIN_CHIPS", str(tmp_path))
    return tmp_path


def own(folder, name, aliases="mine"):
    text = (SPECS / "xylo_a2.yaml").read_text().replace("name: xylo_a2", f"name: {name}")
    text = text.replace("aliases: [xylo, xylo_audio_2]", f"aliases: [{aliases}]")
    text = text.replace("vendor_ids: [syns61201, xyloa2testboard]", "vendor_ids: [myboard]")
    (folder / f"{name}.yaml").write_text(text)


def test_a_file_in_the_users_folder_is_a_chip_and_shows_in_provenance(folder):
    assert "my_chip" not in list_chips()
    own(folder, "my_chip")
    assert "my_chip" in list_chips()
    assert load_chip("MINE").name == load_chip("myboard").name == "my_chip"
    d = deploy(dense((8, 20, 4)), "my_chip", quantizer="channel")
    assert d.chip.origin == d.ledger.provenance["chip_file"]
    assert d.chip.origin.startswith("my_chip.yaml in the user's chip folder, sha256 ")
    assert "chip_file: my_chip.yaml in the user's chip folder" in str(d)
    again = Deployment.load(d.save(folder / "saved"))
    assert again.chip == d.chip
    chips = {row.chip for row in compare_chips(dense((8, 20, 4)), ["my_chip", "xylo"]).rows}
    assert chips == {"my_chip", "xylo_a2"}


@pytest.mark.parametrize("name", ["speck2f", "xylo"])
def test_a_file_that_takes_the_name_of_a_built_in_chip_is_refused_naming_both(folder, name):
    own(folder, name)
    text = rf"{name} \({name}.yaml in the user's chip folder\) is skipped: its name is already "
    with pytest.warns(PluginWarning, match=text + r"used by (speck2f|xylo_a2) \(built in\)"):
        names = list_chips()
    assert len(names) == 9
    with pytest.warns(PluginWarning):
        assert load_chip(name).origin == ""


def test_a_file_that_takes_an_alias_of_a_built_in_chip_is_refused_naming_both(folder):
    own(folder, "my_chip", aliases="speck")
    text = r"aliases: 'speck' of my_chip is already a name of speck2f \(built in\)"
    with pytest.raises(ChipFileError, match=text):
        load_chip("my_chip")
    assert load_chip("speck").name == "speck2f"


def test_a_damaged_file_in_the_folder_harms_no_other_chip(folder):
    (folder / "damaged.yaml").write_text("name: [")
    own(folder, "my_chip")
    with pytest.warns(PluginWarning, match=r"damaged \(damaged.yaml in the user's chip folder\)"):
        assert load_chip("mine").name == "my_chip"
    assert load_chip("xylo").name == "xylo_a2"
    with pytest.raises(ChipFileError, match="line 1"):
        load_chip("damaged")
    rows = {row.chip: row for row in compare_chips(dense((8, 20, 4))).rows}
    assert "line 1" in rows["damaged"].blocker.message
    assert rows["xylo_a2"].fits


def test_a_file_with_capitals_in_its_name_is_reported_and_harms_no_other_chip(folder):
    own(folder, "MyChip")
    for name in ("MyChip", "mychip", "mine"):
        with pytest.raises(ChipFileError, match=r"name: must be .*got 'MyChip'"):
            load_chip(name)
    rows = {row.chip: row for row in compare_chips(dense((8, 20, 4))).rows}
    assert "got 'MyChip'" in rows["mychip"].blocker.message
    assert rows["xylo_a2"].fits


def test_a_name_with_capitals_that_a_built_in_chip_has_is_taken(folder):
    own(folder, "XYLO_A2")
    with pytest.warns(
        PluginWarning, match=r"XYLO_A2 .* its name is already used by xylo_a2 \(built in\)"
    ):
        assert len(list_chips()) == 9


def test_an_alias_of_two_files_of_the_folder_is_the_first_ones_with_a_warning(folder):
    own(folder, "my_chip")
    own(folder, "your_chip", aliases="mine")
    text = r"'(mine|myboard)', a name of your_chip .*, is skipped: it is one of my_chip"
    with pytest.warns(PluginWarning, match=text):
        assert load_chip("mine").name == "my_chip"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_in_the_folder_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.yaml")
    with pytest.raises(ChipFileError, match=r"pipe.yaml: cannot be read: is not a file"):
        load_chip("pipe")
    own(folder, "my_chip")
    with pytest.warns(PluginWarning, match="is not a file"):
        assert load_chip("mine").name == "my_chip"


def test_the_folder_may_be_given_from_the_home_folder(folder, monkeypatch):
    own(folder, "my_chip")
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    monkeypatch.setenv("SNN_TOOLCHAIN_CHIPS", f"~/{folder.name}")
    assert load_chip("my_chip").name == "my_chip"


@pytest.mark.parametrize("name", ["absent", 300 * "a"])
def test_a_folder_that_is_not_there_is_warned_of(folder, monkeypatch, name):
    monkeypatch.setenv("SNN_TOOLCHAIN_CHIPS", str(folder / name))
    with pytest.warns(
        PluginWarning, match=rf"SNN_TOOLCHAIN_CHIPS=.*{name} .*the folder does not exist"
    ):
        assert len(list_chips()) == 9


def test_without_the_variable_the_platforms_folder_is_read(tmp_path, monkeypatch):
    monkeypatch.delenv("SNN_TOOLCHAIN_CHIPS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    import platformdirs

    chips = platformdirs.user_config_path("snn-toolchain", appauthor=False) / "chips"
    chips.mkdir(parents=True)
    own(chips, "my_chip")
    assert "my_chip" in list_chips()
