"""``flasharb bus``: look at messages of the bus, replay, record and serve them."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import click
import msgspec
import trio

from flasharb.adapters.bus import CONNECTION_ERRORS, Address, connect, open_bus, parse_address
from flasharb.adapters.bus_server import Send, open_bus_server
from flasharb.adapters.capture import CHUNK_BYTES, capture_chunks
from flasharb.adapters.nurseries import unwrapped
from flasharb.errors import BusError, UsageError
from flasharb.feed.instrument import InstrumentId
from flasharb.feed.messages import MalformedMessage, Message, Opaque, decode
from flasharb.feed.reframer import Reframer
from flasharb.feed.wire import Frame, encode_frame
from flasharb.settings import MessageBus
from flasharb.units import checksum, hex0x

_HEX: Final = re.compile(rb"[\s0-9a-fA-Fx]+")
_AMOUNTS: Final = re.compile(r"amount|reserve[01s]$|liquidity|sqrt_price|_wei$|_e8$")
"""Fields that JSON shows as decimal strings, as every amount of this program."""

dialect_option = click.option(
    "--dialect",
    type=click.Choice(["auto", "p1", "p3"]),
    default="auto",
    show_default=True,
    help="Wire dialect; auto tells them apart message by message.",
)
crc_option = click.option("--check-crc/--no-check-crc", default=True, help="Checking is needed for dialect auto.")
prefix_option = click.option("--length-prefix", is_flag=True, help="Messages carry a u32 length in front.")
json_option = click.option("--json", "as_json", is_flag=True, help="Machine output on stdout, all else on stderr.")


@click.group(name="bus", epilog="Example: flasharb bus decode capture.bus")
def command() -> None:
    """Decode, replay, record and serve messages of the market-data bus.

    ADDRESS is unix:PATH (or a path), HOST:PORT, or ws://HOST:PORT. A capture file holds the messages' bytes back to
    back, exactly as a relay sends them.
    """


@command.command("decode", epilog="Example: flasharb bus record unix:/run/bus.sock --out - | flasharb bus decode")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--hex", "hex_text", help="The bytes as hex digits, instead of a file.")
@dialect_option
@crc_option
@prefix_option
@json_option
def decode_command(
    file: Path | None,
    hex_text: str | None,
    dialect: Literal["auto", "p1", "p3"],
    check_crc: bool,
    length_prefix: bool,
    as_json: bool,
) -> int:
    """One JSON object for each message of FILE (or of standard input), binary or hex.

    Ends with a summary: on stderr, or with --json as the last object, whose "event" is "summary". Exit code 1 when
    anything was damaged.
    """
    try:
        reframer = Reframer(dialect, check_crc, length_prefix=length_prefix)
    except ValueError as problem:
        raise UsageError(str(problem)) from None
    counts = {"messages": 0, "unknown": 0, "malformed": 0}
    for chunk in _unhexed(_chunks(file, hex_text)):
        _show(reframer.feed(chunk), counts)
    _show(reframer.finish(), counts)
    found = reframer.counters
    summary = {"event": "summary", "frames": found.frames, **counts, "hellos": found.hellos}
    summary |= {"h2_frames": found.h2_frames, "resyncs": found.resyncs, "dropped_bytes": found.dropped_bytes}
    if as_json:
        click.echo(msgspec.json.encode(summary))
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in summary.items() if name != "event"), err=True)
    return 1 if found.dropped_bytes or counts["malformed"] else 0


@command.command("replay", epilog="Example: flasharb bus replay capture.bus --to unix:bus.sock --speed 10")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", "to", required=True, metavar="ADDRESS", help="A relay; or where to listen, if nobody does.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), help="1: as recorded; 10: ten times as fast.")
@json_option
def replay_command(file: Path, to: str, speed: float | None, as_json: bool) -> int:
    """Send the messages of a capture file once: to a relay at ADDRESS, or to the first consumer that connects there.

    Without --speed the bytes are sent as they are, as fast as they are taken; with it, message by message in the
    rhythm of their timestamps.
    """
    address = parse_address(to)
    _look_at(file)
    sent = trio.run(_until_signalled, lambda: _replay(file, address, speed))
    _report({"event": "replayed", "bytes": sent or 0}, as_json)
    return 0


@command.command("record", epilog="Example: flasharb bus record 127.0.0.1:7000 --out capture.bus --messages 1000")
@click.argument("address")
@click.option("--out", required=True, metavar="FILE", help="A new file, or - for standard output.")
@click.option("--messages", type=click.IntRange(1), help="Stop after this many; else at Ctrl-C.")
@dialect_option
@json_option
def record_command(
    address: str, out: str, messages: int | None, dialect: Literal["auto", "p1", "p3"], as_json: bool
) -> int:
    """Write what a bus sends to a capture file, until Ctrl-C or enough messages."""
    place = parse_address(address)
    counters = Reframer(dialect, check_crc=True)
    with _open_out(out) as file:
        trio.run(_until_signalled, lambda: _record(place, file, counters, messages))
    found = counters.counters
    _report(
        {"event": "recorded", "messages": found.frames, "dropped_bytes": found.dropped_bytes}, as_json, err=out == "-"
    )
    return 0


@command.command("serve", epilog="Example: flasharb bus serve capture.bus --at unix:bus.sock")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--at", "at", required=True, metavar="ADDRESS", help="Where to listen; port 0 takes a free one.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), help="1: as recorded; 10: ten times as fast.")
@json_option
def serve_command(file: Path, at: str, speed: float | None, as_json: bool) -> int:
    """Listen at ADDRESS and send every consumer the whole capture file, until Ctrl-C."""
    address = parse_address(at)
    _look_at(file)
    trio.run(_until_signalled, lambda: _serve(file, address, speed, as_json))
    return 0


# decode


def _chunks(file: Path | None, hex_text: str | None) -> Iterator[bytes]:
    if hex_text is not None:
        return iter([hex_text.encode()])
    if file is not None and str(file) != "-":
        return capture_chunks(file)
    return iter(lambda: os.read(sys.stdin.fileno(), CHUNK_BYTES), b"")


def _unhexed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Hex digits become the bytes they stand for; messages never look like text, so the first chunk tells."""
    is_hex: bool | None = None
    odd = ""
    for chunk in chunks:
        if is_hex is None:
            is_hex = _HEX.fullmatch(chunk) is not None
        if not is_hex:
            yield chunk
            continue
        if not _HEX.fullmatch(chunk):
            raise UsageError("neither bytes of a bus nor hex: it begins with hex digits but goes on with others")
        digits = odd + re.sub(r"0x|\s", "", chunk.decode())
        odd = digits[len(digits) & ~1 :]
        try:
            yield bytes.fromhex(digits[: len(digits) & ~1])
        except ValueError as problem:
            raise UsageError(f"not hex: {problem}") from None
    if odd:
        raise UsageError("an odd number of hex digits")


