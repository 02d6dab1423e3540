"""What waits for a block is bounded, however much is sent."""

from __future__ import annotations

import pytest

from flasharb.devnet.chain import Chain
from flasharb.devnet.pending import (
    MAX_BUNDLES_PER_BLOCK,
    MAX_PER_SENDER,
    Bundle,
    BundlePool,
    Mempool,
    Refused,
)
from flasharb.devnet.transactions import Transaction, decode
from flasharb.units import Address
from tests.support.devnet import transfer

SIGNER = Address(bytes(20))


def _transaction(chain: Chain, nonce: int, data: bytes = b"") -> Transaction:
    return decode(transfer(chain, nonce=nonce, data=data, gas_limit=10_000_000))


def test_a_sender_has_a_limited_queue(chain: Chain) -> None:
    mempool = Mempool()
    for nonce in range(MAX_PER_SENDER):
        mempool.add(_transaction(chain, nonce))
    with pytest.raises(Refused, match="txpool is full"):
        mempool.add(_transaction(chain, MAX_PER_SENDER))

    assert len(mempool) == MAX_PER_SENDER
    mempool.drop_stale({next(iter(mempool.queues())): MAX_PER_SENDER - 1})
    assert len(mempool) == 1


def test_a_block_takes_a_limited_number_of_bundles(chain: Chain) -> None:
    pool = BundlePool()
    bundles = [Bundle((_transaction(chain, nonce),), 1, SIGNER) for nonce in range(MAX_BUNDLES_PER_BLOCK + 1)]
    for bundle in bundles[:-1]:
        pool.add(bundle)
    pool.add(bundles[0])
    with pytest.raises(Refused, match="too many bundles for block 1"):
        pool.add(bundles[-1])

    assert pool.aimed_at(1) == tuple(bundles[:-1])
    pool.drop_through(1)
    assert pool.aimed_at(1) == ()


def test_all_bundles_together_have_a_limited_size(chain: Chain) -> None:
    pool = BundlePool()
    bundles = [Bundle((_transaction(chain, n, bytes(100_000)),), n, SIGNER) for n in range(1, 81)]
    for bundle in bundles[:-1]:
        pool.add(bundle)
    with pytest.raises(Refused, match="too many bundles are waiting"):
        pool.add(bundles[-1])

    pool.drop_through(1)
    pool.add(bundles[-1])


def test_an_oversized_transaction_is_refused(chain: Chain) -> None:
    with pytest.raises(Refused, match="oversized data"):
        chain.add_transaction(_transaction(chain, 15, bytes(131_072)))
