"""``flasharb pools``: find pools, have their factories vouch for them, and write the pool file that ``run`` reads."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from flasharb.adapters import chain
from flasharb.adapters.blockfile import read_block
from flasharb.adapters.capture import CHUNK_BYTES
from flasharb.adapters.lists import known_deployments, read_pool_file, read_tokens
from flasharb.adapters.node import Node, open_node
from flasharb.adapters.pool_discovery import existing, factory_logs, settle
from flasharb.adapters.whole_file import write_whole
from flasharb.cli import trio_main
from flasharb.cli.loading import load_settings
from flasharb.errors import NodeError, OutsideError, UsageError
from flasharb.feed.messages import MalformedMessage, decode
from flasharb.feed.named import named
from flasharb.feed.pool_cache import DamagedCache, PoolCache, read_pool_cache
from flasharb.feed.reframer import Reframer
from flasharb.pools.creation import Claim, FactoryLog, Listing
from flasharb.pools.files import PoolFile, pool_file_json
from flasharb.pools.identify import possible
from flasharb.pools.protocols import DEPLOYMENTS, PROTOCOLS
from flasharb.pools.register import Refused, Register, creators
from flasharb.pools.spec import PoolSpec
from flasharb.safe_json import decode_json
from flasharb.settings import Settings, v4_manager
from flasharb.simulation.recorded import RecordedBlock
from flasharb.simulation.recorded_pools import UNVOUCHED, offered
from flasharb.simulation.replay import Replay
from flasharb.units import Address, address, checksum

MOST_LINES: Final = 5
"""Pools refused for one and the same reason that get a line each; a chain has hundreds of unknown code."""
_EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(name="pools", epilog="Example: flasharb pools discover --rpc http://127.0.0.1:8545 --out pools.json")
def command() -> None:
    """Find pools and write them to a pool file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where to look, and where to write."""

    out: Path
    rpc_url: str | None
    first: int | None
    last: int | None
    token_file: Path | None
    cache: Path | None
    block: Path | None
    capture: Path | None
    factories: Path | None
    chain_id: int | None


@command.command(epilog="Example: flasharb pools discover --rpc http://127.0.0.1:8545 --from 22000000 --out pools.json")
@click.option("--rpc", "rpc_url", metavar="URL", help="Node whose factories' logs are read, with --from or --tokens.")
@click.option("--from", "first", type=click.IntRange(0), help="First block; default: after the last one in FILE.")
@click.option("--to", "last", type=click.IntRange(0), help="Last block; default: the head.")
@click.option(
    "--tokens",
    "token_file",
    type=_EXISTING_FILE,
    help="Token file or published token list: pools of its pairs that exist now.",
)
@click.option("--cache", type=_EXISTING_FILE, help="Pool cache of the bus's makers (TLV).")
@click.option("--block", type=_EXISTING_FILE, help="Recorded block: the pools among its contracts.")
@click.option("--capture", type=_EXISTING_FILE, help="Bus capture: the pools that its messages name.")
@click.option("--factories", type=_EXISTING_FILE, help='Pool file whose "deployments" name further factories.')
@click.option("--chain", "chain_id", type=click.IntRange(1), help="Chain id, for a capture without a node or FILE.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Pool file to add to.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def discover(as_json: bool, **options: Any) -> int:
    """Add pools to a pool file: from a node's factories, a token list, a pool cache, a recorded block, a bus capture.

    No source is believed: a pool is taken when a known factory creates it at its address, else it is refused, one line
    each. With --rpc and no other source the factories' logs are read from the block after the last one in FILE, or
    from --from. What was found is written even when the node fails; the same command then goes on from there.

    Exit code 0 when the sources were read to their ends, whatever they held; 3 when the node failed.
    """
    wanted = Wanted(**options)
    if wanted.last is not None and not _scans(wanted):
        raise UsageError("--to is the end of the blocks whose logs are read: it needs --from beside another source")
    settings = load_settings(None, os.environ).settings
    search = trio_main.run(_search, wanted, settings)
    report = search.report()
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        for line in _lines(report):
            click.echo(line)
    if search.failure is not None:
        mend = f"what was found is in {wanted.out}; the same command goes on from there"
        raise OutsideError(f"{search.failure}\n  {mend}")
    return 0


class Search:
    """One passage over the sources."""

    def __init__(self, wanted: Wanted, chain_id: int, manager: Address | None) -> None:
        self.wanted = wanted
        self.chain_id = chain_id
        self.old = read_pool_file(wanted.out, chain_id) if wanted.out.exists() else PoolFile(chain_id, ())
        further = [] if wanted.factories is None else [read_pool_file(wanted.factories, chain_id)]
        self.register = Register(chain_id, known_deployments([self.old, *further], chain_id, manager))
        if not creators(chain_id, self.register.deployments):
            raise UsageError(f"no factories are known on chain {chain_id}: name them in a pool file for --factories")
        for spec in self.old.pools:
            self.register.offer(spec, str(wanted.out))
        self.before = len(self.register.specs)
        self.span = self.old.discovered
        self.failure: NodeError | None = None

    def save(self) -> None:
        """Write the pool file as a whole."""
        builtin = DEPLOYMENTS.get(self.chain_id, {})
        further = {name: one for name, one in self.register.deployments.items() if name not in builtin}
        listed = {spec.address for spec in self.old.pools}
        pools = tuple(self.register.specs[at] for at in sorted(self.register.specs.keys() - listed))
        content = pool_file_json(PoolFile(self.chain_id, pools, further, self.span))
        # What stood there stays as it was written: facts are known to their protocol alone.
        content["pools"] = [*self._entries(), *content["pools"]]
        try:
            self.wanted.out.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.wanted.out, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n", 0o644)
        except OSError as error:
            raise UsageError(f"{self.wanted.out}: cannot be written: {error.strerror}") from None

    def _entries(self) -> list[Any]:
        if not self.wanted.out.exists():
            return []
        entries: list[Any] = decode_json(self.wanted.out.read_bytes())["pools"]
        return [entry for entry in entries if address(entry["address"]) in self.register.specs]

    # Sources without a node

    def read_files(self, block: RecordedBlock | None, cache: PoolCache | None) -> None:
        """The sources that are files; what they hold is checked pool by pool."""
        if block is not None:
            source = f"block {block.number}"
            found = offered(Replay(block))
            for spec in found.specs.values():
                self.register.offer_for_file(spec, source)
            for pool, reason in found.refused.items():
                note = self.register.unknown if reason == UNVOUCHED else self.register.not_traded
                note(pool, source, reason)
        if cache is not None:
            for place, cached in enumerate(cache.pools):
                self.register.named(cached.pool, cached.tokens, f"record {place} of {self.wanted.cache}")
        if self.wanted.capture is not None:
            self._read_capture(self.wanted.capture)

    def _read_capture(self, path: Path) -> None:
        reframer = Reframer("auto", check_crc=True)
        seen = set()
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
                for frame in reframer.feed(chunk):
                    try:
                        messages = decode(frame)
                    except MalformedMessage:
                        continue
                    for one in filter(None, map(named, messages)):
                        if (one.pool, one.tokens) not in seen:
                            seen.add((one.pool, one.tokens))
                            self.register.named(one.pool, one.tokens, f"a message of {path}")

    # Sources at a node

    async def ask(self, node: Node) -> None:
        """The sources that need a node."""
        wanted = self.wanted
        if wanted.token_file is not None:
            tokens = [token.address for token in read_tokens([str(wanted.token_file)], self.chain_id)]
            specs = list(possible(tokens, self.register.deployments))
            source = f"tokens of {wanted.token_file}"
            found = await existing(node, specs)
            for spec in found:
                if isinstance(spec, PoolSpec):
                    self.register.offer(spec, source)
            await settle(node, self.register, (replace(one, source=source) for one in found if isinstance(one, Claim)))
        if _scans(wanted):
            await self._scan(node)

    async def _scan(self, node: Node) -> None:
        first, last = self._range(await chain.head_number(node))
        known = self.span
        read: set[Address] = set()

        async def take(end: int, logs: Sequence[FactoryLog]) -> None:
            met = [one for one in map(self.register.created, logs) if isinstance(one, Claim | Listing)]
            # a list is read as it is now, so that once is enough
            await settle(node, self.register, [one for one in met if _place(one) not in read])
            read.update(one.contract for one in met if isinstance(one, Listing))
            if known is None:
                self.span = first, end
            elif end >= known[0] - 1:
                # Earlier blocks count once they reach those that were done before.
                self.span = min(first, known[0]), max(end, known[1])

        await factory_logs(node, creators(self.chain_id, self.register.deployments), (first, last), take)

    def _range(self, head: int) -> tuple[int, int]:
        first, last = self.wanted.first, head if self.wanted.last is None else self.wanted.last
        if last > head:
            raise UsageError(f"--to {last} is beyond the node's head {head}")
        if first is not None and first > last:
            until = "--to" if self.wanted.last is not None else "the node's head"
            raise UsageError(f"--from {first} is after {until} {last}")
        if self.span is None:
            if first is None:
                raise UsageError("--from is needed: the block from which factories' logs are read")
            return first, last
        begun, done = self.span
        if first is None:
            return done + 1, last
        if first > done + 1 or last < begun - 1:
            raise UsageError(
                f"{self.wanted.out} holds blocks {begun} to {done}: --from {first} --to {last} would leave a gap"
            )
        return first, last

    def report(self) -> dict[str, Any]:
        """What was found, as JSON values."""
        specs = self.register.specs
        return {
            "file": str(self.wanted.out),
            "chain_id": self.chain_id,
            "pools": len(specs),
            "new": len(specs) - self.before,
            "by_protocol": dict(Counter(spec.protocol for spec in specs.values())),
            "blocks": None if self.span is None else list(self.span),
            "refused": [_refused(one) for one in self.register.refused],
            "counts": dict(self.register.counts),
        }


def _manager(settings: Settings, chain_id: int) -> Address | None:
    """The configured V4 manager, where the configuration is for this chain."""
    return v4_manager(settings) if settings.chain.id == chain_id else None


async def _search(wanted: Wanted, settings: Settings) -> Search:
    block = None if wanted.block is None else read_block(wanted.block)
    cache = None if wanted.cache is None else _read_cache(wanted.cache)
    if wanted.rpc_url is None:
        if wanted.token_file is not None or _scans(wanted):
            raise UsageError("--rpc is needed: the node that is asked")
        chain_id = _chain_id(wanted, block, cache, None)
        search = Search(wanted, chain_id, _manager(settings, chain_id))
        search.read_files(block, cache)
        search.save()
        return search
    async with open_node(
        wanted.rpc_url, timeout_s=settings.node.request_timeout_s, batch_size=settings.node.batch_size
    ) as node:
        chain_id = _chain_id(wanted, block, cache, await chain.chain_id(node))
        search = Search(wanted, chain_id, _manager(settings, chain_id))
        try:
            search.read_files(block, cache)
            await search.ask(node)
        except NodeError as error:
            search.failure = error
        except UsageError:
            raise
        except BaseException:
            # An impatient operator's ranges that are done need not be read again either.
            search.save()
            raise
    search.save()
    return search


def _place(one: Claim | Listing) -> Address:
    return one.contract if isinstance(one, Listing) else one.pool


def _other_sources(wanted: Wanted) -> bool:
    return any(one is not None for one in (wanted.token_file, wanted.cache, wanted.block, wanted.capture))


def _scans(wanted: Wanted) -> bool:
    """Whether the factories' logs are read."""
    return wanted.first is not None or not _other_sources(wanted)


