"""Length-prefixed messages between the service and its worker processes.

Four bytes little-endian, then a pickle. Both ends are this program and the pipe belongs to nobody else, so pickle
brings exact integers and the dataclasses of the pure layers unchanged at no cost.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

PREFIX_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Ready:
    """First message of a worker: it has imported what it needs."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An unexpected exception in a worker."""

    traceback: str


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The request ran into a limit of the worker's process (memory, stack), which is of no use any more."""

    what: str


def pack(message: object) -> bytes:
    """The frame of ``message``."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(PREFIX_BYTES, "little") + body


def unpack(body: bytes) -> Any:
    """The message of a frame's body."""
    return pickle.loads(body)  # noqa: S301 - written by our own process at the other end of a private pipe


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next body from a blocking stream, or None where the stream ends."""
    prefix = stream.read(PREFIX_BYTES)
    if len(prefix) < PREFIX_BYTES:
        return None
    size = int.from_bytes(prefix, "little")
    body = stream.read(size)
    return body if len(body) == size else None


def write_frame(stream: BinaryIO, message: object) -> None:
    """Write a message to a blocking stream."""
    stream.write(pack(message))
    stream.flush()
