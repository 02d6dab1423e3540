"""Call data by function signature."""

from __future__ import annotations

from typing import Any

from eth_abi.abi import encode
from eth_abi.grammar import parse
from eth_hash.auto import keccak


def call_data(signature: str, *values: Any) -> bytes:
    """Selector and ABI-encoded arguments for ``name(type,…)``; tuples as in the ABI."""
    types = signature[signature.index("(") :]
    selector = keccak(signature.encode())[:4]
    if types == "()":
        return selector
    arguments = encode([types], [values])
    # A tuple with a dynamic member is encoded behind an offset, which a call's arguments do not have.
    return selector + arguments[32 * parse(types).is_dynamic :]
