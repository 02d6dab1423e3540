"""The answers to JSON-RPC requests of the ``eth`` namespace, from the chain's own blocks and state.

State is held for the last 128 blocks, blocks and receipts for the last 2048. ``pending`` is read as ``latest``.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import trio

from flasharb.devnet.block import Receipt
from flasharb.devnet.chain import Block, Chain, header_context
from flasharb.devnet.hexes import hex_bytes, hex_int, hex_word, parse_bytes, parse_int
from flasharb.devnet.ledger import BlockUnavailable, StateAt
from flasharb.devnet.pending import Refused
from flasharb.devnet.transactions import Transaction, UndecodableTransaction, decode
from flasharb.evm import BlockContext, Fork, InvalidTransaction, Machine, TransactionResult, UnsignedTransaction
from flasharb.execution.fees import next_base_fee
from flasharb.units import WEI_PER_GWEI, Address, Hash32

CALL_GAS_CAP: Final = 30_000_000
MAX_LOGS: Final = 10_000
MAX_FEE_HISTORY: Final = 1024
ESTIMATE_PRECISION: Final = 64
"""A gas estimate may exceed the least sufficient limit by one part in this many, as geth's."""
PRIORITY_FEE_HINT_WEI: Final = WEI_PER_GWEI // 10
CLIENT: Final = "flasharb-devnet/1"

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
SERVER_ERROR: Final = -32000
LIMIT_EXCEEDED: Final = -32005
EXECUTION_REVERTED: Final = 3

T = TypeVar("T")


class RpcError(Exception):
    """A JSON-RPC error reply."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def to_json(self) -> dict[str, Any]:
        """The ``error`` member of the reply."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            body["data"] = self.data
        return body


