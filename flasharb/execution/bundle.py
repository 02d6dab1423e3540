"""Bundles, their hash, and the exact bytes that a relay gets.

A field that is not set is left out of the body, never sent as 0 or null: builders read ``maxTimestamp: 0`` as "never
valid". The signature covers the bytes on the wire, so a body is serialised once and that very buffer is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from eth_hash.auto import keccak

from flasharb.execution.profiles import GENERIC, MAX_BUNDLE_BYTES, MAX_TRANSACTIONS, Cancel, Profile
from flasharb.execution.signing import SigningKey
from flasharb.units import Address, Hash32, checksum, hex0x

SIGNATURE_HEADER: Final = "X-Flashbots-Signature"
_BLOB_TYPE: Final = 3


class UnfitBundle(ValueError):
    """This bundle says something that this builder does not understand; the message names the field."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Signed transactions that stand together in block ``target_block`` or not at all.

    ``transactions`` are EIP-2718 envelopes and are not shown by ``repr``: nobody may have them before their block.
    Times are unix seconds; ``None`` and ``()`` mean "not set".

    Raises:
        UnfitBundle: no or too many transactions, too many bytes, or a blob transaction.
    """

    transactions: tuple[bytes, ...] = field(repr=False)
    target_block: int
    min_timestamp: int | None = None
    max_timestamp: int | None = None
    reverting_tx_hashes: tuple[Hash32, ...] = ()
    replacement_uuid: str | None = None
    refund_percent: int | None = None
    refund_recipient: Address | None = None
    builders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.transactions) <= MAX_TRANSACTIONS:
            raise UnfitBundle(f"a bundle has 1 to {MAX_TRANSACTIONS} transactions, not {len(self.transactions)}")
        if sum(map(len, self.transactions)) > MAX_BUNDLE_BYTES:
            raise UnfitBundle(f"a bundle has at most {MAX_BUNDLE_BYTES} bytes of transactions")
        if any(not raw or raw[0] == _BLOB_TYPE for raw in self.transactions):
            raise UnfitBundle("an empty or blob transaction cannot stand in a bundle")
        if self.target_block < 1:
            raise UnfitBundle(f"target block {self.target_block} is not a block to come")

    @property
    def hash(self) -> Hash32:
        """The name that relays give this bundle."""
        return bundle_hash(self.transactions)


def bundle_hash(transactions: Iterable[bytes]) -> Hash32:
    """keccak256 over the concatenated transaction hashes; a single transaction is hashed again all the same."""
    return Hash32(keccak(b"".join(keccak(raw) for raw in transactions)))


def send_bundle_body(bundle: Bundle, profile: Profile = GENERIC, request_id: int = 1) -> bytes:
    """The JSON body of ``eth_sendBundle`` for one builder.

    Raises:
        UnfitBundle: a field is set that this builder would not honour.
    """
    optional: dict[str, object] = {
        "minTimestamp": bundle.min_timestamp,
        "maxTimestamp": bundle.max_timestamp,
        "revertingTxHashes": [hex0x(one) for one in bundle.reverting_tx_hashes] or None,
        "refundPercent": bundle.refund_percent,
        "refundRecipient": checksum(bundle.refund_recipient) if bundle.refund_recipient else None,
        "builders": list(bundle.builders) or None,
    }
    params: dict[str, object] = {
        "txs": [hex0x(raw) for raw in bundle.transactions],
        "blockNumber": hex(bundle.target_block),
        **{name: value for name, value in optional.items() if value is not None},
    }
    if unknown := params.keys() - profile.fields:
        raise UnfitBundle(f"{profile.name} does not take {', '.join(sorted(unknown))}")
    if profile.refund_recipient_required and bundle.refund_percent is not None and not bundle.refund_recipient:
        raise UnfitBundle(f"{profile.name} discards a bundle with refundPercent and no refundRecipient")
    if 0 in (bundle.min_timestamp, bundle.max_timestamp):
        raise UnfitBundle("a timestamp of 0 makes builders drop the bundle: leave it out")
    params |= _replacement(bundle, profile)
    return _request("eth_sendBundle", params, request_id)


def cancel_body(bundle: Bundle, profile: Profile, request_id: int = 1) -> bytes | None:
    """The JSON body that withdraws a bundle, or None where this builder has no way to."""
    if not bundle.replacement_uuid or profile.uuid_field is None:
        return None
    if profile.cancel is Cancel.METHOD:
        return _request("eth_cancelBundle", {"replacementUuid": bundle.replacement_uuid}, request_id)
    if profile.cancel is Cancel.EMPTY:
        empty = {"txs": [], "blockNumber": hex(bundle.target_block), **_replacement(bundle, profile)}
        return _request("eth_sendBundle", empty, request_id)
    return None


def _replacement(bundle: Bundle, profile: Profile) -> dict[str, object]:
    if bundle.replacement_uuid is None:
        return {}
    if profile.uuid_field is None:
        raise UnfitBundle(f"{profile.name} does not take a replacement id")
    return {profile.uuid_field: bundle.replacement_uuid}


def _request(method: str, params: dict[str, object], request_id: int) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": [params]})


def signature_header(body: bytes, identity: SigningKey) -> str:
    """The value of ``X-Flashbots-Signature`` for these exact bytes: ``<address>:0x<r s v>``.

    What is signed is the *text* ``0x…`` of the body's keccak256, as an EIP-191 personal message.
    """
    digest = ("0x" + keccak(body).hex()).encode()
    return f"{checksum(identity.address)}:{hex0x(identity.sign_text(digest))}"
