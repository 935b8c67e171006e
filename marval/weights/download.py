"""Downloads that survive: resumed where they broke off, refused where they are not what was asked for.

A download grows in NAME.part beside its place and is renamed when it is complete. The server's ETag is kept in NAME.part.etag, so
that two versions of a file are never joined.
"""

from __future__ import annotations

import fcntl
import http
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import requests

from marval.errors import UserError
from marval.progress import Progress
from marval.weights.identity import RefusedError, verify
from marval.weights.registry import Wanted

TIMEOUT = (10.0, 60.0)  # to connect, to wait for the next bytes
BLOCK = 1 << 20
MEGA = 1_000_000
AGAIN = (http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, http.HTTPStatus.TOO_MANY_REQUESTS)


class UnavailableError(Exception):
    """Why a file cannot be had from an address."""


class _NoConnectionError(UnavailableError):
    """The address was not reached at all."""


def download(item: Wanted, waits: Sequence[float]) -> None:
    """Fetch and check a file from the first address that has it; UnavailableError gives the reason for each.

    waits: seconds before each new attempt.
    """
    reasons = []
    for url in item.file.urls:
        try:
            _fetch(url, item, waits)
            verify(item)
            return
        except (UnavailableError, RefusedError) as error:
            reasons.append(str(error))
    raise UnavailableError("; ".join(reasons))


def _fetch(url: str, item: Wanted, waits: Sequence[float]) -> None:
    item.path.parent.mkdir(parents=True, exist_ok=True)
    part = item.path.with_name(f"{item.path.name}.part")
    with _alone(part) as stream:
        before = stream.tell()
        for wait in (*waits, None):
            try:
                _attempt(url, item, stream)
                break
            except (requests.RequestException, _NoConnectionError) as error:
                hopeless = isinstance(error, _NoConnectionError) and stream.tell() <= before
                if wait is None or hopeless:
                    raise UnavailableError(_reason(error)) from error
                time.sleep(wait)
    os.replace(part, item.path)
    _etag_file(part).unlink(missing_ok=True)


@contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    with part.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{part}: another process is fetching it: wait for that one") from None
        try:
            yield stream
        finally:
            if not stream.tell():
                part.unlink()  # nothing has come


def _attempt(url: str, item: Wanted, stream: BinaryIO) -> None:
    """Add to the part what it lacks; a RequestException leaves it to be resumed by the next attempt."""
    part, have = Path(stream.name), stream.tell()
    with _connect(url, _range(part, have)) as response:
        offered = response.headers.get("Content-Range", "")
        if (
            response.status_code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            and offered == f"bytes */{have}"
        ):
            return  # it was complete already
        if not offered.startswith(f"bytes {have}-"):  # the server starts at the beginning
            have = stream.seek(0)
            stream.truncate()
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        _check(response, item, total)
        _etag_file(part).write_text(response.headers.get("ETag", ""))
        label, megabytes = f"{item.name}/{item.file.path}", -(-(total or 0) // MEGA)
        with Progress(label, megabytes, "MB", have // MEGA) as progress:
            for block in response.iter_content(BLOCK):
                done = stream.tell()
                stream.write(block)
                progress.advance((done + len(block)) // MEGA - done // MEGA)
            progress.advance(megabytes - stream.tell() // MEGA)  # the last, started one


def _range(part: Path, have: int) -> dict[str, str]:
    if not have:
        return {}
    etag = _etag_file(part).read_text() if _etag_file(part).is_file() else ""
    strong = etag and not etag.startswith("W/")
    return {"Range": f"bytes={have}-", **({"If-Range": etag} if strong else {})}


def _connect(url: str, headers: dict[str, str]) -> requests.Response:
    try:
        return requests.get(
            url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity", **headers}
        )
    except requests.ConnectionError as error:
        kind = "" if type(error) is requests.ConnectionError else f" ({type(error).__name__})"
        raise _NoConnectionError(f"no connection to {urlsplit(url).hostname}{kind}") from error


def _check(response: requests.Response, item: Wanted, total: int | None) -> None:
    """Whether the answer is worth reading: HTTPError if a later one may be, UnavailableError if none will be."""
    status, host = response.status_code, urlsplit(response.url).hostname
    if status in AGAIN or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        response.raise_for_status()
    if status >= http.HTTPStatus.BAD_REQUEST:
        raise UnavailableError(f"{host} answers {status} {response.reason}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise UnavailableError(f"{host} answers with a web page instead of the file")
    if item.file.bytes and total and item.file.bytes != total:
        raise UnavailableError(f"{host} offers {total} bytes instead of {item.file.bytes}")


def _reason(error: Exception) -> str:
    if isinstance(error, (UnavailableError, requests.HTTPError)):
        return str(error)
    return f"the connection breaks off ({type(error).__name__})"


def _etag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")
