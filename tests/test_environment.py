"""One set of dependencies: pyproject.toml names it, requirements.txt locks it, environment.yml installs the lock."""

import re
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def locked(root) -> dict[str, str]:
    text = (root / "requirements.txt").read_text()
    return {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.\-\[\]]+)==([^\s;\\]+)", text, re.M)
    }


def test_lock_satisfies_every_declared_dependency(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    versions = locked(root)
    for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        requirement = Requirement(line)
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, line


def test_lock_has_hashes_and_no_address(root):
    text = (root / "requirements.txt").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "-url" not in text


def test_packages_of_one_system_alone_are_marked(root):
    """Unmarked, a package without a wheel for this machine makes the whole set-up fail."""
    entries = re.findall(r"^([\w.\-]+)==([^\\\n]*)", (root / "requirements.txt").read_text(), re.M)
    markers = {name: rest.partition(";")[2] for name, rest in entries}
    of_linux = [name for name in markers if name.startswith(("nvidia-", "cuda-")) or name == "triton"]
    assert "triton" in of_linux
    assert len(of_linux) > 10
    assert all("sys_platform == 'linux'" in markers[name] for name in of_linux)
    assert all("sys_platform == 'win32'" in markers[name] for name in ("pywin32", "pyreadline3"))


def test_conda_environment_installs_the_lock(root):
    environment = yaml.safe_load((root / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r requirements.txt"]
    python = next(e for e in environment["dependencies"] if isinstance(e, str) and e.startswith("python="))
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert python.removeprefix("python=") in Requirement(f"python{project['requires-python']}").specifier


def test_installed_packages_are_the_locked_ones(root):
    from importlib.metadata import version

    for name in (
        "torch",
        "torch-fidelity",
        "open-clip-torch",
        "image-reward",
        "diffusers",
        "dvc",
        "snakemake",
    ):
        assert version(name) == locked(root)[name]
