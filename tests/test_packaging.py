"""What is shipped: versions that agree, a complete wheel, and a repository free of local traces."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import caviar_kit

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "caviar_kit"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))

# Names that differ between conda and PyPI, or between an import and its distribution.
ALIASES = {"cupy": "cupy-cuda12x", "cupyx": "cupy-cuda12x"}


def requirements() -> dict[str, SpecifierSet]:
    """Every requirement of pyproject.toml, the extras included, by canonical name."""
    lines = [*PROJECT["dependencies"], *sum(PROJECT["optional-dependencies"].values(), [])]
    parsed = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in parsed}


def constraints() -> dict[str, str]:
    """Locked versions by canonical name; anything but ``name==version`` is an error."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    locked = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in locked}


def tracked_files() -> list[Path]:
    """Files under version control that exist in the working tree."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_versions_agree() -> None:
    assert PROJECT["version"] == caviar_kit.__version__ == CITATION["version"]
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert PROJECT["license"] == CITATION["license"] == "GPL-3.0-or-later"


def test_conda_environment_agrees_with_pyproject() -> None:
    conda = [entry for entry in ENVIRONMENT["dependencies"] if isinstance(entry, str)]
    specifiers = {}
    for entry in conda:
        name, _, version = entry.partition(" ")
        # conda writes a prefix match without an operator
        specifiers[name] = SpecifierSet(f"=={version}" if version[:1].isdigit() else version)

    assert specifiers.pop("python") == SpecifierSet(PROJECT["requires-python"])
    assert specifiers.pop("pip") == SpecifierSet()
    assert specifiers == {name: requirements()[ALIASES.get(name, name)] for name in specifiers}
    fixed = {"jupyterlab", "ipywidgets", "py4dstem", "numpy", "cupy", "matplotlib", "hyperspy", "scipy"}
    assert set(specifiers) == fixed
    assert ENVIRONMENT["dependencies"][-1] == {"pip": ["-e ."]}


def test_constraints_lock_every_requirement() -> None:
    locked = constraints()
    for name, specifier in requirements().items():
        assert name in locked, f"{name} is not locked in constraints.txt"
        assert specifier.contains(locked[name]), f"{name}=={locked[name]} violates {specifier}"


def test_package_imports_only_what_it_requires() -> None:
    imported = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add((node.module or "").partition(".")[0])
    imported -= {"caviar_kit", *sys.stdlib_module_names}

    distributions = packages_distributions()
    required = requirements().keys() - {Requirement(r).name for r in PROJECT["optional-dependencies"]["dev"]}
    for module in imported:
        candidates = distributions.get(module, []) + [ALIASES.get(module, module)]
        assert required & {canonicalize_name(name) for name in candidates}, f"{module} is not required"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the checkout, built offline with the backend that is installed."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


def shipped_files() -> set[str]:
    """Everything inside the package, relative to the checkout."""
    files = (path.relative_to(ROOT) for path in PACKAGE.rglob("*") if path.is_file())
    hidden = ("__pycache__", ".")
    return {path.as_posix() for path in files if not any(part.startswith(hidden) for part in path.parts)}


def test_wheel_is_complete(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    metadata = f"caviar_kit-{PROJECT['version']}.dist-info"
    assert f"{metadata}/licenses/LICENSE" in names
    assert {name for name in names if not name.startswith(metadata)} == shipped_files()
    assert "caviar_kit/py.typed" in names


def test_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", site]
    subprocess.run([*install, wheel], check=True)
    # -I keeps PYTHONPATH and the working directory out; the first path entry beats an editable install.
    program = f"""
import sys
sys.path.insert(0, {str(site)!r})
from importlib.metadata import version
from pathlib import Path
import caviar_kit.physics
from caviar_kit.stored import load_stored_result, stored_results
assert caviar_kit.__file__.startswith({str(site)!r}), caviar_kit.__file__
assert version("caviar_kit") == caviar_kit.__version__
assert all(len(load_stored_result(name).loss) for name in stored_results())
site = Path({str(site)!r})
data = (site / "caviar_kit" / "data").rglob("*")
print(*sorted(entry.relative_to(site).as_posix() for entry in data if entry.is_file()))
"""
    found = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert found.stdout.split() == sorted(name for name in shipped_files() if "/data/" in name)


# Written so that no pattern matches its own source.
LOCAL_TRACES = re.compile(
    r"[/](work|root|home)/|python[h]osted|pypi[.]org|[a]naconda\.org|(index|extra-index)[-]url|find[-]links"
)


def test_no_local_paths_or_registries_are_tracked() -> None:
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # package data
        trace = LOCAL_TRACES.search(text)
        assert trace is None, f"{path.relative_to(ROOT)} mentions {trace.group()}"


def test_notebooks_are_stripped() -> None:
    for path in tracked_files():
        if path.suffix != ".ipynb":
            continue
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            clean = not cell.get("outputs") and cell.get("execution_count") is None
            assert clean, f"{path.relative_to(ROOT)} holds outputs"


def test_nothing_large_is_tracked() -> None:
    for path in tracked_files():
        assert path.stat().st_size < 2e6, f"{path.relative_to(ROOT)} is {path.stat().st_size / 1e6:.1f} MB"
