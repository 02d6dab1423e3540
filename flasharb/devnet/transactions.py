"""Raw signed transactions, decoded: legacy, access-list (EIP-2930) and dynamic-fee (EIP-1559) ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

import coincurve
import rlp
from eth_hash.auto import keccak

from flasharb.devnet.block import quantity
from flasharb.devnet.hexes import hex_bytes, hex_int
from flasharb.evm.transactions import InvalidTransaction, recover
from flasharb.units import Address, Hash32

_FIELDS: Final = {0: 9, 1: 11, 2: 12}

AccessList = tuple[tuple[Address, tuple[int, ...]], ...]


class UndecodableTransaction(ValueError):
    """The bytes are not a signed transaction that this chain takes."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A signed transaction. Legacy gas prices stand in both fee fields, as EIP-1559 treats them."""

    raw: bytes
    hash: Hash32
    sender: Address
    type: int
    chain_id: int | None
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas_limit: int
    to: Address | None
    value: int
    data: bytes
    access_list: AccessList
    y_parity: int
    r: int
    s: int

    def effective_gas_price(self, base_fee: int) -> int:
        """What a unit of gas costs the sender at ``base_fee``, in wei."""
        return min(self.max_fee_per_gas, base_fee + self.max_priority_fee_per_gas)

    def tip(self, base_fee: int) -> int:
        """What a unit of gas pays the builder at ``base_fee``, in wei; negative: not includable."""
        return min(self.max_priority_fee_per_gas, self.max_fee_per_gas - base_fee)

    def to_json(self) -> dict[str, Any]:
        """The transaction as JSON-RPC names it, without its place in a block."""
        out: dict[str, Any] = {
            "hash": hex_bytes(self.hash),
            "type": hex_int(self.type),
            "from": hex_bytes(self.sender),
            "nonce": hex_int(self.nonce),
            "gas": hex_int(self.gas_limit),
            "gasPrice": hex_int(self.max_fee_per_gas),
            "to": None if self.to is None else hex_bytes(self.to),
            "value": hex_int(self.value),
            "input": hex_bytes(self.data),
            "r": hex_int(self.r),
            "s": hex_int(self.s),
            "v": hex_int(self._v()),
        }
        if self.chain_id is not None:
            out["chainId"] = hex_int(self.chain_id)
        if self.type:
            out["yParity"] = hex_int(self.y_parity)
            out["accessList"] = [
                {"address": hex_bytes(address), "storageKeys": [f"0x{slot:064x}" for slot in slots]}
                for address, slots in self.access_list
            ]
        if self.type == 2:
            out["maxFeePerGas"] = hex_int(self.max_fee_per_gas)
            out["maxPriorityFeePerGas"] = hex_int(self.max_priority_fee_per_gas)
        return out

    def _v(self) -> int:
        if self.type:
            return self.y_parity
        return self.y_parity + (27 if self.chain_id is None else 35 + 2 * self.chain_id)


def decode(raw: bytes) -> Transaction:
    """Decode a signed transaction and recover its sender.

    Raises:
        UndecodableTransaction: not RLP, a type that the chain does not take, a wrong or malleable signature.
    """
    try:
        kind = raw[0] if raw and raw[0] < 0x80 else 0
        if kind not in _FIELDS:
            raise UndecodableTransaction(f"transaction type {kind} not supported")
        fields = rlp.decode(raw[1:] if kind else raw, strict=True)
        if not isinstance(fields, list) or len(fields) != _FIELDS[kind]:
            raise UndecodableTransaction("wrong number of transaction fields")
        return _legacy(raw, fields) if kind == 0 else _typed(raw, kind, fields)
    except UndecodableTransaction:
        raise
    except (rlp.exceptions.RLPException, ValueError, TypeError, IndexError, AttributeError) as error:
        raise UndecodableTransaction(f"not a signed transaction: {error}") from None


