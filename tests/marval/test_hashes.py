"""Content hashes of large files are remembered, and forgotten when the file changes."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo

from marval.pipeline import hashes


@pytest.fixture
def small_is_large(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hashes, "LARGE_BYTES", 4)
    hashes._remembered.cache_clear()
    yield
    hashes._remembered.cache_clear()  # it belongs to this folder


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def test_a_large_file_is_read_once(small_is_large, monkeypatch):
    path = Path("weights.bin")
    path.write_text("as published")
    assert hashes.digest(path) == md5("as published")
    before = path.stat()
    path.write_text("AS PUBLISHED")  # what nobody can see without reading: same size, same time
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hashes.digest(path) == md5("as published")
    hashes._remembered.cache_clear()  # as another process: from the file
    assert hashes.digest(path) == md5("as published")


@pytest.mark.parametrize("change", ["time", "size", "file"])
def test_a_changed_one_is_read_again(small_is_large, change):
    path = Path("weights.bin")
    path.write_text("as published")
    assert hashes.digest(path) == md5("as published")
    before = path.stat()
    text = "as published, and more" if change == "size" else "AS PUBLISHED"
    if change == "file":
        Path("new").write_text(text)
        Path("new").replace(path)
    else:
        path.write_text(text)
    later = before.st_mtime_ns + (1000 if change == "time" else 0)
    os.utime(path, ns=(before.st_atime_ns, later))
    assert hashes.digest(path) == md5(text)


@pytest.mark.parametrize("damage", ["cut", "of another kind", "one digit"])
def test_damaged_memory_is_no_failure(small_is_large, damage):
    path = Path("weights.bin")
    path.write_text("as published")
    hashes.digest(path)
    sound = hashes.REMEMBERED.read_text()
    digit = md5("as published")
    damaged = {
        "cut": "{",
        "of another kind": json.dumps(dict.fromkeys(json.loads(sound), 3)),
        "one digit": sound.replace(digit, f"{digit[:-1]}{int(digit[-1], 16) ^ 1:x}"),
    }[damage]
    assert damaged != sound
    hashes.REMEMBERED.write_text(damaged)
    hashes._remembered.cache_clear()
    assert hashes.digest(path) == md5("as published")


@pytest.fixture
def dvc(small_is_large, tmp_path, monkeypatch):
    """A project of DVC in the folder at hand."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    hashes._dvc.cache_clear()
    yield Repo.init(no_scm=True)
    hashes._dvc.cache_clear()


def test_what_dvc_has_hashed_is_not_read(dvc):
    path, made_up = Path("latents.arrow"), "0" * 32  # what reading cannot give
    path.write_text("84 GB")
    dvc.state.save(str(path.absolute()), dvc.fs, HashInfo("md5", made_up))
    assert hashes.digest(path) == made_up


def test_what_has_changed_since_dvc_hashed_it_is_read(dvc):
    path = Path("latents.arrow")
    path.write_text("84 GB")
    dvc.state.save(str(path.absolute()), dvc.fs, HashInfo("md5", "0" * 32))
    path.write_text("84 GB and more")
    assert hashes.digest(path) == md5("84 GB and more")


def test_a_hash_of_another_kind_is_not_taken(dvc):
    """As DVC made them of text before version 3."""
    path = Path("latents.arrow")
    path.write_text("84 GB")
    dvc.state.save(str(path.absolute()), dvc.fs, HashInfo("md5-dos2unix", "0" * 32))
    assert hashes.digest(path) == md5("84 GB")


def test_what_is_passing_is_no_content(tmp_path):
    """As .dvcignore has it: downloads under way and what runners leave."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "a").write_text("a")
    before = hashes.digest(folder)
    for name in ("b.part", "b.part.etag", "b.refused", ".snakemake_timestamp", "c.pyc"):
        (folder / name).write_text("x")
    assert hashes.digest(folder) == before
    (folder / "b").write_text("b")
    assert hashes.digest(folder) != before


def test_what_is_passing_is_so_for_dvc_too(root):
    lines = (root / ".dvcignore").read_text().split()
    assert {line.removeprefix("*") for line in lines} - {"__pycache__"} == set(hashes.PASSING)