class EvmThread:
    """Runs one piece of EVM work at a time in a worker thread, so that sockets are served meanwhile."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(1)

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` when its turn comes."""
        return await trio.to_thread.run_sync(work, limiter=self._limiter)


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs are asked for; an empty set of addresses or a None topic takes all."""

    addresses: frozenset[str]
    topics: tuple[frozenset[str] | None, ...]

    def takes(self, address: str, topics: Sequence[str]) -> bool:
        """Whether a log (lower-case hex) is asked for."""
        if self.addresses and address not in self.addresses:
            return False
        if len(self.topics) > len(topics):
            return False
        return all(wanted is None or topic in wanted for wanted, topic in zip(self.topics, topics, strict=False))


def parse_log_filter(query: Mapping[str, Any]) -> LogFilter:
    """The ``address`` and ``topics`` of ``eth_getLogs`` and of a logs subscription.

    Raises:
        ValueError: not addresses, not topics.
    """
    address = query.get("address")
    listed = [] if address is None else [address] if isinstance(address, str) else address
    addresses = frozenset(hex_bytes(parse_bytes(item, 20)) for item in listed)
    topics: list[frozenset[str] | None] = []
    for entry in query.get("topics") or ():
        if entry is None or entry == []:
            topics.append(None)
        else:
            choices = [entry] if isinstance(entry, str) else entry
            topics.append(frozenset(hex_bytes(parse_bytes(item, 32)) for item in choices))
    return LogFilter(addresses, tuple(topics))


class Rpc:
    """The ``eth`` namespace of one chain."""

    def __init__(self, chain: Chain, evm: EvmThread) -> None:
        self._chain = chain
        self._evm = evm
        self._methods: dict[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex_int(chain.chain_id),
            "net_version": lambda: str(chain.chain_id),
            "web3_clientVersion": lambda: CLIENT,
            "eth_syncing": lambda: False,
            "eth_accounts": list,
            "eth_blockNumber": lambda: hex_int(chain.head.number),
            "eth_gasPrice": lambda: hex_int(next_base_fee(chain.head.header) + PRIORITY_FEE_HINT_WEI),
            "eth_maxPriorityFeePerGas": lambda: hex_int(PRIORITY_FEE_HINT_WEI),
            "eth_feeHistory": self.fee_history,
            "eth_getBlockByNumber": self.block_by_number,
            "eth_getBlockByHash": self.block_by_hash,
            "eth_getBlockTransactionCountByNumber": self.transaction_count_of_block,
            "eth_getBlockReceipts": self.block_receipts,
            "eth_getTransactionByHash": self.transaction_by_hash,
            "eth_getTransactionReceipt": self.transaction_receipt,
            "eth_getRawTransactionByHash": self.raw_transaction,
            "eth_getLogs": self.logs,
            "eth_getBalance": self.balance,
            "eth_getCode": self.code,
            "eth_getStorageAt": self.storage_at,
            "eth_getTransactionCount": self.transaction_count,
            "eth_getProof": self.proof,
            "eth_call": self.call,
            "eth_estimateGas": self.estimate_gas,
            "eth_createAccessList": self.create_access_list,
            "eth_sendRawTransaction": self.send_raw_transaction,
        }

    async def handle(self, method: str, params: Sequence[Any]) -> Any:
        """The result of one request.

        Raises:
            RpcError: with the code and words of the reply.
        """
        answer = self._methods.get(method)
        if answer is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist/is not available")
        try:
            inspect.signature(answer).bind(*params)
        except TypeError as error:
            raise RpcError(INVALID_PARAMS, f"invalid params for {method}: {error}") from None
        try:
            result = answer(*params)
            return await result if isinstance(result, Awaitable) else result
        except BlockUnavailable as error:
            raise RpcError(SERVER_ERROR, str(error)) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RpcError(INVALID_PARAMS, f"invalid argument: {error}") from None

    # Blocks

    def _number(self, tag: Any) -> int:
        """The number that a block parameter names; it need not exist."""
        head = self._chain.head.number
        if isinstance(tag, Mapping):
            if "blockHash" in tag:
                return self._number_of_hash(tag["blockHash"])
            return self._number(tag["blockNumber"])
        if tag is None or tag in ("latest", "pending", "safe", "finalized"):
            return head
        if tag == "earliest":
            return self._chain.genesis.number
        if isinstance(tag, str) and len(tag) == 66:
            return self._number_of_hash(tag)
        return parse_int(tag)

    def _number_of_hash(self, text: Any) -> int:
        number = self._chain.number_of(Hash32(parse_bytes(text, 32)))
        if number is None:
            raise BlockUnavailable("header not found")
        return number

    def _state(self, tag: Any) -> StateAt:
        return self._chain.ledger.at(self._number(tag))

    def block_by_number(self, tag: Any, full: bool = False) -> dict[str, Any] | None:
        block = self._chain.block(self._number(tag))
        return None if block is None else block_json(block, full)

    def block_by_hash(self, block_hash: Any, full: bool = False) -> dict[str, Any] | None:
        number = self._chain.number_of(Hash32(parse_bytes(block_hash, 32)))
        block = None if number is None else self._chain.block(number)
        return None if block is None else block_json(block, full)

    def transaction_count_of_block(self, tag: Any) -> str | None:
        block = self._chain.block(self._number(tag))
        return None if block is None else hex_int(len(block.transactions))

    def block_receipts(self, tag: Any) -> list[dict[str, Any]] | None:
        block = self._chain.block(self._number(tag))
        return None if block is None else [receipt_json(block, receipt) for receipt in block.receipts]

    def fee_history(self, count: Any, newest: Any, percentiles: Sequence[float] | None = None) -> dict[str, Any]:
        last = self._number(newest)
        wanted = min(parse_int(count) if isinstance(count, str) else int(count), MAX_FEE_HISTORY)
        blocks = [block for n in range(max(last - wanted + 1, 0), last + 1) if (block := self._chain.block(n))]
        if not blocks:
            raise BlockUnavailable("requested blocks are not available")
        fees = [block.header.base_fee_per_gas for block in blocks]
        out: dict[str, Any] = {
            "oldestBlock": hex_int(blocks[0].number),
            "baseFeePerGas": [hex_int(fee) for fee in [*fees, next_base_fee(blocks[-1].header)]],
            "gasUsedRatio": [block.header.gas_used / block.header.gas_limit for block in blocks],
        }
        if percentiles is not None:
            out["reward"] = [[hex_int(_tip_at(block, share)) for share in percentiles] for block in blocks]
        return out

    # Transactions

    def transaction_by_hash(self, transaction_hash: Any) -> dict[str, Any] | None:
        key = Hash32(parse_bytes(transaction_hash, 32))
        place = self._chain.place_of(key)
        if place is not None:
            return transaction_json(*place)
        waiting = self._chain.mempool.get(key)
        if waiting is None:
            return None
        return waiting.to_json() | {"blockHash": None, "blockNumber": None, "transactionIndex": None}

    def transaction_receipt(self, transaction_hash: Any) -> dict[str, Any] | None:
        place = self._chain.place_of(Hash32(parse_bytes(transaction_hash, 32)))
        return None if place is None else receipt_json(place[0], place[0].receipts[place[1]])

    def raw_transaction(self, transaction_hash: Any) -> str | None:
        key = Hash32(parse_bytes(transaction_hash, 32))
        place = self._chain.place_of(key)
        found = self._chain.mempool.get(key) if place is None else place[0].transactions[place[1]]
        return None if found is None else hex_bytes(found.raw)

    def send_raw_transaction(self, raw: Any) -> str:
        try:
            transaction = decode(parse_bytes(raw))
            self._chain.add_transaction(transaction)
        except (UndecodableTransaction, Refused) as error:
            raise RpcError(SERVER_ERROR, str(error)) from None
        return hex_bytes(transaction.hash)

    # Logs

    def logs(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        wanted = parse_log_filter(query)
        if "blockHash" in query:
            if query.keys() & {"fromBlock", "toBlock"}:
                raise ValueError("blockHash cannot stand beside fromBlock or toBlock")
            first = last = self._number_of_hash(query["blockHash"])
        else:
            first, last = self._number(query.get("fromBlock")), self._number(query.get("toBlock"))
        if first > last:
            raise ValueError("fromBlock is after toBlock")
        found: list[dict[str, Any]] = []
        for number in range(first, min(last, self._chain.head.number) + 1):
            block = self._chain.block(number)
            if block is None:
                raise BlockUnavailable(f"logs of block {number} are not available")
            found.extend(matching_logs(block, wanted))
            if len(found) > MAX_LOGS:
                raise RpcError(LIMIT_EXCEEDED, f"query returned more than {MAX_LOGS} results")
        return found

    # State

    def balance(self, address: Any, tag: Any = None) -> str:
        account = self._state(tag).account(parse_bytes(address, 20))
        return hex_int(account.balance if account is not None else 0)

    def code(self, address: Any, tag: Any = None) -> str:
        state = self._state(tag)
        account = state.account(parse_bytes(address, 20))
        return "0x" if account is None else hex_bytes(state.code(account.code_hash))

    def storage_at(self, address: Any, slot: Any, tag: Any = None) -> str:
        return hex_word(self._state(tag).storage(parse_bytes(address, 20), parse_int(slot)))

    def transaction_count(self, address: Any, tag: Any = None) -> str:
        owner = Address(parse_bytes(address, 20))
        account = self._state(tag).account(owner)
        nonce = account.nonce if account is not None else 0
        return hex_int(self._chain.mempool.next_nonce(owner, nonce) if tag == "pending" else nonce)

    async def proof(self, address: Any, slots: Any, tag: Any = None) -> dict[str, Any]:
        owner, wanted = Address(parse_bytes(address, 20)), [parse_int(slot) for slot in slots]
        number = self._number(tag)
        # In the thread that builds blocks, so that nobody changes the tries meanwhile.
        proof = await self._evm.run(lambda: self._chain.prove(number, owner, wanted))
        return {
            "address": hex_bytes(owner),
            "balance": hex_int(proof.balance),
            "nonce": hex_int(proof.nonce),
            "codeHash": hex_bytes(proof.code_hash),
            "storageHash": hex_bytes(proof.storage_root),
            "accountProof": [hex_bytes(node) for node in proof.nodes],
            "storageProof": [
                {"key": hex_int(slot), "value": hex_int(value), "proof": [hex_bytes(node) for node in nodes]}
                for slot, (value, nodes) in zip(wanted, proof.slots, strict=True)
            ],
        }

    # Execution

    async def call(self, request: Mapping[str, Any], tag: Any = None) -> str:
        state = self._state(tag)
        context = self._context(state)
        sender = parse_bytes(request.get("from") or "0x" + "00" * 20, 20)
        to = parse_bytes(request["to"], 20)
        data = _input(request)
        value = parse_int(request.get("value") or "0x0")
        gas = min(parse_int(request["gas"]) if request.get("gas") else CALL_GAS_CAP, CALL_GAS_CAP)
        result = await self._evm.run(
            lambda: Machine(state, context, Fork.PRAGUE).call(to, data, sender=sender, value=value, gas=gas)
        )
        if not result.success:
            raise _failure(result.error, result.output)
        return hex_bytes(result.output)

    async def estimate_gas(self, request: Mapping[str, Any], tag: Any = None) -> str:
        state = self._state(tag)
        context = self._context(state)
        return hex_int(await self._evm.run(lambda: _estimate(state, context, request)))

    async def create_access_list(self, request: Mapping[str, Any], tag: Any = None) -> dict[str, Any]:
        state = self._state(tag)
        machine = Machine(state, self._context(state), Fork.PRAGUE)
        sender = parse_bytes(request.get("from") or "0x" + "00" * 20, 20)
        to, data = parse_bytes(request["to"], 20), _input(request)
        value = parse_int(request.get("value") or "0x0")
        result = await self._evm.run(lambda: machine.call(to, data, sender=sender, value=value, gas=CALL_GAS_CAP))
        entries = [
            {"address": hex_bytes(account), "storageKeys": [hex_word(slot) for slot in sorted(slots)]}
            for account, slots in sorted(machine.touched.items())
            if account != sender and (account != to or slots)
        ]
        reply = {"accessList": entries, "gasUsed": hex_int(result.gas_used)}
        return reply if result.success else {**reply, "error": result.error or "execution reverted"}

    def _context(self, state: StateAt) -> BlockContext:
        block = self._chain.block(state.block_number)
        assert block is not None
        return header_context(block.header, self._chain.chain_id)


def _estimate(state: StateAt, context: BlockContext, request: Mapping[str, Any]) -> int:
    """The least gas limit that succeeds, to one part in 64 above it.

    Raises:
        RpcError: it fails with any limit.
    """
    sender = parse_bytes(request.get("from") or "0x" + "00" * 20, 20)
    account = state.account(sender)
    free = BlockContext(**{name: getattr(context, name) for name in context.__slots__} | {"base_fee_per_gas": 0})

    def attempt(limit: int) -> TransactionResult:
        machine = Machine(state, free, Fork.PRAGUE)
        return machine.apply(
            UnsignedTransaction(
                sender=sender,
                to=parse_bytes(request["to"], 20) if request.get("to") else None,
                data=_input(request),
                value=parse_int(request.get("value") or "0x0"),
                nonce=account.nonce if account is not None else 0,
                gas_limit=limit,
                max_fee_per_gas=0,
                max_priority_fee_per_gas=0,
                chain_id=context.chain_id,
            )
        )

    def enough(limit: int) -> bool:
        try:
            return attempt(limit).status == 1
        except InvalidTransaction:
            # Refunds may bring the gas used below what a transaction has to bring along.
            return False

    high = min(parse_int(request["gas"]) if request.get("gas") else CALL_GAS_CAP, CALL_GAS_CAP)
    try:
        first = attempt(high)
    except InvalidTransaction as error:
        raise RpcError(SERVER_ERROR, str(error)) from None
    if first.status == 0:
        raise _failure(first.error, first.output)
    if first.gas_used < high and enough(first.gas_used):
        return first.gas_used
    low = first.gas_used
    guess = min(high, first.gas_used * 64 // 63 + 2300)
    while high - low > max(high // ESTIMATE_PRECISION, 1):
        low, high = (low, guess) if enough(guess) else (guess, high)
        guess = (low + high) // 2
    return high


def _input(request: Mapping[str, Any]) -> bytes:
    return parse_bytes(request.get("input") or request.get("data") or "0x")


def _failure(error: str | None, output: bytes) -> RpcError:
    if output or error is None or "revert" in error.lower():
        return RpcError(EXECUTION_REVERTED, "execution reverted", hex_bytes(output))
    return RpcError(SERVER_ERROR, error)


def _tip_at(block: Block, percentile: float) -> int:
    """The priority fee that ``percentile`` percent of the block's gas paid at most."""
    base_fee = block.header.base_fee_per_gas
    paid = sorted((receipt.effective_gas_price - base_fee, receipt.gas_used) for receipt in block.receipts)
    threshold, total = block.header.gas_used * percentile / 100, 0
    for tip, gas in paid:
        total += gas
        if total >= threshold:
            return tip
    return 0


