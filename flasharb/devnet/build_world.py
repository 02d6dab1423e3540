"""Make the devnet's world: ``python -m flasharb.devnet.build_world`` (recipe: ``just fixtures``).

Every contract is deployed and every pool filled by executing the real code in the local EVM, with the creation codes
of ``fixtures/bytecode``. A contract comes to stand at a chosen address by running its creation code *as the code of
that address* and keeping what it returns: constructor, immutables and storage are then those of that address.
"""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any, Final

from eth_hash.auto import keccak

from flasharb.devnet.abi import call_data
from flasharb.devnet.block import Header
from flasharb.devnet.hexes import hex_bytes, hex_int, parse_bytes
from flasharb.devnet.keepers import create_in_vault, create_managed
from flasharb.devnet.layout import (
    BEACON_ROOTS,
    BLOCK_HASHES,
    BY_ADDRESS,
    BY_SYMBOL,
    CONTRACTS,
    CURVE_POOL,
    MANAGED_POOLS,
    POOLS,
    SHARE,
    SHARE_POOLS,
    SINK,
    SINK_CODE,
    SOLIDLY,
    SOLIDLY_POOLS,
    TOKENS,
    VAULT_POOLS,
    DevToken,
    PoolPlan,
    ranges_of,
    sqrt_price_x96,
    tick_bounds,
)
from flasharb.devnet.ledger import Account, StateTries
from flasharb.devnet.stand_ins import create_curve, create_solidly, deploy_solidly
from flasharb.devnet.transactions import address_of
from flasharb.devnet.world import (
    FIXTURES,
    FORMAT,
    GENESIS_TIMESTAMP,
    TRADERS,
    WORLD_FILE,
    devnet_key,
    genesis_header,
)
from flasharb.evm import Account as EvmAccount
from flasharb.evm import BlockContext, DictState, Fork, Machine, TransactionResult, UnsignedTransaction
from flasharb.execution import artifact
from flasharb.pools.files import PoolFile, pool_file_json
from flasharb.settings import DEVNET_CHAIN_ID
from flasharb.units import WEI_PER_ETH, ZERO_ADDRESS, Address, checksum

GAS: Final = 60_000_000
FOREVER: Final = 2**63
ROUTERS: Final = ("uniswap_v2_router", "sushiswap_v2_router", "uniswap_v3_router", "balancer_vault", "solidly_router")
UNISWAP_PAIR_HASH: Final = bytes.fromhex("96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f")
TRADER_USD: Final = 40e6
VAULT_USD: Final = 30e6
TRADER_ETH: Final = 20_000


class Builder:
    """A world under construction; every step must succeed."""

    def __init__(self, deployer: Address) -> None:
        self.deployer = deployer
        self.state = DictState({}, complete=True)
        self._context = BlockContext(
            chain_id=DEVNET_CHAIN_ID,
            number=1,
            timestamp=GENESIS_TIMESTAMP - 3600,
            coinbase=ZERO_ADDRESS,
            gas_limit=10 * GAS,
            base_fee_per_gas=0,
            prev_randao=bytes(32),
            excess_blob_gas=0,
        )

    def fund(self, account: Address, wei: int) -> None:
        """Give an account ether out of nothing."""
        self.state.set_account(account, EvmAccount(balance=wei))

    def place(self, account: Address, code: bytes) -> None:
        """Put runtime code at an address."""
        self.state.set_account(account, EvmAccount(nonce=1, code=code))

    def execute(self, sender: Address, to: Address | None, data: bytes, value: int = 0) -> TransactionResult:
        """Run one transaction at no cost and keep what it changed.

        Raises:
            RuntimeError: it reverted.
        """
        machine = Machine(self.state, self._context, Fork.PRAGUE)
        result = machine.apply(
            UnsignedTransaction(
                sender=sender,
                to=to,
                data=data,
                value=value,
                nonce=machine.nonce(sender),
                gas_limit=GAS,
                max_fee_per_gas=0,
                max_priority_fee_per_gas=0,
                chain_id=DEVNET_CHAIN_ID,
            )
        )
        if result.status != 1:
            target = "a creation" if to is None else checksum(to)
            raise RuntimeError(f"{target} failed: {result.error} {result.output[:200].hex()}; data {data[:4].hex()}")
        self.state.apply(machine.diff())
        return result

    def call(self, sender: Address, to: Address, signature: str, *values: Any) -> bytes:
        """Call a function by its signature; tuples as in the ABI."""
        return self.execute(sender, to, call_data(signature, *values)).output

    def deploy_at(self, address: Address, name: str, types: str = "", *values: Any, creation: bytes = b"") -> None:
        """Run a contract's creation code at ``address`` and leave the code that it returns there.

        ``types`` are the constructor's, with commas between them; tuples as in the ABI.
        """
        signature = f"constructor({types})"
        self.place(address, (creation or creation_code(name)) + call_data(signature, *values)[4:])
        runtime = self.execute(self.deployer, address, b"").output
        deployed = self.state.accounts[address]
        assert deployed is not None
        self.state.set_account(address, EvmAccount(1, deployed.balance, runtime, deployed.storage))


