"""Files that appear complete or not at all, and JSON files from anywhere."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metrics.errors import UserError, reason


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed to it when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_json(path: Path, advice: str) -> Any:
    """The content of a JSON file; UserError, ending in `advice`, for one that cannot be read or parsed."""
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): {advice}") from error
    except (ValueError, RecursionError) as error:  # the second for brackets in brackets without end
        raise UserError(f"{path}: not JSON ({reason(error)}): {advice}") from error
