"""Blocks of the devnet hold together: roots, fees, order, bundles, and an independent execution agrees."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from flasharb.devnet.block import EMPTY_REQUESTS_HASH, list_root, logs_bloom
from flasharb.devnet.chain import Built, Chain, Refused, intrinsic_gas
from flasharb.devnet.layout import BEACON_ROOTS, BLOCK_HASHES, CONTRACTS
from flasharb.devnet.pending import Bundle
from flasharb.devnet.recording import recorded
from flasharb.devnet.transactions import decode
from flasharb.devnet.world import World
from flasharb.evm import Account, LogEntry, roots
from flasharb.simulation.recorded import header_hash, parse, to_json
from flasharb.simulation.verify import verify
from flasharb.units import Address
from tests.support.devnet import GWEI, swap_data, transfer

Traded = tuple[Chain, list[Built]]


def test_headers_link_and_hash_as_another_reading_of_their_fields_says(traded: Traded) -> None:
    chain, blocks = traded
    parent = chain.genesis.header
    for built in blocks:
        header = built.block.header

        assert header.parent_hash == parent.hash
        assert header.number == parent.number + 1
        assert header.timestamp > parent.timestamp
        assert header_hash(header.to_json()) == header.hash
        assert header.requests_hash == EMPTY_REQUESTS_HASH
        parent = header


def test_state_root_is_that_of_the_whole_state_rebuilt_from_nothing(traded: Traded) -> None:
    chain, _ = traded
    ledger = chain.ledger
    accounts = {
        address: Account(
            account.nonce,
            account.balance,
            b"" if not ledger.codes.get(account.code_hash) else ledger.codes[account.code_hash],
            account.storage,
        )
        for address, account in ledger.accounts.items()
    }

    assert roots.state_root(accounts) == chain.head.header.state_root


def test_roots_and_bloom_agree_with_the_verifier_s_own(traded: Traded) -> None:
    _, blocks = traded
    assert any(built.block.receipts for built in blocks)
    for built in blocks:
        header, receipts = built.block.header, built.block.receipts
        encoded = [roots.receipt_bytes(r.type, r.status, r.cumulative_gas_used, r.logs) for r in receipts]

        assert header.receipts_root == roots.ordered_root(encoded)
        assert header.transactions_root == roots.ordered_root(t.raw for t in built.block.transactions)
        assert header.logs_bloom == roots.logs_bloom([log for r in receipts for log in r.logs])
        assert header.gas_used == sum(receipt.gas_used for receipt in receipts)


@pytest.mark.parametrize("engine", ["py-evm", "stock"])
def test_recorded_blocks_verify_in_both_engines(traded: Traded, engine: str) -> None:
    chain, blocks = traded
    for built in blocks[:: 1 if engine == "py-evm" else 4]:
        block = recorded(built, chain.ledger.at(built.parent.number), chain.chain_id)
        verification = verify(parse(to_json(block)), engine)  # type: ignore[arg-type]

        assert verification.mismatches == ()
        assert verification.gas_used_ok
        assert verification.receipts_root_ok
        assert verification.logs_bloom_ok


def test_undoing_a_block_s_recorded_changes_gives_the_state_before_it(traded: Traded) -> None:
    chain, blocks = traded
    for before, built in pairwise(blocks):
        at_parent, at_block = chain.ledger.at(built.parent.number), chain.ledger.at(built.block.number)
        for address, change in built.changes.items():
            assert change is not None
            assert at_block.account(address) == (change.nonce, change.balance, change.code_hash)
            for slot, value in change.slots.items():
                assert at_block.storage(address, slot) == value
        for address, change in before.changes.items():
            assert change is not None
            assert at_parent.account(address) == (change.nonce, change.balance, change.code_hash)


def test_system_contracts_hold_the_beacon_root_and_the_parent_hash(chain: Chain) -> None:
    first = chain.mine(0).block.header
    second = chain.mine(0).block.header
    slot = second.timestamp % 8191
    state = chain.ledger.at(2)

    assert state.storage(BEACON_ROOTS, slot) == second.timestamp
    assert state.storage(BEACON_ROOTS, slot + 8191) == int.from_bytes(second.parent_beacon_root, "big")
    assert state.storage(BLOCK_HASHES, 1) == int.from_bytes(first.hash, "big")
    assert chain.ledger.at(1).storage(BLOCK_HASHES, 1) == 0


def test_ether_is_neither_made_nor_lost_but_burnt_as_base_fee(chain: Chain) -> None:
    def supply() -> int:
        return sum(account.balance for account in chain.ledger.accounts.values())

    before = supply()
    chain.add_transaction(decode(transfer(chain, value=10**18)))
    header = chain.mine(0).block.header

    assert header.gas_used == 21_000
    assert before - supply() == 21_000 * header.base_fee_per_gas


def test_base_fee_falls_over_an_empty_block_by_an_eighth(chain: Chain) -> None:
    fees = [chain.mine(0).block.header.base_fee_per_gas for _ in range(3)]

    assert fees == [437_500_000, 382_812_500, 334_960_938]


def test_transactions_come_by_tip_and_each_sender_s_in_the_order_of_its_nonces(chain: Chain, world: World) -> None:
    start = chain.ledger.accounts[world.names["trader_0"]].nonce
    cheap_first = transfer(chain, "trader 0", nonce=start, fees=(1 * GWEI, 10 * GWEI))
    dear_second = transfer(chain, "trader 0", nonce=start + 1, fees=(9 * GWEI, 10 * GWEI))
    middle = transfer(chain, "trader 1", fees=(2 * GWEI, 10 * GWEI))
    for raw in (dear_second, cheap_first, middle):
        chain.add_transaction(decode(raw))

    block = chain.mine(0).block

    assert [transaction.raw for transaction in block.transactions] == [middle, cheap_first, dear_second]
    assert len(chain.mempool) == 0


def test_a_nonce_gap_waits_and_is_included_once_closed(chain: Chain, world: World) -> None:
    start = chain.ledger.accounts[world.names["trader_0"]].nonce
    late = transfer(chain, nonce=start + 1)
    chain.add_transaction(decode(late))

    assert chain.mine(0).block.transactions == ()
    assert len(chain.mempool) == 1

    chain.add_transaction(decode(transfer(chain, nonce=start)))

    assert [t.nonce for t in chain.mine(0).block.transactions] == [start, start + 1]


def test_a_fee_below_the_base_fee_waits_until_the_base_fee_has_fallen(chain: Chain) -> None:
    chain.add_transaction(decode(transfer(chain, fees=(0, 400_000_000))))

    assert [len(chain.mine(0).block.transactions) for _ in range(3)] == [0, 1, 0]


def test_a_reverting_transaction_is_included_and_pays(chain: Chain, world: World) -> None:
    to, sender = CONTRACTS["uniswap_v2_router"], world.names["trader_0"]
    raw = transfer(chain, to=to, value=0, data=swap_data(10**30, sender), gas_limit=300_000)
    chain.add_transaction(decode(raw))
    receipt = chain.mine(0).block.receipts[0]

    assert receipt.status == 0
    assert receipt.logs == ()
    assert receipt.gas_used > 21_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nonce": 0}, "nonce too low: next nonce {next}, tx nonce 0"),
        ({"value": 10**30}, "insufficient funds for gas * price + value"),
        ({"chain_id": 1}, "invalid chain id for signer: have 1 want 61861"),
        ({"gas_limit": 20_999}, "intrinsic gas too low: gas 20999, minimum needed 21000"),
        ({"gas_limit": 30_000_001}, "exceeds block gas limit"),
        ({"fees": (11 * GWEI, 10 * GWEI)}, "max priority fee per gas higher than max fee per gas"),
    ],
)
def test_what_can_never_be_included_is_refused(chain: Chain, world: World, change: dict[str, int], words: str) -> None:
    words = words.format(next=world.accounts()[world.names["trader_0"]].nonce)
    with pytest.raises(Refused, match=re.escape(words)):
        chain.add_transaction(decode(transfer(chain, **change)))  # type: ignore[arg-type]
    assert len(chain.mempool) == 0


def test_a_replacement_must_be_a_tenth_dearer(chain: Chain) -> None:
    chain.add_transaction(decode(transfer(chain, fees=(100, 1000 * GWEI))))
    with pytest.raises(Refused, match="already known"):
        chain.add_transaction(decode(transfer(chain, fees=(100, 1000 * GWEI))))
    with pytest.raises(Refused, match="replacement transaction underpriced"):
        chain.add_transaction(decode(transfer(chain, fees=(110, 1099 * GWEI))))
    dearer = decode(transfer(chain, fees=(110, 1100 * GWEI)))
    chain.add_transaction(dearer)

    assert chain.mine(0).block.transactions == (dearer,)


# Bundles


def _bundle(chain: Chain, *raws: bytes, target: int = 1) -> Bundle:
    return Bundle(tuple(map(decode, raws)), target, Address(bytes(20)))


def test_bundles_come_first_and_the_better_paying_one_wins_a_conflict(chain: Chain, world: World) -> None:
    poor = _bundle(chain, transfer(chain, "trader 1", fees=(GWEI, 10 * GWEI)))
    # Pays by a transfer to the fee recipient what the other pays by its tip.
    rich = _bundle(chain, transfer(chain, "trader 1", fees=(0, 10 * GWEI), value=10**16))
    other = _bundle(chain, transfer(chain, "trader 2", fees=(2 * GWEI, 10 * GWEI)))
    for bundle in (poor, rich, other):
        chain.bundles.add(bundle)
    chain.add_transaction(decode(transfer(chain, "trader 0", fees=(9 * GWEI, 10 * GWEI))))

    built = chain.mine(0)

    assert [t.hash for t in built.block.transactions[:2]] == [rich.transactions[0].hash, other.transactions[0].hash]
    assert len(built.block.transactions) == 3
    assert built.outcomes[rich.hash] == "included in block 1"
    assert built.outcomes[poor.hash].startswith("conflicts with a better bundle: err: nonce")


def test_a_bundle_with_a_reverting_transaction_leaves_no_trace(chain: Chain, world: World) -> None:
    good = transfer(chain, "trader 1")
    failing = transfer(
        chain,
        "trader 2",
        to=CONTRACTS["uniswap_v2_router"],
        value=0,
        data=swap_data(10**30, world.names["trader_2"]),
        gas_limit=300_000,
    )
    bundle = _bundle(chain, good, failing)
    chain.bundles.add(bundle)

    built = chain.mine(0)

    assert built.block.transactions == ()
    assert built.outcomes[bundle.hash] == f"execution reverted; txhash 0x{bundle.transactions[1].hash.hex()}"
    assert chain.ledger.accounts[world.names["trader_1"]] == Chain(world).ledger.accounts[world.names["trader_1"]]


def test_a_revert_that_is_allowed_is_included(chain: Chain, world: World) -> None:
    failing = decode(
        transfer(
            chain,
            "trader 2",
            to=CONTRACTS["uniswap_v2_router"],
            value=0,
            data=swap_data(10**30, world.names["trader_2"]),
            gas_limit=300_000,
        )
    )
    bundle = replace(_bundle(chain, transfer(chain, "trader 1"), failing.raw), reverting=frozenset({failing.hash}))
    chain.bundles.add(bundle)

    assert [receipt.status for receipt in chain.mine(0).block.receipts] == [1, 0]


def test_a_bundle_lands_in_its_block_or_never(chain: Chain) -> None:
    early = _bundle(chain, transfer(chain, "trader 1"), target=2)
    chain.bundles.add(early)

    assert chain.mine(0).block.transactions == ()
    assert chain.mine(0).block.transactions == early.transactions
    assert chain.bundles.aimed_at(2) == ()


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"min_timestamp": 2_000_000_000}, "block time 1900000000 is before minTimestamp 2000000000"),
        ({"max_timestamp": 1_800_000_000}, "block time 1900000000 is after maxTimestamp 1800000000"),
    ],
)
def test_time_bounds_of_a_bundle_hold(chain: Chain, bounds: dict[str, int], words: str) -> None:
    bundle = replace(_bundle(chain, transfer(chain, "trader 1")), **bounds)
    chain.bundles.add(bundle)

    assert chain.mine(1_900_000_000).outcomes[bundle.hash] == words


# Against other implementations


@given(
    st.lists(
        st.builds(
            LogEntry,
            st.binary(min_size=20, max_size=20),
            st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple),
            st.binary(max_size=64),
        ),
        max_size=5,
    )
)
def test_bloom_is_the_one_of_another_implementation(logs: list[LogEntry]) -> None:
    assert logs_bloom(logs) == roots.logs_bloom(logs)


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=40))
def test_list_root_is_the_one_of_another_implementation(items: list[bytes]) -> None:
    assert list_root(items) == roots.ordered_root(items)


def test_intrinsic_gas_takes_the_dearer_of_use_and_floor(chain: Chain) -> None:
    # EIP-7623: 1,000 non-zero bytes are 4,000 tokens, at 10 gas each more than the 16 gas a byte of old.
    heavy = decode(transfer(chain, data=b"\x01" * 1000, gas_limit=100_000))

    assert intrinsic_gas(heavy) == 21_000 + 40_000


def test_size_is_that_of_the_block_s_rlp(traded: Traded) -> None:
    _, blocks = traded
    block = blocks[-1].block
    body = rlp.encode([rlp.decode(block.header.encode()), [t.raw for t in block.transactions], [], []])

    assert block.size == len(body)
