"""Downloads of weights: written aside, verified and renamed, so that no partial one is ever used.

They are kept in the cache of ``torch.hub``, so that files that users already have are found. By
torch's convention a name such as ``alexnet-owt-7be5be79.pth`` ends in the first digits of the
file's SHA-256; such a file is verified whenever it is used. Any other gets a note ``<name>.sha256``
beside it, in the format of ``sha256sum``, once it is complete. A file without a note was put there
by torch or by the user, and is used without verification.

A process can be killed at any moment without harm, as an old note is removed before a download and
the new one is written after it: there is no file, a complete file without a note, or both.
"""

from __future__ import annotations

import filecmp
import hashlib
import logging
import os
import re
import time
from collections.abc import Generator
from contextlib import closing, suppress
from glob import escape
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, url2pathname, urlopen

import torch

from pipeline.errors import NetworkError, StoreError
from pipeline.store.files import write_whole
from pipeline.store.secrets import without_query

SCHEMES = ("http://", "https://", "file://")

# torch.hub.HASH_REGEX would also read the 50 of resnet-50.pth as digits of a digest.
_DIGITS = re.compile(r"-([a-f0-9]{8,64})\.")
_CHUNK = 1 << 20  # bytes
_SILENCE = 60.0  # seconds without data after which a connection is closed
_LEFT = 24 * 3600.0  # seconds without writes after which a file counts as left by a killed process
_REMEDY = "give model.weights the path of a file, or model.weights=random"

log = logging.getLogger(__name__)


def download(url: str) -> Path:
    """Return the verified file of a URL, from torch's cache or downloaded into it.

    Processes that download the same file at the same time work independently; the last complete
    file replaces the others. A damaged file in the cache is set aside as ``<name>.damaged``.

    Args:
        url: URL with one of ``SCHEMES``.

    Raises:
        NetworkError: the URL names no file, the server rejects the request or cannot be reached,
            the file is shorter than announced or has another digest, the cache cannot be used, or
            holds a file of the same name from elsewhere.
    """
    path = _place(url)
    try:
        if not _usable(path, url):
            _fetch(url, path)
    except (StoreError, OSError) as error:  # those of the connection are NetworkErrors by now
        raise NetworkError(
            f"model.weights: '{without_query(url)}' could not be downloaded ('{path.parent}' cannot"
            f" be used: {_text(error.__cause__ or error)}); set TORCH_HOME to another folder, or"
            " give model.weights the path of a file"
        ) from error
    return path


def cached(url: str) -> Path | None:
    """Return the path of the file of a URL in the cache, unverified, or None if it is not there.

    Raises:
        NetworkError: the URL names no file.
    """
    path = _place(url)
    return path if path.is_file() else None


def _place(url: str) -> Path:
    """Return the path at which torch would look for the file."""
    try:
        name = urlsplit(url).path.rpartition("/")[2]
    except ValueError as error:
        raise _refused(url, str(error)) from error
    if name in ("", ".", ".."):
        raise _refused(url, "the URL names no file")
    return Path(torch.hub.get_dir(), "checkpoints", name)


def _refused(url: str, reason: str) -> NetworkError:
    return NetworkError(
        f"model.weights: '{without_query(url)}' could not be downloaded ({reason}); {_REMEDY}"
    )


def _usable(path: Path, url: str) -> bool:
    """Return whether the cache holds the file; a damaged one is set aside."""
    try:
        with path.open("rb") as file:
            expected = _digits(path) or _noted_digest(path, url)
            digest = hashlib.file_digest(file, "sha256").hexdigest() if expected else ""
            read = os.fstat(file.fileno())
        if digest.startswith(expected):
            return not _is_other(path, url)
        if not os.path.samestat(read, path.stat()):  # another process replaced it meanwhile
            return _usable(path, url)
        aside = path.replace(path.with_name(f"{path.name}.damaged"))
    except FileNotFoundError:
        return False
    log.warning(
        "'%s' is damaged (its SHA-256 is %s, not %s): set aside as '%s', downloaded again",
        path,
        digest,
        expected,
        aside.name,
    )
    return False


