"""The devnet's pools as its own state has them after the head block."""

from __future__ import annotations

from flasharb.devnet.chain import Chain
from flasharb.pools import Pool
from flasharb.pools.loading import Elsewhere, Needs, Refused, load_pool
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address, checksum


def pool_at_head(chain: Chain, spec: PoolSpec, v3_words: int | None = None) -> Pool:
    """One pool; ``v3_words`` as in ``pools.loading.load_pool``.

    Raises:
        ValueError: it is not to be traded.
    """
    slots: dict[int, int] = {}
    others: dict[tuple[Address, int], int] = {}
    codes: dict[Address, bytes] = {}
    elsewhere = Elsewhere(others, {}, chain.head.header.timestamp, codes)
    while isinstance(loaded := load_pool(spec, slots, v3_words, elsewhere), Needs):
        slots |= {slot: _slot(chain, spec.address, slot) for slot in loaded.slots}
        others |= {(at, slot): _slot(chain, at, slot) for at, slot in loaded.elsewhere}
        codes |= {at: _code(chain, at) for at in loaded.code}
    if isinstance(loaded, Refused):
        raise ValueError(f"the devnet's pool {checksum(spec.address)} is not to be traded: {loaded.reason}")
    return loaded


def _slot(chain: Chain, at: Address, slot: int) -> int:
    return chain.ledger.accounts[at].storage.get(slot, 0)


def _code(chain: Chain, at: Address) -> bytes:
    return chain.ledger.codes.get(chain.ledger.accounts[at].code_hash, b"")
