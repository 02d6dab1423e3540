"""Capture files: the bytes of bus messages back to back, exactly as a relay sends them, and nothing else.

So ``cat`` joins two captures, ``head -c`` cuts one (the reader drops the truncated message at the end), and a capture
is read by the very same reframer as a socket. When a message was sent stands in its header.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from flasharb.errors import UsageError

if TYPE_CHECKING:
    from io import BufferedReader

    from trio._file_io import AsyncIOWrapper

CHUNK_BYTES: Final = 65_536


class Capture:
    """An open capture file: iterate for its chunks."""

    def __init__(self, file: AsyncIOWrapper[BufferedReader]) -> None:
        self._file = file

    def __aiter__(self) -> Capture:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._file.read(CHUNK_BYTES)
        if not chunk:
            raise StopAsyncIteration
        return chunk


@asynccontextmanager
async def open_capture(path: str | Path) -> AsyncIterator[Capture]:
    """The file's bytes, chunk by chunk.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        file = await trio.open_file(path, "rb")
    except OSError as problem:
        raise UsageError(f"cannot read the capture file {path}: {problem.strerror}") from None
    async with file:
        yield Capture(file)


def capture_chunks(path: str | Path) -> Iterator[bytes]:
    """The same for callers without an event loop.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as problem:
        raise UsageError(f"cannot read the capture file {path}: {problem.strerror}") from None
