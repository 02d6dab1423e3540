"""The committed starting state of the devnet: accounts, codes, genesis header, and what stands where.

The file (``fixtures/devnet/world.json.gz``) is made by :mod:`flasharb.devnet.build_world`; nothing here changes it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_hash.auto import keccak

from flasharb.devnet.block import EMPTY_TRIE_ROOT, Header
from flasharb.devnet.hexes import parse_bytes, parse_int
from flasharb.devnet.ledger import Account
from flasharb.errors import UsageError
from flasharb.units import Address, Hash32, checksum

FORMAT: Final = "flasharb-devnet-world/1"
FIXTURES: Final = Path(__file__).resolve().parents[2] / "fixtures"
WORLD_FILE: Final = FIXTURES / "devnet" / "world.json.gz"
TRADERS: Final = 4


def devnet_key(role: str) -> bytes:
    """The private key of one of the devnet's accounts: public knowledge, derived from the role's name."""
    return keccak(b"flasharb devnet " + role.encode())


@dataclass(frozen=True, slots=True)
class World:
    """The state at genesis. ``names`` maps roles (``weth``, ``flasharb``, ``signer`` …) to addresses.

    ``tokens`` and ``pools`` are the service's token and pool files, as JSON values.
    """

    chain_id: int
    genesis: Header
    state: Mapping[Address, Mapping[str, Any]]
    codes: Mapping[bytes, bytes]
    names: Mapping[str, Address]
    tokens: Mapping[str, Any]
    pools: Mapping[str, Any]

    def accounts(self) -> dict[Address, Account]:
        """A fresh copy of all accounts."""
        return {
            address: Account(
                nonce=parse_int(fields["nonce"]),
                balance=parse_int(fields["balance"]),
                code_hash=parse_bytes(fields["code_hash"], 32),
                storage={parse_int(slot): parse_int(value) for slot, value in fields["storage"].items()},
            )
            for address, fields in self.state.items()
        }


def load_world(path: Path = WORLD_FILE) -> World:
    """Read the world and check it against its own hashes.

    Raises:
        UsageError: missing, unreadable, or damaged.
    """
    try:
        content = json.loads(gzip.decompress(path.read_bytes()))
    except FileNotFoundError:
        raise UsageError(f"no devnet world at {path}: run `just fixtures` to make it") from None
    except (OSError, EOFError, ValueError) as error:
        raise UsageError(f"the devnet world {path} is damaged ({error}): run `just fixtures` to make it anew") from None
    if content.get("format") != FORMAT:
        raise UsageError(f"the devnet world {path} has format {content.get('format')!r}, expected {FORMAT!r}")
    world = parse_world(content)
    if world.genesis.hash != parse_bytes(content["genesis"]["hash"]):
        raise UsageError(f"the devnet world {path} is damaged: its genesis header does not have its hash")
    return world


def parse_world(content: Mapping[str, Any]) -> World:
    """The world in the JSON value of its file."""
    codes = {keccak(code): code for code in map(parse_bytes, content["codes"].values())}
    return World(
        chain_id=content["chain_id"],
        genesis=header_from_json(content["genesis"]),
        state={Address(parse_bytes(address, 20)): fields for address, fields in content["accounts"].items()},
        codes=codes,
        names={name: Address(parse_bytes(address, 20)) for name, address in content["names"].items()},
        tokens=content["tokens"],
        pools=content["pools"],
    )


def header_from_json(fields: Mapping[str, Any]) -> Header:
    """A Prague header from its JSON-RPC fields."""
    return Header(
        parent_hash=Hash32(parse_bytes(fields["parentHash"], 32)),
        coinbase=Address(parse_bytes(fields["miner"], 20)),
        state_root=Hash32(parse_bytes(fields["stateRoot"], 32)),
        transactions_root=Hash32(parse_bytes(fields["transactionsRoot"], 32)),
        receipts_root=Hash32(parse_bytes(fields["receiptsRoot"], 32)),
        logs_bloom=parse_bytes(fields["logsBloom"], 256),
        number=parse_int(fields["number"]),
        gas_limit=parse_int(fields["gasLimit"]),
        gas_used=parse_int(fields["gasUsed"]),
        timestamp=parse_int(fields["timestamp"]),
        extra_data=parse_bytes(fields["extraData"]),
        prev_randao=Hash32(parse_bytes(fields["mixHash"], 32)),
        base_fee_per_gas=parse_int(fields["baseFeePerGas"]),
        parent_beacon_root=Hash32(parse_bytes(fields["parentBeaconBlockRoot"], 32)),
        withdrawals_root=Hash32(parse_bytes(fields["withdrawalsRoot"], 32)),
        requests_hash=Hash32(parse_bytes(fields["requestsHash"], 32)),
    )


def genesis_header(state_root: Hash32, coinbase: Address) -> Header:
    """Block 0: no transactions, Prague rules, a base fee of 1 gwei."""
    return Header(
        parent_hash=Hash32(bytes(32)),
        coinbase=coinbase,
        state_root=state_root,
        transactions_root=EMPTY_TRIE_ROOT,
        receipts_root=EMPTY_TRIE_ROOT,
        logs_bloom=bytes(256),
        number=0,
        gas_limit=GAS_LIMIT,
        gas_used=0,
        timestamp=GENESIS_TIMESTAMP,
        extra_data=b"flasharb devnet",
        prev_randao=Hash32(keccak(b"flasharb devnet genesis")),
        base_fee_per_gas=GENESIS_BASE_FEE_WEI,
        parent_beacon_root=Hash32(bytes(32)),
    )


GAS_LIMIT: Final = 30_000_000
GENESIS_TIMESTAMP: Final = 1_760_000_000
GENESIS_BASE_FEE_WEI: Final = 500_000_000


def named(world: World) -> dict[str, str]:
    """The world's named addresses, checksummed."""
    return {name: checksum(address) for name, address in world.names.items()}
