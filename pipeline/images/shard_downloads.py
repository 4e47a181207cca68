"""Downloads of tars: written aside and renamed, so that no partial one is ever used."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Generator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from pipeline.errors import ConfigError, StoreError, first_line
from pipeline.images.shards import KEY, SCHEMES
from pipeline.store.files import describe_bytes, write_whole
from pipeline.store.secrets import without_query

_CHUNK = 1 << 20  # bytes
_SILENCE = 60.0  # seconds without data after which a connection is closed
_WAITS = (1.0, 5.0)  # seconds to wait before a download is tried again

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder of downloaded tars and of the indices of tars."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "artiphys" / "shards"


def local_shard(place: str, folder: Path, most: float) -> Path:
    """Return the path of a tar, which is downloaded if it is a URL and not there yet.

    Args:
        place: path or URL.
        folder: of downloads.
        most: bytes that the folder may hold.

    Raises:
        ConfigError: it cannot be downloaded, or the folder would hold more or cannot be written.
    """
    if not place.startswith(SCHEMES):
        return Path(place)
    parts = urlsplit(place)
    # Of one name there are many; a query may be another every time, as it may contain a token.
    origin = hashlib.sha256((parts.netloc.rpartition("@")[2] + parts.path).encode()).hexdigest()
    path = folder / origin[:16] / (parts.path.rpartition("/")[2] or "shard.tar")
    if not path.is_file():
        _download(place, path, folder, most)
    return path


def _download(url: str, path: Path, folder: Path, most: float) -> None:
    left = most - sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())

    def receive(temporary: Path) -> None:
        with temporary.open("wb") as file, closing(_received(url, left, most)) as chunks:
            for chunk in chunks:
                file.write(chunk)

    for wait in (*_WAITS, None):
        try:
            write_whole(path, receive)
            return
        except StoreError as error:
            raise ConfigError(
                f"images.cache: '{folder}' cannot take '{path.name}'"
                f" ({str(error).removeprefix('out: ')}); give another folder"
            ) from error
        except _LostError as error:
            if wait is None:
                raise _refused(url, first_line(error)) from error
            log.warning("images: '%s': %s; trying again", without_query(url), first_line(error))
            time.sleep(wait)


class _LostError(Exception):
    """A connection was lost, or could not be made, which may succeed later."""


def _received(url: str, left: float, most: float) -> Generator[bytes, None, None]:
    """Yield the content of a URL in chunks; ``left`` of ``most`` bytes may come."""
    received = 0
    try:
        request = Request(url, headers={"User-Agent": "artiphys"})
        with urlopen(request, timeout=_SILENCE) as response:
            announced = str(response.headers.get("Content-Length") or "")
            length = int(announced) if announced.isdecimal() else 0
            size = describe_bytes(length) if length else "of unknown size"
            log.info("downloading %s (%s)", without_query(url), size)
            while received + length <= left and (chunk := response.read(_CHUNK)):
                received, length = received + len(chunk), max(0, length - len(chunk))
                yield chunk
    except HTTPError as error:
        error.close()
        raise _refused(url, f"HTTP error {error.code} {error.reason}".rstrip()) from error
    except ValueError as error:  # no URL
        raise _refused(url, first_line(error)) from error
    except (OSError, HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
        said = cause.strerror if isinstance(cause, OSError) else None
        raise _LostError(said or first_line(error)) from error
    if received + length > left:
        raise ConfigError(
            f"{KEY}: '{without_query(url)}' would make the downloaded tars larger than the"
            f" {describe_bytes(int(most))} that images.cache_gigabytes allows; raise it, lower"
            " images.limit, or remove files from images.cache"
        )
    if announced.isdecimal() and received != int(announced):
        raise _LostError(f"it ended after {received} of {announced} bytes")


def _refused(url: str, reason: str) -> ConfigError:
    return ConfigError(
        f"{KEY}: '{without_query(url)}' could not be downloaded ({reason}); check the address, or"
        " download it and give the path of the file"
    )
