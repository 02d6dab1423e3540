"""Recorded blocks as gzipped JSON files."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Final

import msgspec

from flasharb.adapters.whole_file import write_whole
from flasharb.errors import UsageError
from flasharb.safe_json import decode_json
from flasharb.simulation.recorded import CorruptBlock, RecordedBlock, parse, to_json

MAX_JSON_BYTES: Final = 1 << 30
"""A file that unpacks to more than this is no recorded block."""


def read_block(path: Path) -> RecordedBlock:
    """The block in a file (``.json.gz``, or plain JSON), checked.

    Raises:
        UsageError: it cannot be read.
        CorruptBlock: it is no recorded block; the message says what is wrong where.
    """
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return parse(decode_json(_unpacked(packed)))
    except (EOFError, OSError, zlib.error) as error:
        raise CorruptBlock(f"{path}: the gzip data is damaged: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise CorruptBlock(f"{path}: not JSON: {error}") from None
    except CorruptBlock as error:
        raise CorruptBlock(f"{path}: {error}") from None


def _unpacked(packed: bytes) -> bytes:
    if packed[:2] != b"\x1f\x8b":
        return packed
    unpacker = zlib.decompressobj(wbits=31)
    content = unpacker.decompress(packed, MAX_JSON_BYTES)
    if unpacker.unconsumed_tail:
        raise OSError(f"it unpacks to more than {MAX_JSON_BYTES} bytes")
    if not unpacker.eof:
        raise EOFError("it ends before its end mark")
    return content


def write_block(path: Path, block: RecordedBlock) -> None:
    """Write the block as a whole or not at all; the same block gives the same bytes.

    Raises:
        UsageError: the place cannot be written.
    """
    content = gzip.compress(msgspec.json.encode(to_json(block)), mtime=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, 0o644)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