def _show(frames: list[Frame], counts: dict[str, int]) -> None:
    for frame in frames:
        head = {name: getattr(frame, name) for name in ("dialect", "domain", "source", "sequence", "timestamp_ns")}
        try:
            messages = decode(frame)
        except MalformedMessage as problem:
            counts["malformed"] += 1
            click.echo(msgspec.json.encode({**head, "malformed": str(problem)}))
            continue
        for message in messages:
            counts["messages"] += 1
            counts["unknown"] += isinstance(message, Opaque)
            click.echo(msgspec.json.encode({**head, **_as_json(message)}))


def _as_json(message: Message) -> dict[str, Any]:
    if isinstance(message, Opaque):
        return {"type": message.type, "name": None, "value": hex0x(message.value)}
    fields = {
        # The header has a timestamp of its own, which other programs set as they like.
        "event_timestamp_ns" if name == "timestamp_ns" else name: _plain(name, getattr(message, name))
        for name in message.__struct_fields__
    }
    return {"type": message.TYPE, "name": type(message).__name__, **fields}


def _plain(name: str, value: Any) -> Any:
    if name == "state":
        return value.decode("utf-8", "replace")
    if isinstance(value, bytes):
        return checksum(value) if len(value) == 20 else hex0x(value)
    if isinstance(value, InstrumentId):
        return {"venue": value.venue, "asset_type": value.asset_type, "asset_id": str(value.asset_id)}
    if isinstance(value, tuple):
        return [_plain(name, item) for item in value]
    return str(value) if _AMOUNTS.search(name) else value


