"""Pools that only a trial vouches for: tried out at every head, by what their trial found from then on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import trio

from flasharb.errors import NodeError
from flasharb.evm import BlockContext, Fork
from flasharb.feed.events import BlockHeader
from flasharb.pools.files import parse_pools, pool_file_json
from flasharb.pools.loading import Refused, load_pool
from flasharb.pools.protocols import check_address
from flasharb.pools.spec import PoolSpec
from flasharb.pools.untried import NOT_YET, Untried
from flasharb.pools.vault_shares.pool import VaultFacts
from flasharb.service.conflated import Conflated
from flasharb.service.probing import Probing
from flasharb.service.requests import Probed
from flasharb.service.simulator import Head, PoolTrial, Simulator, Unsimulated
from flasharb.service.workers import open_workers
from flasharb.settings import Simulation as Settings
from flasharb.units import Address, Hash32, checksum
from tests.support.pool_bytecode import CONTEXT
from tests.support.service_fakes import header
from tests.support.small_world import SmallWorld
from tests.support.state_node import StateNode
from tests.support.vault_cases import facts_of, vault_world

VAULT, ASSET, ACTOR = (Address(bytes([number]) * 20) for number in (0xAA, 1, 0xC0))
PAIR = PoolSpec(Address(b"\xbb" * 20), "uniswap_v2", (ASSET, VAULT), 3000)
LISTED = PoolSpec(VAULT, "erc4626", (ASSET, VAULT), 0, facts=Untried())
PASSED = replace(LISTED, facts=VaultFacts(VAULT, ASSET, 7, 2, 1, False, True))


def head(number: int) -> Head:
    return Head(Hash32(number.to_bytes(32, "big")), number, Fork.PRAGUE)


@dataclass
class FakeProbes:
    """Answers a trial with what is next, or raises it."""

    answers: list[Probed | Unsimulated | Exception]
    trials: list[PoolTrial] = field(default_factory=list)

    async def probe(self, trial: PoolTrial) -> Probed | Unsimulated:
        await trio.lowlevel.checkpoint()
        self.trials.append(trial)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_pool_is_what_its_last_trial_found() -> None:
    """Admitted, and out again when it is another one, when the trial fails, and when the node does; each told once."""
    answers: list[Probed | Unsimulated | Exception] = [
        Probed(PASSED),
        Probed(PASSED),
        Probed("deposits are limited to 0"),
        Probed("deposits are limited to 0"),
        Unsimulated("simulation_overrun", "more than 2 s"),
        NodeError("gone"),
        Probed(PASSED),
    ]
    probes, told, specs = FakeProbes(answers), list[str](), {VAULT: LISTED, PAIR.address: PAIR}
    probing = Probing(probes, specs, ACTOR, told.append)
    found = []
    for number in range(len(answers)):
        await probing.look(head(number), CONTEXT)
        found.append(specs[VAULT].facts)
    out = Untried("deposits are limited to 0")
    overrun, gone = Untried("not probed: simulation_overrun, more than 2 s"), Untried("not probed: gone")
    assert found == [PASSED.facts, PASSED.facts, out, out, overrun, gone, PASSED.facts]
    assert [line.partition(": ")[2] for line in told] == [
        "erc4626, its trial is passed",
        "erc4626, refused: deposits are limited to 0",
        "erc4626, refused: not probed: simulation_overrun, more than 2 s",
        "erc4626, refused: not probed: gone",
        "erc4626, its trial is passed",
    ]
    assert {(trial.spec.address, trial.actor) for trial in probes.trials} == {(VAULT, ACTOR)}
    assert specs[PAIR.address] == PAIR


async def test_a_head_on_which_nothing_can_be_tried_withdraws_what_was_admitted() -> None:
    """What an earlier trial found is not good for a block whose rules nobody knows."""
    specs = {VAULT: PASSED, PAIR.address: PAIR}
    told = list[str]()
    probing = Probing(FakeProbes([]), specs, ACTOR, told.append)
    heads = Conflated[BlockHeader](lambda unread, newer: newer)
    heads.put(header(7))
    heads.close()

    def unplaceable(_header: BlockHeader) -> tuple[Head, BlockContext]:
        raise ValueError("no rules are known for that time")

    await probing.follow(heads, unplaceable)
    assert specs == {
        VAULT: replace(LISTED, facts=Untried("not probed: no rules are known for that time")),
        PAIR.address: PAIR,
    }
    assert len(told) == 1


async def test_a_worker_tries_vaults_out_with_state_from_the_node() -> None:
    """The next block's trial needs no more than two rounds: what this one read is read beforehand."""
    world, asset, vault = vault_world("OpenZeppelin 3")
    fee = world.deploy("ExitFeeVault", ["address"], [asset])
    _open(world, asset, fee)
    listed = {
        at: PoolSpec(at, "erc4626", (token, at), 0, facts=Untried())
        for at, token in ((vault, asset), (fee, asset), (asset, VAULT))
    }
    async with open_workers(1, 30.0) as workers:
        simulator = Simulator(workers, StateNode(world.state), Settings())
        told = list[str]()
        probing = Probing(simulator, listed, ACTOR, told.append)
        await probing.look(head(7), CONTEXT)
        first = simulator.rounds
        await probing.look(head(8), CONTEXT)
    assert listed[vault].facts == facts_of("OpenZeppelin 3")
    assert listed[fee].facts == Untried("its previews are none of the known formulas (a fee, or another price)")
    assert listed[asset].facts == Untried("no vault: asset() gives no address")
    assert len(told) == 3
    assert simulator.rounds - first <= 2 * len(listed) < first


def _open(world: SmallWorld, asset: Address, vault: Address) -> None:
    world.send(asset, "approve(address,uint256)", vault, 10**24)
    world.send(vault, "deposit(uint256,address)", 10**20, ACTOR)


def test_a_pool_file_may_list_a_vault_which_is_refused_until_its_trial() -> None:
    """Its facts are nobody's word: a file has none, and is written without."""
    item = {"address": checksum(VAULT), "protocol": "erc4626", "tokens": [checksum(ASSET), checksum(VAULT)]}
    file = parse_pools({"chain_id": 1, "pools": [item]})
    assert file.pools == (LISTED,)
    assert parse_pools(pool_file_json(file)) == file
    assert check_address(LISTED, 1) is None
    assert load_pool(LISTED, {}) == Refused(NOT_YET)
    turned = replace(LISTED, tokens=(VAULT, ASSET))
    assert "what it takes, and itself" in (check_address(turned, 1) or "")


async def test_another_asset_than_the_listed_one_is_refused() -> None:
    world, asset, vault = vault_world("solmate")
    listed = {vault: PoolSpec(vault, "erc4626", (ASSET, vault), 0, facts=Untried())}
    async with open_workers(1, 30.0) as workers:
        probing = Probing(Simulator(workers, StateNode(world.state), Settings()), listed, ACTOR, print)
        await probing.look(head(7), CONTEXT)
    assert listed[vault].facts == Untried(f"its asset is {checksum(asset)}, not {checksum(ASSET)}")
