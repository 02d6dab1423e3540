"""Transactions: decoding, sender, price of entry, and the checks that a block makes before it executes one.

py-evm decodes into RLP objects and leaves some checks out (EIP-3607, EIP-7623's floor, the full upfront cost); here
every transaction becomes one plain object that py-evm's executors can read, and all checks stand in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from coincurve import PublicKey
from eth.vm.forks.prague.transactions import Authorization
from eth_hash.auto import keccak

from flasharb.evm.forks import Fork
from flasharb.evm.rlp import MalformedRlp, decode_list, encode_int, encode_list

SECP256K1_N: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
MAX_INITCODE_SIZE: Final = 49_152
MAX_TRANSACTION_GAS: Final = 1 << 24
MAX_BLOBS: Final = 6
_UINT64: Final = (1 << 64) - 1
_UINT256: Final = (1 << 256) - 1

AccessList = tuple[tuple[bytes, tuple[int, ...]], ...]
"""(address, slots) pairs."""


class InvalidTransaction(Exception):
    """A transaction that no block could hold here: malformed, badly signed, wrong nonce, unaffordable, …"""


def _invalid(text: str) -> NoReturn:
    raise InvalidTransaction(text)


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """A type-2 transaction as it would be signed, with the sender in place of the signature.

    Prices in wei per gas, ``value`` in wei; ``to`` None or empty creates a contract. It executes by exactly the rules
    of the signed one.
    """

    sender: bytes
    to: bytes | None
    data: bytes
    value: int
    nonce: int
    gas_limit: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    access_list: AccessList = ()
    chain_id: int = 1


@dataclass(slots=True)
class Transaction:
    """Any transaction, decoded; attributes are named as py-evm's executors read them.

    ``intrinsic_gas`` leaves out the charge for initcode words, which the execution itself takes.
    """

    type_id: int
    sender: bytes
    chain_id: int | None
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas: int
    to: bytes
    value: int
    data: bytes
    access_list: AccessList
    max_fee_per_blob_gas: int
    blob_versioned_hashes: tuple[bytes, ...]
    authorization_list: tuple[Any, ...]
    y_parity: int
    r: int
    s: int
    intrinsic_gas: int = 0

    def __post_init__(self) -> None:
        self.intrinsic_gas = (
            21_000
            + data_tokens(self.data) * 4
            + (32_000 if not self.to else 0)
            + 2_400 * len(self.access_list)
            + 1_900 * sum(len(slots) for _, slots in self.access_list)
            + 25_000 * len(self.authorization_list)
        )

    @property
    def gas_price(self) -> int:
        """The price of a legacy transaction, in wei per gas."""
        return self.max_fee_per_gas

    def validate(self) -> None:
        """py-evm asks for it; the machine has checked already."""


def data_tokens(data: bytes) -> int:
    """EIP-7623's measure of call data: one a zero byte, four another one."""
    return 4 * len(data) - 3 * data.count(0)


def floor_gas(data: bytes) -> int:
    """What a transaction with this call data costs at least since Prague (EIP-7623)."""
    return 21_000 + 10 * data_tokens(data)


def from_unsigned(transaction: UnsignedTransaction) -> Transaction:
    """The decoded form of an unsigned transaction; its signature is a harmless constant."""
    if len(transaction.sender) != 20:
        _invalid(f"sender is not 20 bytes: 0x{transaction.sender.hex()}")
    return _checked_fields(
        Transaction(
            type_id=2,
            sender=transaction.sender,
            chain_id=transaction.chain_id,
            nonce=transaction.nonce,
            max_priority_fee_per_gas=transaction.max_priority_fee_per_gas,
            max_fee_per_gas=transaction.max_fee_per_gas,
            gas=transaction.gas_limit,
            to=transaction.to or b"",
            value=transaction.value,
            data=transaction.data,
            access_list=tuple((address, tuple(slots)) for address, slots in transaction.access_list),
            max_fee_per_blob_gas=0,
            blob_versioned_hashes=(),
            authorization_list=(),
            y_parity=0,
            r=1,
            s=1,
        )
    )


def decode(raw: bytes) -> Transaction:
    """Decode a signed transaction and recover its sender.

    Raises:
        InvalidTransaction: malformed bytes, an unknown type, or a signature that nobody can have made.
    """
    if not raw:
        _invalid("transaction has no bytes")
    type_id = raw[0] if raw[0] < 0x80 else 0
    if type_id == 0 and raw[0] < 0xC0:
        _invalid(f"transaction type 0x{raw[0]:02x} is not known")
    if type_id not in _DECODERS:
        _invalid(f"transaction type {type_id} is not known")
    body = raw[1:] if type_id else raw
    try:
        fields, begins = decode_list(body)
    except MalformedRlp as error:
        raise InvalidTransaction(f"transaction is not RLP: {error}") from None
    if len(fields) != _FIELD_COUNTS[type_id]:
        _invalid(f"type {type_id} transaction has {len(fields)} fields instead of {_FIELD_COUNTS[type_id]}")
    # What was signed is the list without its last three fields, and stands there encoded already.
    return _checked_fields(_DECODERS[type_id](fields, body[begins[0] : begins[-3]]))