# replay, record, serve


async def _until_signalled(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run ``work`` to its end or to the first Ctrl-C or SIGTERM, both of which are an orderly end."""
    result: Any = None
    with unwrapped(), trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            result = await work()
            nursery.cancel_scope.cancel()
    return result


async def _send_file(file: Path, send: Send, speed: float | None) -> int:
    total = 0
    first: tuple[int, float] | None = None
    reframer = Reframer("auto")
    for chunk in capture_chunks(file):
        if speed is None:
            await send(chunk)
            total += len(chunk)
            continue
        for frame in reframer.feed(chunk):
            first = first or (frame.timestamp_ns, trio.current_time())
            await trio.sleep_until(first[1] + (frame.timestamp_ns - first[0]) / 1e9 / speed)
            data = encode_frame(frame)
            await send(data)
            total += len(data)
    return total


async def _replay(file: Path, address: Address, speed: float | None) -> int:
    try:
        async with connect(address) as link:
            return await _send_file(file, link.send, speed)
    except (FileNotFoundError, ConnectionRefusedError):
        pass
    except CONNECTION_ERRORS as problem:
        if not _nobody_there(problem):
            raise BusError(f"{address}: {problem}") from None
    served = trio.Event()
    sent = 0

    async def serve_one(send: Send) -> None:
        nonlocal sent
        sent = await _send_file(file, send, speed)
        served.set()

    async with open_bus_server(address, serve_one) as real:
        click.echo(f"nobody listens at {address}: waiting for a consumer at {real}", err=True)
        await served.wait()
    return sent


def _nobody_there(problem: BaseException) -> bool:
    """trio's attempts at a TCP host end in one OSError that holds the refusals."""
    causes = [problem.__cause__, *getattr(problem.__cause__, "exceptions", ())]
    return any(isinstance(cause, ConnectionRefusedError | FileNotFoundError) for cause in causes)


async def _record(address: Address, file: BinaryIO, reframer: Reframer, messages: int | None) -> None:
    settings = MessageBus(transport=address.transport, address=address.place)
    async with open_bus(settings) as bus:
        async for chunk in bus:
            if not isinstance(chunk, bytes):
                click.echo(chunk.reason, err=True)
                continue
            file.write(chunk)
            file.flush()
            reframer.feed(chunk)
            if messages is not None and reframer.counters.frames >= messages:
                return


async def _serve(file: Path, address: Address, speed: float | None, as_json: bool) -> None:
    async def serve_one(send: Send) -> None:
        await _send_file(file, send, speed)

    async with open_bus_server(address, serve_one) as real:
        _report({"event": "listening", "address": str(real)}, as_json)
        await trio.sleep_forever()


def _look_at(file: Path) -> None:
    """Complain about an unreadable file before anybody waits for it."""
    next(capture_chunks(file), None)


def _open_out(out: str) -> Any:
    if out == "-":
        return click.open_file("-", "wb")
    try:
        return Path(out).open("xb")
    except FileExistsError:
        raise UsageError(f"{out} exists: name a new file") from None
    except OSError as problem:
        raise UsageError(f"cannot write {out}: {problem.strerror}") from None


def _report(fields: dict[str, Any], as_json: bool, *, err: bool = False) -> None:
    if as_json:
        click.echo(msgspec.json.encode(fields), err=err)
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in fields.items() if name != "event"), err=err)
    sys.stdout.flush()