def header_json(block: Block) -> dict[str, Any]:
    """A header as ``newHeads`` announces it."""
    return block.header.to_json()


def block_json(block: Block, full: bool) -> dict[str, Any]:
    """A block, with whole transactions or their hashes."""
    places = range(len(block.transactions))
    return block.header.to_json() | {
        "size": hex_int(block.size),
        "uncles": [],
        "withdrawals": [],
        "transactions": [transaction_json(block, n) if full else hex_bytes(block.transactions[n].hash) for n in places],
    }


def transaction_json(block: Block, index: int) -> dict[str, Any]:
    """A transaction in its block."""
    transaction: Transaction = block.transactions[index]
    return transaction.to_json() | {
        "blockHash": hex_bytes(block.header.hash),
        "blockNumber": hex_int(block.number),
        "transactionIndex": hex_int(index),
        "gasPrice": hex_int(transaction.effective_gas_price(block.header.base_fee_per_gas)),
    }


def receipt_json(block: Block, receipt: Receipt) -> dict[str, Any]:
    """A receipt with its logs."""
    return {
        "transactionHash": hex_bytes(receipt.transaction_hash),
        "transactionIndex": hex_int(receipt.index),
        "blockHash": hex_bytes(block.header.hash),
        "blockNumber": hex_int(block.number),
        "from": hex_bytes(receipt.sender),
        "to": None if receipt.to is None else hex_bytes(receipt.to),
        "type": hex_int(receipt.type),
        "status": hex_int(receipt.status),
        "gasUsed": hex_int(receipt.gas_used),
        "cumulativeGasUsed": hex_int(receipt.cumulative_gas_used),
        "effectiveGasPrice": hex_int(receipt.effective_gas_price),
        "contractAddress": None if receipt.contract_address is None else hex_bytes(receipt.contract_address),
        "logs": list(_logs_json(block, receipt)),
        "logsBloom": hex_bytes(receipt.bloom),
    }


def _logs_json(block: Block, receipt: Receipt) -> Iterator[dict[str, Any]]:
    for position, log in enumerate(receipt.logs):
        yield {
            "address": hex_bytes(log.address),
            "topics": [hex_bytes(topic) for topic in log.topics],
            "data": hex_bytes(log.data),
            "blockNumber": hex_int(block.number),
            "blockHash": hex_bytes(block.header.hash),
            "blockTimestamp": hex_int(block.header.timestamp),
            "transactionHash": hex_bytes(receipt.transaction_hash),
            "transactionIndex": hex_int(receipt.index),
            "logIndex": hex_int(receipt.log0 + position),
            "removed": False,
        }


def matching_logs(block: Block, wanted: LogFilter) -> Iterator[dict[str, Any]]:
    """The logs of a block that a filter takes, in order."""
    for receipt in block.receipts:
        for log in _logs_json(block, receipt):
            if wanted.takes(log["address"], log["topics"]):
                yield log