def _number(value: Any, name: str) -> int:
    if not isinstance(value, bytes) or len(value) > 32 or value[:1] == b"\x00":
        _invalid(f"{name} is not a number of at most 256 bits without leading zeros")
    return int.from_bytes(value, "big")


def _bytes(value: Any, name: str) -> bytes:
    if not isinstance(value, bytes):
        _invalid(f"{name} is a list instead of bytes")
    return value


def _fixed(value: Any, size: int, name: str) -> bytes:
    if not isinstance(value, bytes) or len(value) != size:
        _invalid(f"{name} is not {size} bytes long")
    return value


def _target(value: Any) -> bytes:
    if value == b"":
        return b""
    return _fixed(value, 20, "to")


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        _invalid(f"{name} is not a list")
    return value


def _access_list(value: Any) -> AccessList:
    entries = []
    for entry in _list(value, "access list"):
        if len(_list(entry, "access list entry")) != 2:
            _invalid("access list entry is not a pair")
        slots = tuple(int.from_bytes(_fixed(key, 32, "storage key"), "big") for key in _list(entry[1], "storage keys"))
        entries.append((_fixed(entry[0], 20, "access list address"), slots))
    return tuple(entries)


def _authorizations(value: Any) -> tuple[Any, ...]:
    authorizations = []
    for entry in _list(value, "authorization list"):
        if len(_list(entry, "authorization")) != 6:
            _invalid("authorization has not six fields")
        chain_id, address, nonce, y_parity, r, s = entry
        authorizations.append(
            Authorization(
                chain_id=_number(chain_id, "authorization chain id"),
                address=_fixed(address, 20, "authorization address"),
                nonce=_number(nonce, "authorization nonce"),
                y_parity=_number(y_parity, "authorization y parity"),
                r=_number(r, "authorization r"),
                s=_number(s, "authorization s"),
            )
        )
    return tuple(authorizations)


def _legacy(fields: list[Any], signed: bytes) -> Transaction:
    v = _number(fields[6], "v")
    if v in (27, 28):
        chain_id, y_parity = None, v - 27
    elif v >= 35:
        chain_id, y_parity = (v - 35) // 2, (v - 35) % 2
        signed += encode_int(chain_id) + b"\x80\x80"
    else:
        _invalid(f"v = {v} is no signature")
    r, s = _number(fields[7], "r"), _number(fields[8], "s")
    gas_price = _number(fields[1], "gas price")
    return Transaction(
        type_id=0,
        sender=recover(keccak(encode_list((signed,))), y_parity, r, s),
        chain_id=chain_id,
        nonce=_number(fields[0], "nonce"),
        max_priority_fee_per_gas=gas_price,
        max_fee_per_gas=gas_price,
        gas=_number(fields[2], "gas"),
        to=_target(fields[3]),
        value=_number(fields[4], "value"),
        data=_bytes(fields[5], "data"),
        access_list=(),
        max_fee_per_blob_gas=0,
        blob_versioned_hashes=(),
        authorization_list=(),
        y_parity=y_parity,
        r=r,
        s=s,
    )


def _typed(type_id: int, fields: list[Any], signed: bytes, prices: tuple[int, int]) -> Transaction:
    """The fields that all typed transactions share; those after the prices follow in one order."""
    at = 3 if type_id == 1 else 4
    y_parity, r, s = (_number(field, name) for field, name in zip(fields[-3:], ("y parity", "r", "s"), strict=True))
    return Transaction(
        type_id=type_id,
        sender=recover(keccak(bytes([type_id]) + encode_list((signed,))), y_parity, r, s),
        chain_id=_number(fields[0], "chain id"),
        nonce=_number(fields[1], "nonce"),
        max_priority_fee_per_gas=prices[0],
        max_fee_per_gas=prices[1],
        gas=_number(fields[at], "gas"),
        to=_target(fields[at + 1]),
        value=_number(fields[at + 2], "value"),
        data=_bytes(fields[at + 3], "data"),
        access_list=_access_list(fields[at + 4]),
        max_fee_per_blob_gas=_number(fields[at + 5], "max fee per blob gas") if type_id == 3 else 0,
        blob_versioned_hashes=_blob_hashes(fields[at + 6]) if type_id == 3 else (),
        authorization_list=_authorizations(fields[at + 5]) if type_id == 4 else (),
        y_parity=y_parity,
        r=r,
        s=s,
    )


def _blob_hashes(value: Any) -> tuple[bytes, ...]:
    return tuple(_fixed(entry, 32, "blob hash") for entry in _list(value, "blob hashes"))


def _with_access_list(fields: list[Any], signed: bytes) -> Transaction:
    gas_price = _number(fields[2], "gas price")
    return _typed(1, fields, signed, (gas_price, gas_price))


def _with_fees(type_id: int) -> Callable[[list[Any], bytes], Transaction]:
    def decode_fields(fields: list[Any], signed: bytes) -> Transaction:
        prices = _number(fields[2], "max priority fee per gas"), _number(fields[3], "max fee per gas")
        return _typed(type_id, fields, signed, prices)

    return decode_fields


