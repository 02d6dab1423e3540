"""Runs: many equal messages back to back, read as one array instead of one by one.

A burst is mostly PoolSync or PoolSwap after PoolSync or PoolSwap, each with one record of one length. Such bytes are a
table already: a structured view has their columns without copying anything, and every check that the reader makes of
one message is made of all of them at once. ``measure`` says how many messages from a place on pass all of these checks;
where one leaves the slightest doubt the run ends, and the reader judges it as it judges any message. So a run says the
same as its messages one by one, and ``Run.frames`` takes it apart into them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final, Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from flasharb.feed.wire import CHECKSUM_OFFSET, HEADER_BYTES, MAGIC_NUMBER, VERSION, Dialect, Frame

Rows = NDArray[Any]
Kind = Literal["sync", "swap"]

SHORTEST: Final = 8
"""Rows from which on a table is quicker than a loop."""

_H1: Final = "magic:u4 domain:u1 version:u1 source:u1 flags:u1 size:u4 sequence:u8 timestamp:u8 checksum:u4"
_H3: Final = "magic:u4 domain:u1 version:u1 source:u1 flags:u1 sequence:u8 timestamp:u8 size:u4 checksum:u4"
_TLV: Final = "kind:u1 length:u1"
_SYNC_P1: Final = (
    "venue:u2 pool:V20 token0:V20 token1:V20 low0:u8 high0:u8 low1:u8 high1:u8 decimals0:u1 decimals1:u1"
    " time:u8 block:u8"
)
_SYNC_P3: Final = (
    "low0:u8 high0:u8 low1:u8 high1:u8 time:u8 block:u8 venue:u2 decimals0:u1 decimals1:u1 pad:V12"
    " pool:V20 pad1:V12 token0:V20 pad2:V12 token1:V20 pad3:V12"
)
_SWAP_P1: Final = (
    "venue:u2 pool:V20 token_in:V20 token_out:V20 amount_in:V16 amount_out:V16 decimals_in:u1 decimals_out:u1"
    " price2:>u4 price1:>u8 price0:>u8 tick:i4 low:u8 high:u8 time:u8 block:u8"
)
_SWAP_P3: Final = (
    "amount_in:V16 amount_out:V16 low:u8 high:u8 time:u8 block:u8 tick:i4 venue:u2 decimals_in:u1 decimals_out:u1"
    " pad:V8 pool:V20 pad1:V12 token_in:V20 pad2:V12 token_out:V20 pad3:V12 price0:u8 price1:u8 price2:u8 price3:u8"
)


def _dtype(*columns: str) -> np.dtype[Any]:
    names = [column.split(":") for column in " ".join(columns).split()]
    return np.dtype([(name, "<" + kind if kind[0] in "ui" else kind) for name, kind in names])


_LAYOUTS: Final[dict[tuple[Dialect, int], tuple[Kind, np.dtype[Any]]]] = {
    ("p1", 16): ("sync", _dtype(_H1, _TLV, _SYNC_P1)),
    ("p1", 11): ("swap", _dtype(_H1, _TLV, _SWAP_P1)),
    ("p3", 16): ("sync", _dtype(_H3, _TLV, _SYNC_P3)),
    ("p3", 11): ("swap", _dtype(_H3, _TLV, _SWAP_P3)),
}
"""By dialect and TLV type: whole messages, header included. The columns of ``feed.layouts``, which has the codecs."""


@dataclass(frozen=True, slots=True)
class Run:
    """Sound messages of one kind, from one source, in one dialect; or of two kinds by turns, as a pool of constant
    product tells each trade twice: then ``beside`` has the second message of each row."""

    kind: Kind
    dialect: Dialect
    rows: Rows
    beside: Rows | None = None

    def __len__(self) -> int:
        """How many messages."""
        return len(self.rows) * (1 if self.beside is None else 2)

    @property
    def nbytes(self) -> int:
        """The bytes of all messages."""
        return self.rows.nbytes + (0 if self.beside is None else self.beside.nbytes)

    def column(self, name: str) -> NDArray[Any]:
        """What every message has in this place of its header or record, in their order."""
        rows: NDArray[Any] = self.rows[name]
        return rows if self.beside is None else np.stack((rows, self.beside[name]), axis=1).ravel()

    def frames(self) -> list[Frame]:
        """The messages one by one."""
        payloads = _payloads(self.rows)
        if self.beside is not None:
            pairs = zip(payloads, _payloads(self.beside), strict=True)
            payloads = [payload for pair in pairs for payload in pair]
        columns = (self.column(name).tolist() for name in ("domain", "source", "flags", "sequence", "timestamp"))
        return list(map(Frame, repeat(self.dialect), *columns, payloads))


def _payloads(rows: Rows) -> list[bytes]:
    size, data = rows.dtype.itemsize, rows.tobytes()
    return [data[at + HEADER_BYTES : at + size] for at in range(0, len(data), size)]


def measure(
    buffer: bytes, position: int, dialect: Dialect | Literal["auto"], limit: int, check_crc: bool
) -> Run | None:
    """The run that begins at ``position``; None where no ``SHORTEST`` rows or more make one.

    ``limit``: of a payload's bytes. With ``auto``, a message that both dialects might claim ends the run.
    """
    if position + HEADER_BYTES + 2 > len(buffer):
        return None
    auto = dialect == "auto"
    if dialect == "auto":
        dialect = "p3" if int.from_bytes(buffer[position + 24 : position + 28], "little") <= limit else "p1"
    forms = _forms(buffer, position, dialect, limit)
    size = sum(form.itemsize for _, form in forms)
    if not forms or (len(buffer) - position) // size < SHORTEST:
        return None
    row = np.dtype([(str(n), form) for n, (_, form) in enumerate(forms)])
    table = np.frombuffer(buffer, row, (len(buffer) - position) // size, position)
    columns = [table[name] for name in row.names or ()]
    sound = min(_sound(rows[:SHORTEST], columns[0][0], auto, limit, check_crc) for rows in columns)
    if sound == SHORTEST:
        sound = min(_sound(rows, columns[0][0], auto, limit, check_crc) for rows in columns)
    if sound < SHORTEST:
        return None
    return Run(forms[0][0], dialect, *(rows[:sound] for rows in columns))


def _forms(buffer: bytes, position: int, dialect: Dialect, limit: int) -> list[tuple[Kind, np.dtype[Any]]]:
    """The layouts of a row: of the message here, and of the next if that is of another kind."""
    first = _LAYOUTS.get((dialect, buffer[position + HEADER_BYTES]))
    if first is None or first[1].itemsize - HEADER_BYTES > limit:
        return []
    following = position + first[1].itemsize + HEADER_BYTES
    second = _LAYOUTS.get((dialect, buffer[following])) if following < len(buffer) else None
    if second is None or second == first or second[1].itemsize - HEADER_BYTES > limit:
        return [first]
    return [first, second]


def _sound(rows: Rows, first: Any, auto: bool, limit: int, check_crc: bool) -> int:
    """How many messages from the first on are beyond doubt; ``first`` says which source."""
    rows = rows[: _until(_alike(rows, first))]
    if auto:
        p3 = int(rows.dtype.fields["size"][1]) > 8  # type: ignore[index]
        rows = rows[: _until(_not_p1(rows) if p3 else _not_p3(rows, limit))]
    return _until(_checked(rows)) if check_crc else len(rows)


def _until(passed: NDArray[np.bool_]) -> int:
    """How many pass before the first that does not."""
    return len(passed) if passed.all() else int(passed.argmin())


def _alike(rows: Rows, first: Any) -> NDArray[np.bool_]:
    """Whether each row has this layout's header and record, and the source of ``first``."""
    size = rows.dtype.itemsize - HEADER_BYTES
    passed: NDArray[np.bool_] = (rows["magic"] == MAGIC_NUMBER) & (rows["version"] == VERSION)
    passed &= (rows["size"] == size) & (rows["length"] == size - 2) & (rows["kind"] == rows["kind"][0])
    passed &= (rows["domain"] == first["domain"]) & (rows["source"] == first["source"])
    return passed