def _is_other(path: Path, url: str) -> bool:
    """Return whether a complete file in the cache may differ from the current file of a URL.

    A server may give another file for every query, and a local file may have been written anew.
    """
    if _digits(path):
        return False
    if url.startswith("file://"):
        source = Path(url2pathname(urlsplit(url).path))
        return source.is_file() and not filecmp.cmp(source, path, shallow=False)
    try:
        lines = _note(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return False
    ours = any(line.startswith("# from ") for line in lines)
    return ours and [line for line in lines if line.startswith("# query ")] != _query(url)


def _query(url: str) -> list[str]:
    """Return a line with a digest of the query, if any, which itself may contain a secret."""
    query = urlsplit(url).query
    return [f"# query {hashlib.sha256(query.encode()).hexdigest()[:16]}"] if query else []


def _digits(path: Path) -> str:
    found = _DIGITS.search(path.name)
    return found[1] if found else ""


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _noted_digest(path: Path, url: str) -> str:
    """Return the digest in the note of a file, or nothing if there is no note.

    Raises:
        NetworkError: the file came from elsewhere; many models are called ``model.safetensors``.
    """
    try:
        lines = _note(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    for line in lines:
        origin = line.removeprefix("# from ")
        if origin != line and origin != _origin(url):
            raise NetworkError(
                f"model.weights: '{path}' was downloaded from {origin}, and"
                f" '{without_query(url)}' has the same file name; remove that file, or give"
                " model.weights the path of the one to use"
            )
    digests = [line.split()[0].lower() for line in lines if line.strip() and line[0] != "#"]
    return digests[0] if digests else ""


def _origin(url: str) -> str:
    """Return host and path, without query and user, which may contain secrets or change."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] + parts.path


def _fetch(url: str, path: Path) -> None:
    """Download a file; ``path`` is only replaced once it is complete and verified."""
    expected, note = _digits(path), _note(path)
    digest = hashlib.sha256()

    def receive(temporary: Path) -> None:
        with temporary.open("wb") as file, closing(_received(url)) as chunks:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        found = digest.hexdigest()
        if not found.startswith(expected):
            raise _refused(url, f'invalid hash value (expected "{expected}", got "{found}")')

    _clear(path)
    if not expected:
        note.unlink(missing_ok=True)  # the note of an earlier file would not match this one
    write_whole(path, receive)
    if not expected:
        lines = [f"# from {_origin(url)}", *_query(url), f"{digest.hexdigest()}  {path.name}"]
        text = "\n".join(lines) + "\n"
        write_whole(note, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _clear(path: Path) -> None:
    """Remove leftovers of killed downloads of the same file (names of ``write_whole``)."""
    for left in path.parent.glob(f".{escape(path.stem)}-*{escape(path.suffix)}"):
        with suppress(OSError):  # a colleague's, or cleared by another process
            if time.time() - left.stat().st_mtime > _LEFT:
                left.unlink()


def _received(url: str) -> Generator[bytes, None, None]:
    """Yield the content of a URL in chunks, and log once that the download has started.

    Raises:
        NetworkError: it cannot be downloaded, or ends before its announced length.
    """
    received = 0
    try:
        request = Request(url, headers={"User-Agent": "artiphys"})
        with urlopen(request, timeout=_SILENCE) as response:
            announced = str(response.headers.get("Content-Length") or "")
            _tell(url, announced)
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                yield chunk
    except (OSError, HTTPException, ValueError) as error:
        raise _refused(url, _reason(error, url)) from error
    if announced.isdecimal() and received != int(announced):
        raise _refused(url, f"it ended after {received} of {announced} bytes")


def _tell(url: str, announced: str) -> None:
    size = f"{int(announced) / 1e6:.1f} MB" if announced.isdecimal() else "of unknown size"
    host = urlsplit(url).hostname or "this computer"
    log.info("downloading %s (%s) from %s", _place(url).name, size, host)


def _reason(error: Exception, url: str) -> str:
    if isinstance(error, HTTPError):
        error.close()
        return f"HTTP error {error.code} {error.reason}".rstrip()
    if isinstance(error, IncompleteRead):
        return "the connection ended early"
    if not isinstance(error, URLError):
        return _text(error)
    if url.startswith("file:") or not isinstance(error.reason, OSError):
        return _text(error.reason)
    return f"no connection to {urlsplit(url).hostname}: {_text(error.reason)}"


def _text(cause: object) -> str:
    """Return one line on what went wrong, without the number of the error."""
    said = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return said.strip().splitlines()[0] if said.strip() else type(cause).__name__