def _legacy(raw: bytes, fields: list[Any]) -> Transaction:
    nonce, price, gas, to, value, data, v_raw, r_raw, s_raw = fields
    v = _int(v_raw)
    if v in (27, 28):
        chain_id, parity = None, v - 27
    elif v >= 35:
        chain_id, parity = (v - 35) // 2, (v - 35) % 2
    else:
        raise UndecodableTransaction(f"invalid signature: v is {v}")
    unsigned = fields[:6] if chain_id is None else [*fields[:6], quantity(chain_id), b"", b""]
    sender = _recover(rlp.encode(unsigned), parity, _int(r_raw), _int(s_raw))
    return Transaction(
        raw=raw,
        hash=Hash32(keccak(raw)),
        sender=sender,
        type=0,
        chain_id=chain_id,
        nonce=_int(nonce),
        max_priority_fee_per_gas=_int(price),
        max_fee_per_gas=_int(price),
        gas_limit=_int(gas),
        to=_to(to),
        value=_int(value),
        data=_data(data),
        access_list=(),
        y_parity=parity,
        r=_int(r_raw),
        s=_int(s_raw),
    )


def _typed(raw: bytes, kind: int, fields: list[Any]) -> Transaction:
    chain_id, nonce, *fees, gas, to, value, data, access_list, parity_raw, r_raw, s_raw = fields
    parity = _int(parity_raw)
    if parity > 1:
        raise UndecodableTransaction(f"invalid signature: y parity is {parity}")
    sender = _recover(bytes([kind]) + rlp.encode(fields[:-3]), parity, _int(r_raw), _int(s_raw))
    return Transaction(
        raw=raw,
        hash=Hash32(keccak(raw)),
        sender=sender,
        type=kind,
        chain_id=_int(chain_id),
        nonce=_int(nonce),
        max_priority_fee_per_gas=_int(fees[0]),
        max_fee_per_gas=_int(fees[-1]),
        gas_limit=_int(gas),
        to=_to(to),
        value=_int(value),
        data=_data(data),
        access_list=tuple(
            (_address(address), tuple(int.from_bytes(_word(slot), "big") for slot in slots))
            for address, slots in access_list
        ),
        y_parity=parity,
        r=_int(r_raw),
        s=_int(s_raw),
    )


def _recover(unsigned: bytes, parity: int, r: int, s: int) -> Address:
    try:
        return Address(recover(keccak(unsigned), parity, r, s))
    except InvalidTransaction as error:
        raise UndecodableTransaction(f"invalid signature: {error}") from None


def _int(field: object) -> int:
    raw = _data(field)
    if raw[:1] == b"\0" or len(raw) > 32:
        raise UndecodableTransaction("a number with leading zeros or beyond 256 bits")
    return int.from_bytes(raw, "big")


def _data(field: object) -> bytes:
    if not isinstance(field, bytes):
        raise UndecodableTransaction("a list where bytes belong")
    return field


def _to(field: object) -> Address | None:
    return _address(field) if _data(field) else None


def _address(field: object) -> Address:
    raw = _data(field)
    if len(raw) != 20:
        raise UndecodableTransaction(f"an address of {len(raw)} bytes")
    return Address(raw)


def _word(field: object) -> bytes:
    raw = _data(field)
    if len(raw) != 32:
        raise UndecodableTransaction(f"a storage key of {len(raw)} bytes")
    return raw


def sign_dynamic_fee(
    key: bytes,
    *,
    chain_id: int,
    nonce: int,
    fees: tuple[int, int],
    gas_limit: int,
    to: Address | None,
    data: bytes,
    value: int = 0,
) -> bytes:
    """A signed EIP-1559 transaction of one of the devnet's own accounts; ``fees`` = (priority fee, max fee) in wei."""
    unsigned: list[Any] = [
        quantity(chain_id),
        quantity(nonce),
        quantity(fees[0]),
        quantity(fees[1]),
        quantity(gas_limit),
        to or b"",
        quantity(value),
        data,
        [],
    ]
    digest = keccak(b"\x02" + rlp.encode(unsigned))
    signature = coincurve.PrivateKey(key).sign_recoverable(digest, hasher=None)
    r, s, parity = signature[:32], signature[32:64], signature[64]
    signed = [
        *unsigned,
        quantity(parity),
        quantity(int.from_bytes(r, "big")),
        quantity(int.from_bytes(s, "big")),
    ]
    return b"\x02" + cast("bytes", rlp.encode(signed))


def address_of(key: bytes) -> Address:
    """The account of a private key."""
    return Address(keccak(coincurve.PrivateKey(key).public_key.format(compressed=False)[1:])[12:])
