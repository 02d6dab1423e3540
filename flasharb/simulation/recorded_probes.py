"""Pools of a recorded block that no code or factory vouches for, only a trial: ERC-4626 vaults and wstETH.

What such a contract does is its own business behind a common interface, so that each is tried out in the state of the
block before it is traded. What the file lacks for the trial, or the trial does not find right, keeps the pool out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from eth_hash.auto import keccak

from flasharb.evm import MissingState
from flasharb.pools.spec import PoolSpec
from flasharb.pools.vault_shares.pool import spec_of as vault_spec
from flasharb.pools.wrapped_steth.pool import MAINNET
from flasharb.pools.wrapped_steth.pool import spec_of as wrapped_spec
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.replay import Replay
from flasharb.simulation.vault_probe import probe_vault
from flasharb.simulation.wrapped_probe import probe_wrapped
from flasharb.units import WEI_PER_ETH, Address

ACTOR: Final = Address(keccak(b"flasharb: the actor of probes")[12:])
_ASSET: Final = keccak(b"asset()")[:4]


def probed_pools(replay: Replay) -> Iterator[tuple[Address, PoolSpec | str]]:
    """The vaults and wrappers that passed their trial at the replay's position, or why one did not."""
    block = replay.block
    state = ForkState(replay.state())
    state.create_account(ACTOR, balance=WEI_PER_ETH)
    for address, account in block.pre_state.items():
        if account is None or not replay.code(address):
            continue
        if block.chain_id == 1 and address == MAINNET.wsteth:
            refused = probe_wrapped(MAINNET, ACTOR, state, block.context, block.fork)
            yield address, wrapped_spec(MAINNET) if refused is None else _reason(refused)
        elif _is_address(replay.ask(address, _ASSET)):
            found = probe_vault(address, ACTOR, state, block.context, block.fork)
            yield address, _reason(found) if isinstance(found, str | MissingState) else vault_spec(found)


def _is_address(answer: bytes | None) -> bool:
    return answer is not None and len(answer) == 32 and not any(answer[:12]) and any(answer[12:])


def _reason(found: str | MissingState) -> str:
    return "not probed: state that its trial needs is not in the file" if isinstance(found, MissingState) else found
