"""Every setting, as frozen dataclasses: names, units, ranges and defaults. Loading is the cli's.

A field's metadata holds ``unit``, ``minimum`` and ``maximum`` (both inclusive) and ``choices``; ``cli.loading`` checks
them all and reports every wrong key at once. Environment override: ``FLASHARB_<TABLE>_<KEY>``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from flasharb.units import Address, address

DEVNET_CHAIN_ID: Final = 61_861
"""Chain id of the embedded devnet; together with its genesis hash it alone counts as devnet."""


def _key(
    default: Any,
    unit: str,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    metadata = {"unit": unit, "minimum": minimum, "maximum": maximum, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Strategy:
    """What counts as worth doing."""

    min_profit_usd: float = _key(0.50, "USD, net after loan, gas and bid", 0, 1e9)
    max_position_pct: float = _key(0.05, "share of the input-side reserve of each hop's pool", 0.000001, 1)
    slippage_tolerance_bps: int = _key(50, "basis points of the simulated gross profit", 0, 10_000)
    max_hops: int = _key(3, "pools in a cycle", 2, 4)
    longest_cycle: int = _key(0, "pools in a cycle of which only the best are found; up to max_hops: none", 0, 8)
    base_tokens: tuple[str, ...] = _key(("WETH",), "symbols of the token list, or addresses")
    max_trades_per_block: int = _key(4, "candidates simulated per block", 1, 1000)
    max_paths: int = _key(4, "cycles that share pools in one transaction; 1: trades are never split", 1, 16)
    account_missed: bool = _key(True, "real arbitrages of each block are read from its receipts and compared with ours")


@dataclass(frozen=True, slots=True)
class Pools:
    """Which pools the market holds."""

    track_all: bool = _key(False, "true: every pool of the files; false: only those among base and listed tokens")
    min_liquidity_usd: float = _key(10_000.0, "USD: V2 each reserve, V3 each token within 10 % of the price", 0, 1e15)
    files: tuple[str, ...] = _key((), "pool files (JSON); the devnet brings its own")
    from_bus: bool = _key(False, "also track pools that bus messages name and a known factory vouches for")
    from_factories: bool = _key(False, "also track pools that known factories create while the run lasts")
    token_files: tuple[str, ...] = _key((), "token lists (JSON); the devnet brings its own")
    tokens: tuple[str, ...] = _key((), "further tokens tracked when track_all is false: symbols or addresses")
    usd_tokens: tuple[str, ...] = _key(("USDC", "USDT", "DAI"), "tokens taken as one USD when pools are priced")
    chainlink_feed: str = _key("", "address of a Chainlink ETH/USD feed; empty: the market's own reference pools")
    stale_after_blocks: int = _key(
        0, "blocks without any event after which a pool is dropped; 0 = never", 0, 10_000_000
    )
    v3_words: int = _key(8, "tick-bitmap words loaded on each side of the price", 1, 3466)


@dataclass(frozen=True, slots=True)
class Mev:
    """How a trade is paid for and sent."""

    use_flashbots: bool = _key(True, "send as Flashbots bundle")
    fallback_to_public: bool = _key(True, "no effect until max_public_loss_usd is set above 0")
    max_public_loss_usd: float = _key(
        0.0, "USD a public transaction may lose at most; 0 = public sending is off", 0, 1e6
    )
    max_gas_price_gwei: float = _key(100.0, "gwei, cap on maxFeePerGas", 0.000000001, 1e6)
    bid_share_bps: int = _key(5000, "basis points of the profit after gas that are bid to the block builder", 0, 10_000)
    bid_payment: str = _key("auto", "how the bid is paid", choices=("auto", "coinbase", "priority_fee"))
    loan_source: str = _key(
        "auto", "where the input comes from", choices=("auto", "flash_swap", "balancer_v2", "uniswap_v4")
    )
    target_blocks: int = _key(1, "blocks after the current one that a bundle is sent for", 1, 5)


@dataclass(frozen=True, slots=True)
class MessageBus:
    """Where market data comes from."""

    channel: str = _key("market_data", "channel (the socket's name)")
    consumer_id: int = _key(1, "id named in recovery requests", 0, 2**32 - 1)
    transport: str = _key("unix", "how the bytes come", choices=("unix", "tcp", "websocket", "capture", "node"))
    address: str = _key("", "socket path, host:port, ws:// URL or capture file; empty: the devnet's own bus")
    dialect: str = _key("auto", "wire dialect", choices=("auto", "p1", "p3"))
    check_crc: bool = _key(True, "check each message's CRC-32 (needed for dialect auto)")
    length_prefix: bool = _key(False, "messages carry a u32 little-endian length before the header")
    max_message_bytes: int = _key(65_568, "bytes", 64, 16_777_216)
    signal_address: str = _key("", "Unix socket where signals and results are published; empty: not published")


@dataclass(frozen=True, slots=True)
class Chain:
    """Which chain this is; a node that answers another id is refused."""

    id: int = _key(DEVNET_CHAIN_ID, "chain id; 61861 = the embedded devnet, 1 = Ethereum mainnet", 1, 2**53)
    slot_s: float = _key(2.0, "seconds per slot", 0.1, 3600)
    wrapped_native: str = _key("", "address of WETH; empty: the devnet's own")
    fork: str = _key(
        "auto",
        "rules of the next block, for a chain whose schedule is not known here; auto: by chain id",
        choices=("auto", "london", "paris", "shanghai", "cancun", "prague", "osaka", "bpo1", "bpo2"),
    )


@dataclass(frozen=True, slots=True)
class Node:
    """The node that gives headers, state and receipts."""

    url: str = _key("", "http(s):// or ws(s):// URL; empty: the embedded devnet is started")
    request_timeout_s: float = _key(10.0, "seconds for one request", 0.1, 600)
    batch_size: int = _key(100, "calls in one JSON-RPC batch", 1, 10_000)


@dataclass(frozen=True, slots=True)
class Signer:
    """Where the key that pays gas comes from: exactly one source, or none for a dry run without a key."""

    key_env: str = _key("FLASHARB_SIGNER_KEY", "name of the environment variable that holds the key")
    key_file: str = _key("", "file with the key as hex, mode 0600")
    keystore_file: str = _key("", "keystore v3 file")
    keystore_password_file: str = _key("", "file with the keystore's password, mode 0600")


@dataclass(frozen=True, slots=True)
class Relays:
    """Bundle relays; the devnet brings its own."""

    urls: tuple[str, ...] = _key((), "http(s):// URLs")
    identity_key_file: str = _key(
        "", "relay identity key, made at first use with mode 0600; empty: in the data directory"
    )
    request_timeout_s: float = _key(1.0, "seconds for one request", 0.05, 60)


@dataclass(frozen=True, slots=True)
class Contract:
    """The FlashArb contract and the loan source."""

    address: str = _key("", "address of FlashArb; empty: the devnet's own")
    balancer_vault: str = _key("", "address of the Balancer V2 vault; empty: the chain's known one, or none")
    v4_manager: str = _key("", "address of the Uniswap V4 pool manager; empty: the chain's known one, or none")


@dataclass(frozen=True, slots=True)
class Simulation:
    """Budgets of the local EVM."""

    workers: int = _key(2, "worker processes", 1, 64)
    wall_budget_s: float = _key(2.0, "seconds a candidate may take before its worker is replaced", 0.01, 600)
    gas_limit: int = _key(
        3_000_000, "gas a candidate may use; no opcode is free, so it bounds the steps", 21_000, 16_777_216
    )
    worker_memory_mb: int = _key(2048, "MiB of address space a worker process may take (Linux)", 512, 65_536)
    verify_state: bool = _key(False, "what a simulation reads is proven by eth_getProof against the state root")
    second_opinion: str = _key(
        "none", "who must agree with the last simulation before it is signed", choices=("none", "revm", "node")
    )


@dataclass(frozen=True, slots=True)
class Devnet:
    """The embedded devnet (used when node.url is empty)."""

    seed: int = _key(1, "seed of the traders", 0, 2**63 - 1)
    trades_per_slot: float = _key(2.0, "mean number of trader swaps per slot", 0, 50)


@dataclass(frozen=True, slots=True)
class Storage:
    """Files that the service writes."""

    data_dir: str = _key("", "directory of journal, runs and identity key; empty: $XDG_STATE_HOME/flasharb")
    keep_runs: int = _key(5, "recorded devnet runs kept", 1, 1000)


@dataclass(frozen=True, slots=True)
class Logging:
    """What goes to stderr."""

    level: str = _key("info", "least level shown", choices=("debug", "info", "warning", "error"))


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration; one attribute per table of the TOML file."""

    strategy: Strategy = field(default_factory=Strategy)
    pools: Pools = field(default_factory=Pools)
    mev: Mev = field(default_factory=Mev)
    message_bus: MessageBus = field(default_factory=MessageBus)
    chain: Chain = field(default_factory=Chain)
    node: Node = field(default_factory=Node)
    signer: Signer = field(default_factory=Signer)
    relays: Relays = field(default_factory=Relays)
    contract: Contract = field(default_factory=Contract)
    simulation: Simulation = field(default_factory=Simulation)
    devnet: Devnet = field(default_factory=Devnet)
    storage: Storage = field(default_factory=Storage)
    logging: Logging = field(default_factory=Logging)


_WRAPPED_NATIVE: Final = {1: "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"}
_BALANCER_VAULT: Final = {1: "0xBA12222222228d8Ba445958a75a0704d566BF2C8"}
_V4_MANAGER: Final = {1: "0x000000000004444c5dc75cB358380D2e3dE08A90"}


def wrapped_native(chain: Chain) -> Address | None:
    """The wrapped native token: the configured one, else the chain's known one, else None.

    Raises:
        ValueError: the configured text is no address (never for settings that were loaded by the cli).
    """
    text = chain.wrapped_native or _WRAPPED_NATIVE.get(chain.id)
    return address(text) if text else None


def balancer_vault(settings: Settings) -> Address | None:
    """The Balancer V2 vault: the configured one, else the chain's known one, else None (no such loan source)."""
    text = settings.contract.balancer_vault or _BALANCER_VAULT.get(settings.chain.id)
    return address(text) if text else None


def v4_manager(settings: Settings) -> Address | None:
    """The Uniswap V4 pool manager: the configured one, else the chain's known one, else None (no such pools)."""
    text = settings.contract.v4_manager or _V4_MANAGER.get(settings.chain.id)
    return address(text) if text else None
