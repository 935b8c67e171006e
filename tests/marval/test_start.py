"""What a run clears away before it begins."""

from pathlib import Path

from marval.pipeline import start


def test_folders_of_remembered_runs_without_a_file_go(tmp_path, monkeypatch):
    """A kill between the making of the folder and of its file leaves one, and DVC then fails on that stage for ever."""
    monkeypatch.chdir(tmp_path)
    empty, whole = (start.RUN_CACHE / name for name in ("69/697f", "3f/3fa6"))
    for folder in (empty, whole):
        folder.mkdir(parents=True)
    (whole / "d7726e").write_text("cmd: true\n")
    start.clear_remains()
    assert not empty.exists()
    assert [path.name for path in whole.iterdir()] == ["d7726e"]
    assert Path(".dvc").exists()