def artifact_of(name: str) -> dict[str, Any]:
    """A contract of ``fixtures/bytecode``."""
    content: dict[str, Any] = json.loads((FIXTURES / "bytecode" / f"{name}.json").read_text())
    return content


def creation_code(name: str) -> bytes:
    """The creation code of a contract of ``fixtures/bytecode``."""
    return parse_bytes(artifact_of(name)["bytecode"])


def deploy_contracts(builder: Builder) -> None:
    """Tokens, factories, routers and the vault."""
    deployer = builder.deployer
    weth, at = CONTRACTS["weth"], CONTRACTS
    builder.deploy_at(weth, "WETH9")
    for token in TOKENS[1:]:
        contract = "NoReturnToken" if token.symbol == "USDT" else "DevToken"
        types = "string,string,uint8,address"
        builder.deploy_at(token.address, contract, types, token.name, token.symbol, token.decimals, deployer)
    builder.deploy_at(at["uniswap_v2_factory"], "UniswapV2Factory", "address", deployer)
    builder.deploy_at(at["sushiswap_v2_factory"], "SushiV2Factory", "address", deployer)
    builder.deploy_at(at["uniswap_v3_factory"], "UniswapV3Factory")
    builder.call(deployer, at["uniswap_v3_factory"], "enableFeeAmount(uint24,int24)", 100, 1)
    pair = "address,address"
    builder.deploy_at(at["uniswap_v2_router"], "UniswapV2Router02", pair, at["uniswap_v2_factory"], weth)
    # Sushi's router is Uniswap's with the init code hash of Sushi's pairs; npm has no build of it.
    sushi_hash = keccak(creation_code("SushiV2Pair"))
    router = creation_code("UniswapV2Router02").replace(UNISWAP_PAIR_HASH, sushi_hash)
    builder.deploy_at(
        at["sushiswap_v2_router"], "UniswapV2Router02", pair, at["sushiswap_v2_factory"], weth, creation=router
    )
    builder.deploy_at(at["uniswap_v3_router"], "SwapRouter", pair, at["uniswap_v3_factory"], weth)
    builder.deploy_at(at["quoter_v2"], "QuoterV2", pair, at["uniswap_v3_factory"], weth)
    builder.deploy_at(
        at["position_manager"],
        "NonfungiblePositionManager",
        "address,address,address",
        at["uniswap_v3_factory"],
        weth,
        ZERO_ADDRESS,
    )
    builder.deploy_at(at["v4_manager"], "UniswapV4PoolManager", "address", deployer)
    builder.deploy_at(at["v4_user"], "V4User")
    builder.deploy_at(
        at["balancer_vault"], "BalancerVault", "address,address,uint256,uint256", deployer, weth, 90 * 86400, 30 * 86400
    )
    most = 10**18
    provider = "address,uint256,uint256"
    builder.deploy_at(at["balancer_fees"], "BalancerFeePercentages", provider, at["balancer_vault"], most, most)


def fund_v4_user(builder: Builder, usd: float) -> None:
    """Give the contract that trades in the V4 manager ``usd`` worth of ether and of each token."""
    user = CONTRACTS["v4_user"]
    for token in TOKENS:
        supply(builder, token, user, usd)
    builder.execute(builder.deployer, user, b"", BY_SYMBOL["WETH"].units(usd))


def supply(builder: Builder, token: DevToken, account: Address, usd: float) -> None:
    """Give an account ``usd`` worth of a token: WETH by deposit, the others by their minter."""
    amount = token.units(usd)
    if token.symbol == "WETH":
        rich = builder.deployer
        builder.execute(rich, token.address, call_data("deposit()"), amount)
        builder.call(rich, token.address, "transfer(address,uint256)", account, amount)
    else:
        builder.call(builder.deployer, token.address, "mint(address,uint256)", account, amount)