_FIELD_COUNTS: Final = {0: 9, 1: 11, 2: 12, 3: 14, 4: 13}
_DECODERS: Final[dict[int, Callable[[list[Any], bytes], Transaction]]] = {
    0: _legacy,
    1: _with_access_list,
    2: _with_fees(2),
    3: _with_fees(3),
    4: _with_fees(4),
}
_SINCE: Final = {1: Fork.BERLIN, 2: Fork.LONDON, 3: Fork.CANCUN, 4: Fork.PRAGUE}


def recover(digest: bytes, y_parity: int, r: int, s: int) -> bytes:
    """The address that made a signature.

    Raises:
        InvalidTransaction: the signature is out of range (high s included) or fits no key.
    """
    if y_parity not in (0, 1) or not 0 < r < SECP256K1_N or not 0 < s <= SECP256K1_N // 2:
        _invalid("signature is out of range")
    address = recovered(digest, y_parity, r, s)
    if address is None:
        _invalid("signature fits no key")
    return address


def recovered(digest: bytes, y_parity: int, r: int, s: int) -> bytes | None:
    """The address that made a signature, high s included; None where nobody can have made it."""
    if y_parity not in (0, 1) or not 0 < r < SECP256K1_N or not 0 < s < SECP256K1_N:
        return None
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([y_parity])
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except ValueError:
        return None
    except Exception as error:
        # coincurve raises bare Exception where libsecp256k1 finds no key.
        if type(error) is not Exception:
            raise
        return None
    return keccak(key.format(compressed=False)[1:])[12:]


def _checked_fields(tx: Transaction) -> Transaction:
    """Checks that need neither block nor state."""
    for name, value, limit in (
        ("nonce", tx.nonce, _UINT64 - 1),
        ("gas", tx.gas, _UINT64),
        ("value", tx.value, _UINT256),
        ("max fee per gas", tx.max_fee_per_gas, _UINT256),
        ("max priority fee per gas", tx.max_priority_fee_per_gas, _UINT256),
        ("max fee per blob gas", tx.max_fee_per_blob_gas, _UINT256),
    ):
        if not 0 <= value <= limit:
            _invalid(f"{name} {value} is out of range")
    if len(tx.to) not in (0, 20):
        _invalid(f"to is not 20 bytes: 0x{tx.to.hex()}")
    if tx.max_priority_fee_per_gas > tx.max_fee_per_gas:
        _invalid(f"priority fee {tx.max_priority_fee_per_gas} is above the maximum fee {tx.max_fee_per_gas}")
    if tx.type_id in (3, 4) and not tx.to:
        _invalid(f"type {tx.type_id} transaction cannot create a contract")
    if tx.type_id == 3 and (not tx.blob_versioned_hashes or any(h[0] != 1 for h in tx.blob_versioned_hashes)):
        _invalid("blob transaction without blobs, or with a hash of an unknown version")
    if tx.type_id == 4 and not tx.authorization_list:
        _invalid("set-code transaction without authorizations")
    for authorization in tx.authorization_list:
        if authorization.nonce > _UINT64 or authorization.y_parity > 255:
            _invalid("authorization is out of range")
    return tx


def check_entry(tx: Transaction, fork: Fork, chain_id: int) -> None:
    """Checks that need the block's rules, but no state.

    Raises:
        InvalidTransaction: with the reason.
    """
    since = _SINCE.get(tx.type_id)
    if since is not None and not fork.since(since):
        _invalid(f"type {tx.type_id} transactions exist since {since}, not under {fork} rules")
    if tx.chain_id is not None and tx.chain_id != chain_id:
        _invalid(f"transaction is for chain {tx.chain_id}, this is chain {chain_id}")
    if fork.since(Fork.OSAKA):
        if tx.gas > MAX_TRANSACTION_GAS:
            _invalid(f"gas limit {tx.gas} is above {MAX_TRANSACTION_GAS}, the most of any transaction since Osaka")
        if len(tx.blob_versioned_hashes) > MAX_BLOBS:
            _invalid(f"{len(tx.blob_versioned_hashes)} blobs, {MAX_BLOBS} are the most of any transaction since Osaka")
    needed = tx.intrinsic_gas
    if fork.since(Fork.SHANGHAI) and not tx.to:
        if len(tx.data) > MAX_INITCODE_SIZE:
            _invalid(f"initcode of {len(tx.data)} bytes is longer than {MAX_INITCODE_SIZE}")
        needed += 2 * ((len(tx.data) + 31) // 32)
    if fork.since(Fork.PRAGUE):
        needed = max(needed, floor_gas(tx.data))
    if tx.gas < needed:
        _invalid(f"gas limit {tx.gas} is below the {needed} that the transaction costs before execution")


def access_list_of(entries: Sequence[tuple[bytes, Sequence[int]]]) -> AccessList:
    """An access list from any sequences."""
    return tuple((address, tuple(slots)) for address, slots in entries)
