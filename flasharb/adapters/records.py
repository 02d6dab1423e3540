"""Trades and outcomes as JSON values, for the journal and for ``run --json``.

Amounts are decimal strings in the smallest unit, hashes and addresses 0x strings (addresses checksummed), gas and block
numbers integers, times milliseconds.
"""

from __future__ import annotations

from typing import Any, assert_never

from flasharb.execution.outcome import DryRun, Included, Missed, Outcome, Reverted, Submitted
from flasharb.execution.replies import Acknowledged, Reply
from flasharb.execution.transaction import Transaction, signing_hash
from flasharb.simulation.accounting import Verdict
from flasharb.simulation.receipts import Seen
from flasharb.strategy.terms import Terms
from flasharb.strategy.trade import Rejected, Trade
from flasharb.units import checksum, hex0x


def trade_record(trade: Trade) -> dict[str, Any]:
    """A sized trade with its exact amounts."""
    return {
        "trade": trade.id,
        "block_number": trade.block_number,
        "base_token": checksum(trade.base_token),
        "hops": [
            {
                "pool": checksum(one.hop.pool),
                "protocol": one.protocol,
                "token_in": checksum(one.hop.token_in),
                "token_out": checksum(one.hop.token_out),
                "amount_in": str(one.amount_in),
                "amount_out": str(one.amount_out),
            }
            for one in trade.hops
        ],
        "gross_profit": str(trade.gross_profit),
        "loan_fee": str(trade.loan_fee),
        "net_profit_wei_estimate": str(trade.net_profit_wei_estimate),
    }


def real_arbitrage_record(real: Seen, verdict: Verdict) -> dict[str, Any]:
    """An arbitrage of the chain, by whomever: what it won before gas and bid, and why it was not ours (null: found)."""
    protocols = {swap.pool: swap.protocol for swap in real.swaps}
    return {
        "tx_hash": hex0x(real.receipt.tx_hash),
        "index": real.receipt.index,
        "token": checksum(real.arbitrage.token),
        "gross_profit": str(real.arbitrage.gross_profit),
        "path": [{"pool": pool_text(pool), "protocol": protocols[pool]} for pool in real.arbitrage.path],
        "found": verdict.missed is None,
        "ours": verdict.ours,
        "reason": None if verdict.missed is None else verdict.missed.value,
        "detail": verdict.detail,
    }


def pool_text(pool: bytes) -> str:
    """A pool's address, or its id inside a singleton."""
    return checksum(pool) if len(pool) == 20 else hex0x(pool)


def intent_record(trade_id: int, transaction: Transaction, terms: Terms, first_block: int) -> dict[str, Any]:
    """What is about to be signed: enough to find it again on the chain, whatever happens after this line."""
    return {
        "trade": trade_id,
        "first_block": first_block,
        "nonce": transaction.nonce,
        "signing_hash": hex0x(signing_hash(transaction)),
        "gas_limit": transaction.gas_limit,
        "max_fee_per_gas": str(transaction.max_fee_per_gas),
        "max_priority_fee_per_gas": str(transaction.max_priority_fee_per_gas),
        "min_profit": str(terms.min_profit),
        "bid_wei": str(terms.bid_wei),
        "expected_net_profit_wei": str(terms.net_profit_wei),
    }


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """What became of a trade; ``outcome`` names it, ``trade`` is the trade's id."""
    common = {"trade": outcome.id, "outcome": type(outcome).__name__.lower()}
    match outcome:
        case Rejected():
            return {
                **common,
                "reason": outcome.reason,
                "detail": outcome.detail,
                "block_number": outcome.block_number,
            }
        case DryRun():
            return {
                **common,
                "block_number": outcome.block_number,
                "gas_used": outcome.gas_used,
                "effective_gas_price": str(outcome.effective_gas_price),
                "base_token": checksum(outcome.base_token),
                "gross_profit": str(outcome.gross_profit),
                "bid_wei": str(outcome.bid_wei),
                "net_profit_wei": str(outcome.net_profit_wei),
                "latency_ms": outcome.latency_ns / 1e6,
            }
        case Reverted():
            return {
                **common,
                "block_number": outcome.block_number,
                "on_chain": outcome.on_chain,
                "reason": outcome.reason,
                "gas_used": outcome.gas_used,
                "tx_hash": None if outcome.tx_hash is None else hex0x(outcome.tx_hash),
                "net_profit_wei": str(outcome.net_profit_wei),
                "latency_ms": outcome.latency_ns / 1e6,
            }
        case Submitted():
            return {
                **common,
                "tx_hash": hex0x(outcome.tx_hash),
                "bundle_hash": hex0x(outcome.bundle_hash),
                "target_block": outcome.target_block,
                "nonce": outcome.nonce,
                "bid_wei": str(outcome.bid_wei),
                "expected_net_profit_wei": str(outcome.expected_net_profit_wei),
                "replies": [{"relay": relay, "reply": reply_words(reply)} for relay, reply in outcome.replies],
                "latency_ms": outcome.latency_ns / 1e6,
            }
        case Included():
            return {
                **common,
                "tx_hash": hex0x(outcome.tx_hash),
                "bundle_hash": hex0x(outcome.bundle_hash),
                "block_number": outcome.block_number,
                "block_hash": hex0x(outcome.block_hash),
                "gas_used": outcome.gas_used,
                "effective_gas_price": str(outcome.effective_gas_price),
                "base_token": checksum(outcome.base_token),
                "gross_profit": str(outcome.gross_profit),
                "coinbase_payment": str(outcome.coinbase_payment_wei),
                "net_profit_wei": str(outcome.net_profit_wei),
                "latency_ms": outcome.latency_ns / 1e6,
            }
        case Missed():
            return {
                **common,
                "tx_hash": hex0x(outcome.tx_hash),
                "bundle_hash": hex0x(outcome.bundle_hash),
                "block_number": outcome.block_number,
                "reason": outcome.reason,
                "detail": outcome.detail,
                "latency_ms": outcome.latency_ns / 1e6,
            }
        case _ as never:
            assert_never(never)


def reply_words(reply: Reply) -> str:
    """A relay's answer in a few words."""
    if isinstance(reply, Acknowledged):
        return "acknowledged"
    return f"{type(reply).__name__.lower()} ({reply.kind}): {reply.detail}"
