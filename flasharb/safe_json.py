"""JSON from outside, decoded without trusting its depth.

py-evm raises Python's recursion limit to 12,288 frames. msgspec's decoder recurses in C up to that limit, and C frames
that deep overflow the stack: a reply of 100,000 brackets would end the process. A lower limit during the decoding turns
it into the ``RecursionError`` that it should be.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import msgspec

MAX_FRAMES: Final = 3_000


def decode_json(content: bytes | str) -> Any:
    """The JSON value.

    Raises:
        msgspec.DecodeError: not JSON.
        RecursionError: nested deeper than any honest document.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(min(limit, MAX_FRAMES))
    try:
        return msgspec.json.decode(content)
    finally:
        sys.setrecursionlimit(limit)
