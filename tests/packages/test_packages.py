"""Wheel, source distribution and editable install, each used in a clean environment of its own.

Real builds and real installs, by pip from the index that it is set up with. ``TORCH_INDEX`` in the
environment is another index, for torch. ``PYTHONS`` names further interpreters, such as
``python3.12 python3.13``, on which the wheel is used without torch.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

pytestmark = pytest.mark.packages

ROOT = Path(__file__).parents[2]
SMOKE = Path(__file__).parent / "smoke.py"
ARTIFACT = ROOT / "tests" / "oracles" / "data" / "artifacts" / "xylo_a2-channel"
CONSTRAINTS = ROOT / "constraints.txt"
TORCH_INDEX = os.environ.get("TORCH_INDEX", "")
PYTHONS = os.environ.get("PYTHONS", "").split()
MOST_MEGABYTES = 400
SETTINGS = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MYPYPATH", "MAKEFLAGS", "MAKELEVEL"}
USER = "from toolchain import deploy\n\nreveal_type(deploy)\n"
MODULE = """
import torch
from toolchain import deploy, extract
from toolchain.nn import IAFSqueeze
from toolchain.synops import SNNAnalyzer
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, bias=False), IAFSqueeze(batch_size=1))
sample = torch.ones(10, 1, 6, 6)
print(deploy(model, "speck2f", sample=sample, dt=1e-3).chip.name)
"""


def run(command, cwd):
    """Return what ``command`` prints, started as from a shell in which nothing is activated."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if key not in SETTINGS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
    return done.stdout


def environment(folder, requirement, python=sys.executable):
    """Return the Python of a new environment in which ``requirement`` is installed."""
    run([python, "-m", "venv", folder], folder.parent)
    own = folder / "bin" / "python"
    index = ["--extra-index-url", TORCH_INDEX] if TORCH_INDEX else []
    run([own, "-m", "pip", "install", *index, "-c", CONSTRAINTS, requirement], folder.parent)
    return own


def site_packages(python):
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(run([python, "-c", code], ROOT).strip())


def smoke(python, cwd):
    """Run the smoke test and return the folder that the package was imported from."""
    out = run([python, "-W", "error", SMOKE, ARTIFACT], cwd)
    return Path(out.splitlines()[-1]).parents[1]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--outdir", folder, ROOT], folder)
    return folder


@pytest.fixture(scope="session")
def wheel(built):
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def sdist(built):
    (found,) = built.glob("*.tar.gz")
    return found


def unpacked(sdist, folder):
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source


@pytest.fixture(scope="session")
def plain(wheel, tmp_path_factory):
    """Python with the wheel and without any extra."""
    return environment(tmp_path_factory.mktemp("plain") / "venv", wheel)


@pytest.fixture(scope="session")
def tested(sdist, tmp_path_factory):
    """Python with the source distribution and all that its tests need."""
    return environment(tmp_path_factory.mktemp("tested") / "venv", f"{sdist}[test]")


@pytest.fixture(scope="session")
def index(tmp_path_factory):
    """An index with nothing but a stand-in for torch, of a version that no other index has."""
    folder = tmp_path_factory.mktemp("index") / "simple" / "torch"
    folder.mkdir(parents=True)
    name = "torch-2.13.0+stand.in"
    information = f"{name}.dist-info"
    files = {
        "torch/__init__.py": '__version__ = "2.13.0+stand.in"\n',
        f"{information}/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+stand.in\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = [f"{path},sha256={digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{information}/RECORD"] = "\n".join([*record, f"{information}/RECORD,,", ""])
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    link = f'<a href="{name.replace("+", "%2B")}-py3-none-any.whl">{name}</a>'
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
    return folder.parent.as_uri()


def digest(text):
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def editable(sdist, index, tmp_path_factory):
    """Python and source folder of the install that ``make demo`` makes, torch from ``index``."""
    source = unpacked(sdist, tmp_path_factory.mktemp("editable"))
    run(["make", ".venv/.demo", f"TORCH_INDEX={index}"], source)
    return source / ".venv" / "bin" / "python", source


# ---- without torch ----


def test_the_plain_wheel_works(plain, tmp_path):
    assert smoke(plain, tmp_path) == site_packages(plain)
    run([plain, "-c", "import toolchain"], tmp_path)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("nn", "toolchain.nn needs torch: pip install 'snn-toolchain[torch]'"),
        ("plots", "toolchain.plots needs matplotlib: pip install 'snn-toolchain[report]'"),
    ],
)
def test_the_plain_wheel_names_the_extra_that_is_missing(plain, module, message, tmp_path):
    code = f"try:\n    import toolchain.{module}\nexcept ImportError as fault:\n    print(fault)"
    assert run([plain, "-c", code], tmp_path).strip() == message


def test_the_plain_wheel_and_what_it_needs_are_small(plain):
    files = (path for path in site_packages(plain).rglob("*") if path.is_file())
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    assert megabytes < MOST_MEGABYTES


@pytest.mark.skipif(not PYTHONS, reason="PYTHONS names no further interpreter")
def test_the_plain_wheel_works_on_other_pythons(wheel, tmp_path):
    for number, python in enumerate(PYTHONS):
        folder = tmp_path / str(number)
        folder.mkdir()
        own = environment(folder / "venv", wheel, python)
        assert smoke(own, folder) == site_packages(own)


# ---- with torch ----


def test_the_wheel_with_torch_takes_a_module(wheel, tmp_path):
    own = environment(tmp_path / "venv", f"{wheel}[torch]")
    assert smoke(own, tmp_path) == site_packages(own)
    assert run([own, "-c", MODULE], tmp_path).strip() == "speck2f"


def test_the_source_distribution_installs(tested, tmp_path):
    assert smoke(tested, tmp_path) == site_packages(tested)
    assert run([tested, "-c", MODULE], tmp_path).strip() == "speck2f"


def test_the_source_distribution_passes_its_own_tests(sdist, tested, tmp_path):
    source = unpacked(sdist, tmp_path)
    run([tested, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal"], source)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_the_source_distribution_holds_every_file_of_the_repository(sdist):
    tracked = set(run(["git", "ls-files"], ROOT).splitlines())
    with tarfile.open(sdist) as archive:
        names = {name.split("/", maxsplit=1)[1] for name in archive.getnames()}
    assert not tracked - names


# ---- editable, by way of the Makefile ----


def test_make_demo_takes_torch_from_the_index_that_it_is_given(editable, tmp_path):
    python, _ = editable
    code = "import torch; print(torch.__version__)"
    assert run([python, "-c", code], tmp_path).strip() == "2.13.0+stand.in"


def test_the_editable_install_works(editable, tmp_path):
    python, source = editable
    assert smoke(python, tmp_path) == source


# ---- types ----


@pytest.mark.parametrize("kind", ["plain", "tested", "editable"])
def test_mypy_sees_the_types_of_every_install(kind, request, tmp_path):
    installed = request.getfixturevalue(kind)
    python, _ = installed if kind == "editable" else (installed, None)
    (tmp_path / "mine.py").write_text(USER)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache"]
    out = run([*command, "--python-executable", python, "mine.py"], tmp_path)
    assert 'Revealed type is "def (model: Any, chip: ' in out
    assert '-> toolchain.deployment.deployment.Deployment"' in out
