"""Code of another folder than the repository: what is known of files goes by their names, in the folder at hand."""

from marval.pipeline import closure


def forget() -> None:
    """What was known of files by their names."""
    for known in (closure.rendered, closure._hash, closure._tree, closure._imports, closure._named_files):
        known.cache_clear()
