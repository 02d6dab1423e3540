"""Receipts as a chain would have them: an arbitrage over two V2 pools, a plain swap, a user's purchase with ether."""

from __future__ import annotations

from collections.abc import Sequence

from eth_hash.auto import keccak

from flasharb.simulation.measure import DEPOSIT, WITHDRAWAL
from flasharb.simulation.receipts import BlockReceipt
from flasharb.simulation.result import Log
from flasharb.simulation.swaps import TRANSFER, V2_SWAP
from flasharb.units import Address, Hash32, hex0x
from tests.support.service_fakes import CHEAP, DEAR, USDC, WETH

SEARCHER, BOT = Address(b"\x5a" * 20), Address(b"\xb0" * 20)


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def transfer(token: Address, source: Address, target: Address, amount: int) -> Log:
    return Log(token, (Hash32(TRANSFER), _topic(source), _topic(target)), word(amount))


def swap(pool: Address, amounts: tuple[int, int, int, int]) -> Log:
    """``amounts``: in of token0 and token1, out of token0 and token1; WETH is token0 of the fake pools."""
    return Log(pool, (Hash32(V2_SWAP), _topic(BOT), _topic(BOT)), b"".join(map(word, amounts)))


def withdrawal(account: Address, amount: int) -> Log:
    return Log(WETH, (Hash32(WITHDRAWAL), _topic(account)), word(amount))


def deposit(account: Address, amount: int) -> Log:
    return Log(WETH, (Hash32(DEPOSIT), _topic(account)), word(amount))


def cycle(
    paid: int, got: int, *, bot: Address = BOT, first: Address = DEAR, second: Address = CHEAP
) -> tuple[Log, ...]:
    """WETH into one pool, dollars out of it and into the other, more WETH back."""
    dollars = 2_000 * 10**6
    return (
        transfer(WETH, bot, first, paid),
        transfer(USDC, first, second, dollars),
        swap(first, (paid, 0, 0, dollars)),
        transfer(WETH, second, bot, got),
        swap(second, (0, dollars, got, 0)),
    )


def receipt(
    index: int,
    logs: Sequence[Log],
    *,
    to: Address | None = BOT,
    sender: Address = SEARCHER,
    status: int = 1,
    block: int = 0,
) -> BlockReceipt:
    tx_hash = Hash32(keccak(f"{block}/{index}".encode()))
    return BlockReceipt(tx_hash, index, sender, to, status, 200_000, 10**9, tuple(logs))


def as_json(one: BlockReceipt, block_hash: Hash32) -> dict[str, object]:
    """The receipt as a node tells it."""
    return {
        "transactionHash": hex0x(one.tx_hash),
        "transactionIndex": hex(one.index),
        "blockHash": hex0x(block_hash),
        "from": hex0x(one.sender),
        "to": None if one.to is None else hex0x(one.to),
        "status": hex(one.status),
        "gasUsed": hex(one.gas_used),
        "effectiveGasPrice": hex(one.effective_gas_price),
        "logs": [
            {"address": hex0x(log.address), "topics": [hex0x(topic) for topic in log.topics], "data": hex0x(log.data)}
            for log in one.logs
        ],
    }


def _topic(account: Address) -> Hash32:
    return Hash32(account.rjust(32, b"\0"))
