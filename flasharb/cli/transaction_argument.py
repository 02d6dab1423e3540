"""What a transaction on the command line may be: a hash, signed bytes, or a JSON file with the fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
from eth_hash.auto import keccak

from flasharb.errors import UsageError
from flasharb.evm import Account, InvalidTransaction
from flasharb.evm.transactions import decode
from flasharb.safe_json import decode_json
from flasharb.units import Address, Hash32, address

DEFAULT_GAS: Final = 5_000_000
FIELDS: Final = frozenset(
    {
        "from",
        "to",
        "data",
        "input",
        "value",
        "nonce",
        "gas",
        "gasPrice",
        "maxFeePerGas",
        "maxPriorityFeePerGas",
        "accessList",
        "chainId",
        "type",
        "create",
    }
)


@dataclass(frozen=True, slots=True)
class Draft:
    """An unsigned transaction as a file gives it; None where the block decides (nonce, prices, chain id).

    ``create`` are fresh accounts that the simulation puts in place first (``balance`` in wei), so that an executor that
    exists nowhere yet can be tried.
    """

    sender: Address
    to: Address | None
    data: bytes
    value: int
    gas_limit: int
    nonce: int | None
    max_fee_per_gas: int | None
    max_priority_fee_per_gas: int | None
    chain_id: int | None
    access_list: tuple[tuple[bytes, tuple[int, ...]], ...]
    create: Mapping[Address, Account] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction, as it would be sent."""

    raw: bytes

    @property
    def hash(self) -> Hash32:
        """Its hash."""
        return Hash32(keccak(self.raw))


Wanted = Hash32 | Signed | Draft
"""What to simulate; a hash is 32 bytes."""


def parse_wanted(text: str) -> Wanted:
    """Read the TX argument.

    Raises:
        UsageError: it is none of the three, or a file with wrong fields.
    """
    if text.startswith(("0x", "0X")):
        try:
            raw = bytes.fromhex(text[2:])
        except ValueError:
            raise UsageError(f"not hex: {text[:80]}") from None
        if len(raw) == 32:
            return Hash32(raw)
        try:
            decode(raw)
        except InvalidTransaction as error:
            raise UsageError(
                f"{len(raw)} bytes are neither a transaction hash (32) nor a signed transaction: {error}"
            ) from None
        return Signed(raw)
    path = Path(text)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{text}: neither a transaction hash (0x and 64 digits), nor a signed transaction (0x…), "
            f"nor a readable file ({error.strerror})"
        ) from None
    try:
        return parse_draft(decode_json(content))
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"{text}: not JSON: {error}") from None
    except UsageError as error:
        raise UsageError(f"{text}: {error}") from None


def parse_draft(document: Any) -> Draft | Signed:
    """The fields of a transaction, or ``{"raw": "0x…"}``; numbers may be ints, decimal or 0x strings.

    Raises:
        UsageError: with the field that is wrong.
    """
    if not isinstance(document, dict):
        _wrong("the file", document, "an object with the fields of a transaction")
    if set(document) == {"raw"}:
        return Signed(_bytes(document["raw"], "raw"))
    unknown = sorted(set(document) - FIELDS)
    if unknown:
        raise UsageError(f"unknown field {unknown[0]!r}; known are {', '.join(sorted(FIELDS))}, or raw alone")
    if "from" not in document:
        raise UsageError('the field "from" is missing: an unsigned transaction needs its sender')
    to = document.get("to")
    price = _optional(document, "gasPrice")
    return Draft(
        sender=_address(document["from"], "from"),
        to=None if to in (None, "", "0x") else _address(to, "to"),
        data=_bytes(document.get("data", document.get("input", "0x")), "data"),
        value=_optional(document, "value") or 0,
        gas_limit=_number(document.get("gas", DEFAULT_GAS), "gas"),
        nonce=_optional(document, "nonce"),
        max_fee_per_gas=_optional(document, "maxFeePerGas") if price is None else price,
        max_priority_fee_per_gas=_optional(document, "maxPriorityFeePerGas") if price is None else price,
        chain_id=_optional(document, "chainId"),
        access_list=tuple(_access_entry(entry) for entry in _listed(document.get("accessList") or [], "accessList")),
        create={
            _address(key, "create"): _account(value, f"create.{key}")
            for key, value in _object(document.get("create") or {}, "create").items()
        },
    )


def _wrong(name: str, value: Any, expected: str) -> NoReturn:
    raise UsageError(f"{name} is {value!r:.60}, expected {expected}")


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _wrong(name, value, "an object")
    return value


def _listed(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        _wrong(name, value, "a list")
    return value


def _number(value: Any, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        try:
            number = int(value, 16 if value.startswith("0x") else 10)
        except ValueError:
            number = -1
        if number >= 0:
            return number
    _wrong(name, value, "a whole number (int, decimal or 0x string)")


def _optional(document: dict[str, Any], name: str) -> int | None:
    value = document.get(name)
    return None if value is None else _number(value, name)


def _bytes(value: Any, name: str) -> bytes:
    try:
        if isinstance(value, str) and value.startswith("0x"):
            return bytes.fromhex(value[2:])
    except ValueError:
        pass
    _wrong(name, value, "0x bytes")


def _address(value: Any, name: str) -> Address:
    if not isinstance(value, str):
        _wrong(name, value, "an address")
    try:
        return address(value)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None


def _access_entry(entry: Any) -> tuple[bytes, tuple[int, ...]]:
    fields = _object(entry, "accessList entry")
    keys = _listed(fields.get("storageKeys") or [], "storageKeys")
    return _address(fields.get("address"), "accessList address"), tuple(_number(key, "storageKeys") for key in keys)


def _account(value: Any, name: str) -> Account:
    fields = _object(value, name)
    storage = _object(fields.get("storage") or {}, f"{name}.storage")
    return Account(
        nonce=_number(fields.get("nonce", 0), f"{name}.nonce"),
        balance=_number(fields.get("balance", 0), f"{name}.balance"),
        code=_bytes(fields.get("code", "0x"), f"{name}.code"),
        storage={
            _number(slot, f"{name}.storage"): _number(word, f"{name}.storage.{slot}") for slot, word in storage.items()
        },
    )