def _chain_id(wanted: Wanted, block: RecordedBlock | None, cache: PoolCache | None, of_node: int | None) -> int:
    """The chain that all sources agree on.

    Raises:
        UsageError: they do not agree, or none of them says.
    """
    told = {
        "--chain": wanted.chain_id,
        "the node": of_node,
        "the block": None if block is None else block.chain_id,
        "the cache": None if cache is None else cache.chain_id,
    }
    ids = {source: one for source, one in told.items() if one is not None}
    if len(set(ids.values())) > 1:
        raise UsageError("the sources are of different chains: " + ", ".join(f"{k} {v}" for k, v in ids.items()))
    if not ids:
        raise UsageError("no source says which chain it is about: give --chain")
    return next(iter(ids.values()))


def _read_cache(path: Path) -> PoolCache:
    try:
        return read_pool_cache(path.read_bytes())
    except DamagedCache as error:
        raise UsageError(f"{path} is no pool cache: {error}") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _refused(one: Refused) -> dict[str, str]:
    return {
        "pool": checksum(one.pool),
        "refusal": one.refusal.value,
        "detail": one.detail,
        "source": one.source,
    }


def _reason(one: dict[str, str]) -> tuple[str, str]:
    return one["refusal"], one["detail"]


def _lines(report: dict[str, Any]) -> Iterator[str]:
    many = {reason: count for reason, count in Counter(map(_reason, report["refused"])).items() if count > MOST_LINES}
    for one in report["refused"]:
        if _reason(one) not in many:
            yield f"refused {one['pool']} ({one['source']}): {one['refusal']}: {one['detail']}"
    kinds = ", ".join(f"{report['by_protocol'][name]} {name}" for name in PROTOCOLS if name in report["by_protocol"])
    blocks = report["blocks"]
    where = "" if blocks is None else f", factories' logs of blocks {blocks[0]} to {blocks[1]}"
    yield f"{report['file']}: {report['pools']} pools ({report['new']} new){': ' + kinds if kinds else ''}{where}"
    for (refusal, detail), count in many.items():
        yield f"refused {count} pools (--json names them): {refusal}: {detail}"
    if report["counts"]:
        yield "not taken: " + ", ".join(f"{count} {kind}" for kind, count in sorted(report["counts"].items()))
