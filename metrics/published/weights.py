"""Finding and hashing weights files."""

from hashlib import sha256
from pathlib import Path

from metrics.errors import UserError

BLOCK = 1 << 22


def require(path: str | Path, what: str, source: str) -> Path:
    """The path, if there is something; otherwise one line that says where to get it."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: {what} not found: get it from {source} and put it there, or give its path")
    return path


def file_sha256(path: Path) -> str:
    """sha256 of a file, or of a folder's .safetensors, .bin and .pt files together (by sorted name)."""
    inside = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [file for file in inside if file == path or file.suffix in (".safetensors", ".bin", ".pt")]
    digest = sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()


def text_sha256(lines: list[str]) -> str:
    """sha256 of a list of texts: the identity of a class list in a protocol."""
    return sha256("\n".join(lines).encode()).hexdigest()