def _not_p3(rows: Rows, limit: int) -> NDArray[np.bool_]:
    """An H3 header would have its size in the upper half of the time, where a time of our century is no size."""
    unlike: NDArray[np.bool_] = rows["timestamp"] >> np.uint64(32) > np.uint64(limit)
    return unlike


def _not_p1(rows: Rows) -> NDArray[np.bool_]:
    """An H1 header has its size in the lower half of the number.

    It is not the shorter one, and loses; or it is empty, and its checksum is wrong. The rest is left to the reader.
    """
    size = (rows["sequence"] & np.uint64(0xFFFF_FFFF)).astype(np.int64)
    empty = _sums(_octets(rows)[:, :CHECKSUM_OFFSET]) != rows["checksum"]
    unlike: NDArray[np.bool_] = (size >= rows.dtype.itemsize - HEADER_BYTES) | ((size == 0) & empty)
    return unlike


def _checked(rows: Rows) -> NDArray[np.bool_]:
    """Whether each row has the right checksum."""
    right: NDArray[np.bool_] = _sums(_octets(rows)) == rows["checksum"]
    return right


def _octets(rows: Rows) -> NDArray[np.uint8]:
    return np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def _sums(octets: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """The CRC-32 of each row, its own checksum (if it has come to that) left out."""
    covered = np.concatenate((octets[:, :CHECKSUM_OFFSET], octets[:, HEADER_BYTES:]), axis=1)
    messages = covered.view(f"V{covered.shape[1]}").reshape(-1).tolist()
    return np.fromiter(map(crc32, messages), np.uint32, len(messages))
