"""A recorded block: ``mainnet-block-bundle/1``, one block with all state of its parent that it touches.

Parsing checks what a damaged file would get wrong: every field's type, the header against the block hash, the
transactions against the header's root, the codes against their hashes, the receipts against the transactions. What the
transactions do is checked by executing them (``simulation.verify``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeVar

from eth_hash.auto import keccak

from flasharb.errors import UsageError
from flasharb.evm import AccountInfo, BlockContext, Fork, LogEntry, MissingState
from flasharb.evm.rlp import encode
from flasharb.evm.roots import logs_bloom, ordered_root
from flasharb.evm.source import EMPTY_CODE_HASH
from flasharb.units import Address, Hash32, hex0x

FORMAT: Final = "mainnet-block-bundle/1"

_T = TypeVar("_T")


class CorruptBlock(UsageError):
    """A recorded block that cannot be what it claims; the message names the field."""


@dataclass(frozen=True, slots=True)
class RecordedAccount:
    """An account at the end of the parent block (``balance`` in wei), with the slots that are known."""

    nonce: int
    balance: int
    code_hash: bytes = EMPTY_CODE_HASH
    storage: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A withdrawal of the consensus layer; ``amount`` in gwei."""

    index: int
    validator_index: int
    address: Address
    amount: int


@dataclass(frozen=True, slots=True)
class RecordedReceipt:
    """A receipt, with what is handy besides: sender, price in wei per gas, what the fee recipient gained in wei."""

    index: int
    hash: Hash32
    sender: Address
    to: Address | None
    type: int
    status: int
    gas_used: int
    cumulative_gas_used: int
    effective_gas_price: int
    contract: Address | None
    coinbase_delta: int
    logs: tuple[LogEntry, ...]


@dataclass(frozen=True, slots=True)
class RecordedBlock:
    """Block ``number`` and what is known of the state before it. ``header`` holds JSON-RPC's fields, as text."""

    chain_id: int
    number: int
    hash: Hash32
    fork: Fork
    header: Mapping[str, str]
    parent_header: Mapping[str, str] | None
    transactions: tuple[bytes, ...]
    withdrawals: tuple[Withdrawal, ...] | None
    pre_state: Mapping[Address, RecordedAccount | None]
    codes: Mapping[bytes, bytes]
    block_hashes: Mapping[int, Hash32]
    receipts: tuple[RecordedReceipt, ...]
    post_diff: Mapping[Address, RecordedAccount | None]
    source: Mapping[str, Any] = field(default_factory=dict)
    verification: Mapping[str, Any] = field(default_factory=dict)

    @property
    def context(self) -> BlockContext:
        """What the block's transactions can ask about it."""
        return context_of(self.header, self.chain_id)

    @property
    def transaction_hashes(self) -> tuple[Hash32, ...]:
        """The hashes in block order."""
        return tuple(Hash32(keccak(raw)) for raw in self.transactions)

    @property
    def gas_used(self) -> int:
        """The header's gas used."""
        return int(self.header["gasUsed"], 16)

    @property
    def receipts_root(self) -> bytes:
        """The header's receipts root."""
        return bytes.fromhex(self.header["receiptsRoot"][2:])

    @property
    def logs_bloom(self) -> bytes:
        """The header's bloom filter."""
        return bytes.fromhex(self.header["logsBloom"][2:])


class RecordedState:
    """The state before a recorded block, as far as the file knows it."""

    def __init__(self, block: RecordedBlock) -> None:
        self._block = block

    def account(self, address: bytes) -> AccountInfo | None:
        try:
            account = self._block.pre_state[Address(address)]
        except KeyError:
            raise MissingState(accounts=(address,)) from None
        return None if account is None else AccountInfo(account.nonce, account.balance, account.code_hash)

    def storage(self, address: bytes, slot: int) -> int:
        try:
            account = self._block.pre_state[Address(address)]
            return 0 if account is None else account.storage[slot]
        except KeyError:
            raise MissingState(slots=((address, slot),)) from None

    def code(self, code_hash: bytes) -> bytes:
        try:
            return self._block.codes[code_hash]
        except KeyError:
            # Whose code it is, only the machine knows; it says so in the exception that leaves it.
            raise MissingState(codes=(code_hash,)) from None

    def block_hash(self, number: int) -> bytes:
        try:
            return self._block.block_hashes[number]
        except KeyError:
            raise MissingState(block_numbers=(number,)) from None


