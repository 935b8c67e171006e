"""Mistakes that tests of presets and of their lists put into files."""

from pathlib import Path


def spoil(path: Path, old: str, new: str) -> None:
    """Replace the first `old`, which has to be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