def share_out(builder: Builder, lp: Address, traders: list[Address]) -> None:
    """Give each trader some of the Curve pool's LP token, and leave to sell it in the pairs that have it."""
    approval = CONTRACTS["uniswap_v2_router"], 2**256 - 1
    builder.call(lp, SHARE.address, "approve(address,uint256)", *approval)
    for trader in traders:
        amount = SHARE.units(CURVE_POOL.trader_usd)
        builder.call(lp, SHARE.address, "transfer(address,uint256)", trader, amount)
        builder.call(trader, SHARE.address, "approve(address,uint256)", *approval)


def create_pool(builder: Builder, plan: PoolPlan, lp: Address) -> Address:
    """Create a pool through its factory and fill it through the router or the position manager."""
    token0, token1 = plan.tokens
    if plan.tick_spacing == 0:
        factory, router = CONTRACTS[f"{plan.protocol}_factory"], CONTRACTS[f"{plan.protocol}_router"]
        builder.call(
            lp,
            router,
            "addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)",
            token0.address,
            token1.address,
            token0.units(plan.side_usd),
            token1.units(plan.side_usd),
            0,
            0,
            lp,
            FOREVER,
        )
        found = builder.call(lp, factory, "getPair(address,address)", token0.address, token1.address)
        return Address(found[12:])
    manager = CONTRACTS["position_manager"]
    found = builder.call(
        lp,
        manager,
        "createAndInitializePoolIfNecessary(address,address,uint24,uint160)",
        token0.address,
        token1.address,
        plan.fee_pips,
        sqrt_price_x96(token0, token1),
    )
    for low, high, share in ranges_of(plan):
        lower, upper = tick_bounds(plan, low, high)
        usd = plan.side_usd * share
        builder.call(
            lp,
            manager,
            "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))",
            (
                token0.address,
                token1.address,
                plan.fee_pips,
                lower,
                upper,
                token0.units(usd),
                token1.units(usd),
                0,
                0,
                lp,
                FOREVER,
            ),
        )
    return Address(found[12:])


def listed(address: Address, plan: PoolPlan) -> dict[str, Any]:
    """A pair or V3 pool as an entry of a pool file."""
    return {
        "address": checksum(address),
        "protocol": plan.protocol,
        "token0": checksum(plan.tokens[0].address),
        "token1": checksum(plan.tokens[1].address),
        "fee_pips": plan.fee_pips,
        "tick_spacing": plan.tick_spacing,
    }


def build() -> dict[str, Any]:
    """The JSON value of the world file."""
    deployer, signer, lp, crowd, miner = (
        address_of(devnet_key(role)) for role in ("deployer", "signer", "lp", "crowd", "builder")
    )
    traders = [address_of(devnet_key(f"trader {n}")) for n in range(TRADERS)]
    builder = Builder(deployer)
    builder.fund(deployer, 10**6 * WEI_PER_ETH)
    builder.fund(signer, 100 * WEI_PER_ETH)
    builder.fund(lp, 100 * WEI_PER_ETH)
    builder.fund(crowd, 10_000 * WEI_PER_ETH)
    builder.fund(miner, WEI_PER_ETH)
    for trader in traders:
        builder.fund(trader, TRADER_ETH * WEI_PER_ETH)
    builder.place(SINK, SINK_CODE)
    builder.place(BEACON_ROOTS, SYSTEM_CODES[BEACON_ROOTS])
    builder.place(BLOCK_HASHES, SYSTEM_CODES[BLOCK_HASHES])
    deploy_contracts(builder)
    solidly = deploy_solidly(builder, creation_code("DevSolidlyPair"))
    two_sided = sum(plan.side_usd for plan in (*POOLS, *SHARE_POOLS, CURVE_POOL, *SOLIDLY_POOLS))
    lp_usd = 2 * two_sided + sum(plan.value_usd for plan in VAULT_POOLS)
    for token in TOKENS:
        supply(builder, token, lp, lp_usd)
        supply(builder, token, CONTRACTS["balancer_vault"], VAULT_USD)
        for spender in ("uniswap_v2_router", "sushiswap_v2_router", "position_manager", "balancer_vault"):
            builder.call(lp, token.address, "approve(address,uint256)", CONTRACTS[spender], 2**256 - 1)
        for trader in traders:
            supply(builder, token, trader, TRADER_USD)
            for name in (*ROUTERS, *(["curve_pool"] if token in CURVE_POOL.coins else [])):
                builder.call(trader, token.address, "approve(address,uint256)", CONTRACTS[name], 2**256 - 1)
    fund_v4_user(builder, TRADER_USD * TRADERS)
    pools = [listed(create_pool(builder, plan, lp), plan) for plan in POOLS]
    kept = [create_managed(builder, plan, lp) for plan in MANAGED_POOLS]
    kept += [create_in_vault(builder, plan, lp) for plan in VAULT_POOLS]
    kept.append(create_curve(builder, CURVE_POOL, lp))
    share_out(builder, lp, traders)
    pools += [listed(create_pool(builder, plan, lp), plan) for plan in SHARE_POOLS]
    kept += [create_solidly(builder, plan, lp) for plan in SOLIDLY_POOLS]
    pool_file = pool_file_json(PoolFile(DEVNET_CHAIN_ID, tuple(kept), {SOLIDLY: solidly}))
    pool_file["pools"] = pools + pool_file["pools"]
    names = {
        **CONTRACTS,
        "flasharb": deploy_flasharb(builder, signer),
        "signer": signer,
        "builder": miner,
        "lp": lp,
        "crowd": crowd,
        "sink": SINK,
        **{f"trader_{n}": trader for n, trader in enumerate(traders)},
    }
    builder.state.set_account(deployer, None)
    # The zero address was only the fee recipient of the construction.
    builder.state.set_account(ZERO_ADDRESS, None)
    return to_json(builder.state, names, pool_file, miner)


