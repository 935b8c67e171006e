"""The published files that full-scale presets start from: which there are, where they lie, whether they are the right ones.

`workflow/weights.yaml` names them; they live in `weights/NAME/` at the root, fetched by `make weights` or put there by hand.
"""

from marval.weights.registry import WEIGHTS, RemoteFile, Wanted, WeightsFile, path_of, registry, wanted
from marval.weights.store import fetch, missing, require, sha256_of

__all__ = [
    "WEIGHTS",
    "RemoteFile",
    "Wanted",
    "WeightsFile",
    "fetch",
    "missing",
    "path_of",
    "registry",
    "require",
    "sha256_of",
    "wanted",
]
