"""Merkle proofs of accounts and slots: what a state root says, whatever the node says (EIP-1186, ``eth_getProof``).

A state root is the hash of the top node of a tree whose leaves are the accounts, found by the nibbles of the hashed
address; each account holds the root of the same kind of tree over its storage. A proof is the nodes on the way down.
Each node must hash to what the node above it said, and the root to what the block's header says, so a wrong value
cannot be proven, and neither can a wrong absence: the way must end where the tree itself shows that nothing follows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from eth_hash.auto import keccak

from flasharb.evm.rlp import MalformedRlp, decode
from flasharb.evm.roots import EMPTY_ROOT

MAX_NODE_BYTES: Final = 1024
"""Largest node that is looked at; a full branch has 532 bytes, a leaf with an account less than 150."""


class BadProof(Exception):
    """The nodes do not lead from the root to a leaf, nor to where the tree shows that there is none."""


class ProvenAccount(NamedTuple):
    """An account as its leaf has it; ``balance`` in wei."""

    nonce: int
    balance: int
    storage_root: bytes
    code_hash: bytes


def proven_account(state_root: bytes, address: bytes, nodes: Iterable[bytes]) -> ProvenAccount | None:
    """The account under a state root; None: proven not to exist.

    Raises:
        BadProof: the nodes prove neither.
    """
    leaf = proven_value(state_root, keccak(address), nodes)
    if not leaf:
        return None
    fields = _decoded(leaf)
    if not isinstance(fields, list) or len(fields) != 4 or not all(isinstance(field, bytes) for field in fields):
        raise BadProof(f"the leaf is no account: 0x{leaf.hex():.80}")
    nonce, balance, storage_root, code_hash = fields
    if len(storage_root) != 32 or len(code_hash) != 32:
        raise BadProof(f"the leaf is no account: 0x{leaf.hex():.80}")
    return ProvenAccount(int.from_bytes(nonce, "big"), int.from_bytes(balance, "big"), storage_root, code_hash)


def proven_slot(storage_root: bytes, slot: int, nodes: Iterable[bytes]) -> int:
    """The value of a slot under an account's storage root; a slot that is proven absent is zero.

    Raises:
        BadProof: the nodes prove neither.
    """
    leaf = proven_value(storage_root, keccak(slot.to_bytes(32, "big")), nodes)
    if not leaf:
        return 0
    value = _decoded(leaf)
    if not isinstance(value, bytes) or len(value) > 32:
        raise BadProof(f"the leaf is no storage value: 0x{leaf.hex():.80}")
    return int.from_bytes(value, "big")


def proven_value(root: bytes, path: bytes, nodes: Iterable[bytes]) -> bytes:
    """The leaf at ``path`` (a hashed key) under ``root``; empty: proven that there is none.

    Raises:
        BadProof: a node on the way is missing or malformed.
    """
    if root == EMPTY_ROOT:
        return b""
    by_hash = {keccak(node): node for node in nodes if len(node) <= MAX_NODE_BYTES}
    rest = [nibble for byte in path for nibble in (byte >> 4, byte & 15)]
    reference: Any = root
    while reference != b"":
        match _node(reference, by_hash):
            case [bytes(compact), below]:
                shared, is_leaf = _uncompacted(compact)
                if is_leaf:
                    return _leaf(below) if shared == rest else b""
                if not shared:
                    raise BadProof("an extension over nothing")
                if rest[: len(shared)] != shared:
                    return b""
                rest, reference = rest[len(shared) :], below
            case [*_] as branch if len(branch) == 17 and rest:
                reference, rest = branch[rest[0]], rest[1:]
            case other:
                raise BadProof(f"a node is neither branch, extension nor leaf: {other!r:.80}")
    return b""


def _node(reference: Any, by_hash: dict[bytes, bytes]) -> Any:
    """The node behind a reference: a hash, or the node itself where it is shorter than a hash."""
    if isinstance(reference, list):
        return reference
    node = by_hash.get(reference)
    if node is None:
        raise BadProof(f"no node with the hash 0x{reference.hex()}")
    return _decoded(node)


def _decoded(data: bytes) -> Any:
    try:
        return decode(data)
    except MalformedRlp as error:
        raise BadProof(f"{error}: 0x{data.hex():.80}") from None


def _uncompacted(compact: bytes) -> tuple[list[int], bool]:
    """Hex-prefix encoding: the nibbles, and whether the node is a leaf."""
    nibbles = [nibble for byte in compact for nibble in (byte >> 4, byte & 15)]
    if not nibbles or nibbles[0] > 3:
        raise BadProof(f"not a hex-prefix path: 0x{compact.hex():.80}")
    return nibbles[1:] if nibbles[0] & 1 else nibbles[2:], nibbles[0] >= 2


def _leaf(value: Any) -> bytes:
    if not isinstance(value, bytes) or not value:
        raise BadProof(f"a leaf without a value: {value!r:.80}")
    return value