def deploy_flasharb(builder: Builder, signer: Address) -> Address:
    """Deploy FlashArb by an ordinary transaction of its owner."""
    parties = CONTRACTS["weth"], CONTRACTS["balancer_vault"], CONTRACTS["v4_manager"]
    result = builder.execute(signer, None, artifact.creation_code(signer, *parties))
    assert result.contract_address is not None
    return Address(result.contract_address)


def to_json(
    state: DictState, names: dict[str, Address], pool_file: dict[str, Any], coinbase: Address
) -> dict[str, Any]:
    """The world as the value of its file."""
    accounts, codes = {}, {}
    for address, account in state.accounts.items():
        if account is None:
            continue
        code_hash = keccak(account.code)
        if account.code:
            codes[code_hash] = account.code
        storage = {slot: value for slot, value in account.storage.items() if value}
        accounts[Address(address)] = Account(account.nonce, account.balance, code_hash, storage)
    genesis: Header = genesis_header(StateTries(accounts).apply({}), coinbase)
    return {
        "format": FORMAT,
        "chain_id": DEVNET_CHAIN_ID,
        "genesis": genesis.to_json(),
        "names": {name: checksum(address) for name, address in names.items()},
        "accounts": {
            hex_bytes(address): {
                "nonce": hex_int(account.nonce),
                "balance": hex_int(account.balance),
                "code_hash": hex_bytes(account.code_hash),
                "storage": {hex_int(slot): hex_int(value) for slot, value in sorted(account.storage.items())},
            }
            for address, account in accounts.items()
        },
        "codes": {hex_bytes(code_hash): hex_bytes(code) for code_hash, code in codes.items()},
        "tokens": {
            "chain_id": DEVNET_CHAIN_ID,
            "tokens": [
                {"address": checksum(token.address), "symbol": token.symbol, "decimals": token.decimals}
                for token in BY_ADDRESS.values()
            ],
        },
        "pools": pool_file,
    }


SYSTEM_CODES: Final = {
    BEACON_ROOTS: bytes.fromhex(
        "3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff810690815414"
        "603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500"
    ),
    BLOCK_HASHES: bytes.fromhex(
        "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257"
        "611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
    ),
}
"""The runtime codes of EIP-4788 and EIP-2935."""


def write(content: dict[str, Any], path: Path) -> None:
    """Write the world file: sorted keys, no time stamp, so that the same world gives the same bytes."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def main() -> None:
    """Build and write the world; say what it is."""
    content = build()
    write(content, WORLD_FILE)
    slots = sum(len(account["storage"]) for account in content["accounts"].values())
    size = math.ceil(WORLD_FILE.stat().st_size / 1024)
    print(
        f"{WORLD_FILE}: {len(content['accounts'])} accounts, {slots} slots, {len(content['pools']['pools'])} pools, "
        f"{size} KiB, genesis {content['genesis']['hash']}"
    )


if __name__ == "__main__":
    main()