# Header


HEADER_FIELDS: Final = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
    ("extraData", -1),
    ("mixHash", 32),
    ("nonce", 8),
    ("baseFeePerGas", None),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", None),
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)
"""JSON-RPC's names in the order of the header's RLP, with the byte length (None: a quantity, -1: any)."""

_FIRST_OPTIONAL: Final = "baseFeePerGas"
_LATER_FIELDS: Final = {"blockAccessListHash": "amsterdam", "slotNumber": "amsterdam"}


def header_hash(header: Mapping[str, str]) -> Hash32:
    """The block hash that the fields give.

    Raises:
        CorruptBlock: a field is missing or has another form.
    """
    items: list[bytes] = []
    optional = False
    for name, size in HEADER_FIELDS:
        optional = optional or name == _FIRST_OPTIONAL
        if optional and name not in header:
            break
        if size is None:
            value = _quantity(header.get(name), f"header.{name}")
            items.append(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        else:
            items.append(_data(header.get(name), f"header.{name}", None if size == -1 else size))
    return Hash32(keccak(encode(items)))


def context_of(header: Mapping[str, str], chain_id: int) -> BlockContext:
    """The block that a JSON-RPC header describes.

    Raises:
        CorruptBlock: a field is missing or has another form.
    """
    beacon_root = header.get("parentBeaconBlockRoot")
    excess = header.get("excessBlobGas")
    return BlockContext(
        chain_id=chain_id,
        number=_quantity(header.get("number"), "header.number"),
        timestamp=_quantity(header.get("timestamp"), "header.timestamp"),
        coinbase=_data(header.get("miner"), "header.miner", 20),
        gas_limit=_quantity(header.get("gasLimit"), "header.gasLimit"),
        base_fee_per_gas=_quantity(header.get("baseFeePerGas", "0x0"), "header.baseFeePerGas"),
        prev_randao=_data(header.get("mixHash"), "header.mixHash", 32),
        difficulty=_quantity(header.get("difficulty", "0x0"), "header.difficulty"),
        excess_blob_gas=None if excess is None else _quantity(excess, "header.excessBlobGas"),
        parent_hash=_data(header.get("parentHash"), "header.parentHash", 32),
        parent_beacon_root=None if beacon_root is None else _data(beacon_root, "header.parentBeaconBlockRoot", 32),
    )


def refuse_later_rules(header: Mapping[str, Any]) -> None:
    """Let no block pass that was made by rules which are not built.

    Raises:
        UsageError: the header has a field of a fork that is not supported.
    """
    for name, fork in _LATER_FIELDS.items():
        if header.get(name) is not None:
            raise UsageError(f"block {header.get('number')}: header field {name} means {fork} rules, not supported yet")


def fork_of_header(header: Mapping[str, Any]) -> Fork:
    """The oldest fork that has the header's fields: for chains whose schedule nobody told us.

    Raises:
        UsageError: the header has a field of a fork that is not supported.
    """
    refuse_later_rules(header)
    if "requestsHash" in header:
        return Fork.PRAGUE
    if "excessBlobGas" in header:
        return Fork.CANCUN
    if "withdrawalsRoot" in header:
        return Fork.SHANGHAI
    if "baseFeePerGas" not in header:
        return Fork.BERLIN
    return Fork.LONDON if _quantity(header.get("difficulty", "0x0"), "header.difficulty") else Fork.PARIS


# Parsing


def parse(document: Any) -> RecordedBlock:
    """A recorded block from its JSON value, checked.

    Raises:
        CorruptBlock: with the field that is wrong.
    """
    root = _object(document, "the file")
    if root.get("format") != FORMAT:
        _corrupt("format", f"is {root.get('format')!r}, expected {FORMAT!r}")
    header = _header(root.get("header"), "header")
    try:
        fork = Fork(root.get("fork", ""))
    except ValueError:
        _corrupt("fork", f"{root.get('fork')!r} is none of {', '.join(Fork)}")
    expected = _object(root.get("expected"), "expected")
    withdrawals = root.get("withdrawals")
    block = RecordedBlock(
        chain_id=_integer(root.get("chain_id"), "chain_id"),
        number=_integer(root.get("number"), "number"),
        hash=Hash32(_data(root.get("hash"), "hash", 32)),
        fork=fork,
        header=header,
        parent_header=None if root.get("parent_header") is None else _header(root["parent_header"], "parent_header"),
        transactions=tuple(_listed(root, "transactions", _data)),
        withdrawals=None if withdrawals is None else tuple(_listed(root, "withdrawals", _withdrawal)),
        pre_state=_accounts(root, "pre_state"),
        codes=_codes(_object(root.get("codes"), "codes")),
        block_hashes=_block_hashes(_object(root.get("block_hashes", {}), "block_hashes")),
        receipts=tuple(_listed(expected, "receipts", _receipt, "expected.")),
        post_diff=_accounts(root, "post_diff"),
        source=_object(root.get("source", {}), "source"),
        verification=_object(root.get("verification", {}), "verification"),
    )
    _check(block, expected)
    return block


def _check(block: RecordedBlock, expected: Mapping[str, Any]) -> None:
    found = header_hash(block.header)
    if found != block.hash:
        _corrupt("header", f"hashes to {hex0x(found)}, the block's hash is {hex0x(block.hash)}")
    if int(block.header["number"], 16) != block.number:
        _corrupt("number", f"{block.number} is not the header's {int(block.header['number'], 16)}")
    for name in ("gasUsed", "receiptsRoot", "logsBloom"):
        if expected.get(name) != block.header[name]:
            _corrupt(f"expected.{name}", f"{expected.get(name)!r} is not the header's {block.header[name]!r}")
    root = ordered_root(block.transactions)
    if hex0x(root) != block.header["transactionsRoot"]:
        _corrupt("transactions", f"have the root {hex0x(root)}, the header says {block.header['transactionsRoot']}")
    hashes = block.transaction_hashes
    if len(block.receipts) != len(hashes):
        _corrupt("expected.receipts", f"are {len(block.receipts)} for {len(hashes)} transactions")
    for index, (receipt, tx_hash) in enumerate(zip(block.receipts, hashes, strict=True)):
        if receipt.index != index or receipt.hash != tx_hash:
            _corrupt(f"expected.receipts[{index}]", f"is of {hex0x(receipt.hash)}, not of {hex0x(tx_hash)}")
    context_of(block.header, block.chain_id)


def _corrupt(where: str, what: str) -> NoReturn:
    raise CorruptBlock(f"{where} {what}")


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        _corrupt(where, f"is {_shown(value)}, expected an object")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return "missing" if value is None else text if len(text) <= 60 else text[:57] + "..."


def _integer(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        _corrupt(where, f"is {_shown(value)}, expected a whole number")
    return value


def _quantity(value: Any, where: str) -> int:
    try:
        if isinstance(value, str) and value.startswith("0x"):
            return int(value, 16)
    except ValueError:
        pass
    _corrupt(where, f"is {_shown(value)}, expected a 0x number")


def _data(value: Any, where: str, size: int | None = None) -> bytes:
    try:
        if not isinstance(value, str) or not value.startswith("0x"):
            raise ValueError
        raw = bytes.fromhex(value[2:])
    except ValueError:
        _corrupt(where, f"is {_shown(value)}, expected 0x bytes")
    if size is not None and len(raw) != size:
        _corrupt(where, f"has {len(raw)} bytes, expected {size}")
    return raw


def _listed(parent: Mapping[str, Any], name: str, read: Callable[[Any, str], _T], prefix: str = "") -> list[_T]:
    values = parent.get(name)
    if not isinstance(values, list):
        _corrupt(prefix + name, f"is {_shown(values)}, expected a list")
    return [read(value, f"{prefix}{name}[{index}]") for index, value in enumerate(values)]


def _header(value: Any, where: str) -> Mapping[str, str]:
    header = _object(value, where)
    return {name: text.lower() if isinstance(text, str) else text for name, text in header.items()}


def _accounts(root: Mapping[str, Any], name: str) -> dict[Address, RecordedAccount | None]:
    accounts: dict[Address, RecordedAccount | None] = {}
    for key, value in _object(root.get(name), name).items():
        where = f"{name}.{key}"
        accounts[Address(_data(key, where, 20))] = None if value is None else _account(_object(value, where), where)
    return accounts


def _account(value: Mapping[str, Any], where: str) -> RecordedAccount:
    code_hash = value.get("code_hash")
    storage = _object(value.get("storage"), f"{where}.storage")
    return RecordedAccount(
        nonce=_quantity(value.get("nonce"), f"{where}.nonce"),
        balance=_quantity(value.get("balance"), f"{where}.balance"),
        code_hash=EMPTY_CODE_HASH if code_hash is None else _data(code_hash, f"{where}.code_hash", 32),
        storage={
            _quantity(slot, f"{where}.storage"): _quantity(text, f"{where}.storage.{slot}")
            for slot, text in storage.items()
        },
    )


def _codes(codes: Mapping[str, Any]) -> dict[bytes, bytes]:
    parsed = {_data(key, f"codes.{key}", 32): _data(code, f"codes.{key}") for key, code in codes.items()}
    for code_hash, code in parsed.items():
        if keccak(code) != code_hash:
            _corrupt(f"codes.{hex0x(code_hash)}", f"holds code with the hash {hex0x(keccak(code))}")
    return parsed


def _block_hashes(hashes: Mapping[str, Any]) -> dict[int, Hash32]:
    for number in hashes:
        if not number.isdecimal():
            _corrupt(f"block_hashes.{number}", "is not keyed by a block number")
    return {int(number): Hash32(_data(value, f"block_hashes.{number}", 32)) for number, value in hashes.items()}


def _withdrawal(value: Any, where: str) -> Withdrawal:
    fields = _object(value, where)
    return Withdrawal(
        index=_quantity(fields.get("index"), f"{where}.index"),
        validator_index=_quantity(fields.get("validatorIndex"), f"{where}.validatorIndex"),
        address=Address(_data(fields.get("address"), f"{where}.address", 20)),
        amount=_quantity(fields.get("amount"), f"{where}.amount"),
    )


def _receipt(value: Any, where: str) -> RecordedReceipt:
    fields = _object(value, where)
    delta = fields.get("coinbase_delta")
    if not isinstance(delta, str) or not delta.removeprefix("-").isdecimal():
        _corrupt(f"{where}.coinbase_delta", f"is {_shown(delta)}, expected a decimal string")
    to, contract = fields.get("to"), fields.get("contract")
    return RecordedReceipt(
        index=_integer(fields.get("index"), f"{where}.index"),
        hash=Hash32(_data(fields.get("hash"), f"{where}.hash", 32)),
        sender=Address(_data(fields.get("from"), f"{where}.from", 20)),
        to=None if to is None else Address(_data(to, f"{where}.to", 20)),
        type=_integer(fields.get("type"), f"{where}.type"),
        status=_integer(fields.get("status"), f"{where}.status"),
        gas_used=_integer(fields.get("gas_used"), f"{where}.gas_used"),
        cumulative_gas_used=_integer(fields.get("cumulative_gas_used"), f"{where}.cumulative_gas_used"),
        effective_gas_price=_integer(fields.get("effective_gas_price"), f"{where}.effective_gas_price"),
        contract=None if contract is None else Address(_data(contract, f"{where}.contract", 20)),
        coinbase_delta=int(delta),
        logs=tuple(_listed(fields, "logs", _log, f"{where}.")),
    )


def _log(value: Any, where: str) -> LogEntry:
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[1], list):
        _corrupt(where, f"is {_shown(value)}, expected [address, topics, data]")
    topics = tuple(_data(topic, f"{where} topic", 32) for topic in value[1])
    return LogEntry(_data(value[0], f"{where} address", 20), topics, _data(value[2], f"{where} data"))


# Writing


def to_json(block: RecordedBlock) -> dict[str, Any]:
    """The JSON value of a block, as ``parse`` reads it; the same block gives the same value."""
    header = dict(block.header)
    return {
        "format": FORMAT,
        "chain_id": block.chain_id,
        "number": block.number,
        "hash": hex0x(block.hash),
        "fork": str(block.fork),
        "source": dict(block.source),
        "verification": dict(block.verification),
        "header": header,
        "parent_header": None if block.parent_header is None else dict(block.parent_header),
        "withdrawals": None if block.withdrawals is None else [_withdrawal_json(one) for one in block.withdrawals],
        "transactions": [hex0x(raw) for raw in block.transactions],
        "pre_state": _accounts_json(block.pre_state),
        "codes": {hex0x(key): hex0x(code) for key, code in sorted(block.codes.items())},
        "block_hashes": {str(number): hex0x(value) for number, value in sorted(block.block_hashes.items())},
        "expected": {
            "gasUsed": header["gasUsed"],
            "receiptsRoot": header["receiptsRoot"],
            "logsBloom": header["logsBloom"],
            "receipts": _receipts_json(block.receipts),
        },
        "post_diff": _accounts_json(block.post_diff),
    }


def _accounts_json(accounts: Mapping[Address, RecordedAccount | None]) -> dict[str, Any]:
    return {
        hex0x(address): None
        if account is None
        else {
            "nonce": hex(account.nonce),
            "balance": hex(account.balance),
            "code_hash": None if account.code_hash == EMPTY_CODE_HASH else hex0x(account.code_hash),
            "storage": {hex(slot): hex(value) for slot, value in sorted(account.storage.items())},
        }
        for address, account in sorted(accounts.items())
    }


def _withdrawal_json(withdrawal: Withdrawal) -> dict[str, str]:
    return {
        "index": hex(withdrawal.index),
        "validatorIndex": hex(withdrawal.validator_index),
        "address": hex0x(withdrawal.address),
        "amount": hex(withdrawal.amount),
    }


def _receipts_json(receipts: tuple[RecordedReceipt, ...]) -> list[dict[str, Any]]:
    documents = []
    log0 = 0
    for receipt in receipts:
        documents.append(
            {
                "index": receipt.index,
                "hash": hex0x(receipt.hash),
                "from": hex0x(receipt.sender),
                "to": None if receipt.to is None else hex0x(receipt.to),
                "type": receipt.type,
                "status": receipt.status,
                "gas_used": receipt.gas_used,
                "cumulative_gas_used": receipt.cumulative_gas_used,
                "effective_gas_price": receipt.effective_gas_price,
                "contract": None if receipt.contract is None else hex0x(receipt.contract),
                "coinbase_delta": str(receipt.coinbase_delta),
                "log0": log0,
                "bloom": hex0x(logs_bloom(receipt.logs)),
                "logs": [[hex0x(log.address), [hex0x(t) for t in log.topics], hex0x(log.data)] for log in receipt.logs],
            }
        )
        log0 += len(receipt.logs)
    return documents
