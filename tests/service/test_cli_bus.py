"""``flasharb bus`` as a process: decode, record, serve, replay, and an orderly end at Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from flasharb.adapters.bus import open_bus
from flasharb.cli.bus import command
from flasharb.feed.messages import encode
from flasharb.feed.records import Heartbeat, Opaque, PoolSync
from flasharb.settings import MessageBus
from flasharb.units import checksum

SYNC = PoolSync(300, b"\xab" * 20, b"\x01" * 20, b"\x02" * 20, 2**100, 7, 18, 6, 1000, 12)
STREAM = b"".join(
    [
        encode(SYNC, source=4, sequence=7, timestamp_ns=1000),
        encode(Heartbeat(2000, 13), dialect="p3", source=4, timestamp_ns=2000),
        encode(Opaque(40, b"\x01\x02"), source=4, timestamp_ns=3000),
    ]
)


def flasharb(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flasharb", "bus", *arguments]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    file = tmp_path / "some.bus"
    file.write_bytes(STREAM)
    return file


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("form", ["file", "hex option", "hex file"])
def test_decode_gives_one_object_a_message(form: str, capture: Path) -> None:
    arguments = {"file": [str(capture)], "hex option": ["--hex", STREAM.hex()], "hex file": [str(capture)]}[form]
    if form == "hex file":
        capture.write_text("0x" + STREAM.hex() + "\n")
    result = CliRunner().invoke(command, ["decode", *arguments, "--json"], standalone_mode=False)
    assert result.return_value == 0
    sync, beat, opaque, summary = objects(result.stdout)
    assert (sync["dialect"], sync["name"], sync["type"], sync["sequence"]) == ("p1", "PoolSync", 16, 7)
    assert sync["pool"] == checksum(b"\xab" * 20)
    assert (sync["reserve0"], sync["block_number"]) == (str(2**100), 12)
    assert (beat["dialect"], beat["name"], beat["block_number"]) == ("p3", "Heartbeat", 13)
    assert (opaque["type"], opaque["name"], opaque["value"]) == (40, None, "0x0102")
    assert (summary["event"], summary["messages"], summary["unknown"]) == ("summary", 3, 1)


def test_decode_reads_standard_input_and_says_when_something_was_damaged(capture: Path) -> None:
    data = STREAM[:50] + b"!" + STREAM[51:]
    done = subprocess.run(
        [sys.executable, "-m", "flasharb", "bus", "decode", "--json"], input=data, capture_output=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert [line.get("name") for line in objects(done.stdout.decode())][:1] == ["Heartbeat"]
    assert objects(done.stdout.decode())[-1]["resyncs"] == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["decode", "missing.bus"], "cannot read the capture file missing.bus"),
        (["decode", "--hex", "abc"], "odd number of hex digits"),
        (["decode", "--hex", "00", "--no-check-crc"], "name p1 or p3"),
        (["replay", "missing.bus", "--to", "x.sock"], "cannot read the capture file"),
        (["serve", "missing.bus", "--at", "x.sock"], "cannot read the capture file"),
        (["record", "tcp:x", "--out", "y"], "expected host:port"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], text: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flasharb", "bus", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_there_ends_with_3(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flasharb", "bus", "record", "gone.sock", "--out", "new.bus"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "cannot reach the bus at unix:gone.sock" in done.stderr


@pytest.mark.parametrize("verb", ["decode", "replay", "record", "serve"])
def test_help_has_an_example(verb: str) -> None:
    result = CliRunner().invoke(command, [verb, "--help"])
    assert result.exit_code == 0
    assert "Example: flasharb bus" in result.output


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_serve_and_record_and_an_orderly_end(sign: signal.Signals, capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "recorded.bus"
    server = await trio.lowlevel.open_process(
        flasharb("serve", str(capture), "--at", "127.0.0.1:0", "--json"), stdout=-1
    )
    assert server.stdout is not None
    with trio.fail_after(30):
        address = json.loads(await server.stdout.receive_some())["address"]
        recorded = await trio.run_process(
            flasharb("record", address, "--out", str(out), "--messages", "3", "--json"), capture_stdout=True
        )
        server.send_signal(sign)
        assert await server.wait() == 0
        await server.stdout.aclose()
    assert json.loads(recorded.stdout) == {"event": "recorded", "messages": 3, "dropped_bytes": 0}
    assert out.read_bytes() == STREAM


async def test_replay_waits_for_a_consumer_where_nobody_listens(capture: Path, tmp_path: Path) -> None:
    path = tmp_path / "bus.sock"
    replay = await trio.lowlevel.open_process(
        flasharb("replay", str(capture), "--to", f"unix:{path}", "--speed", "1000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert replay.stdout is not None
    assert replay.stderr is not None
    with trio.fail_after(30):
        assert b"waiting for a consumer" in await replay.stderr.receive_some()
        async with open_bus(MessageBus(transport="unix", address=str(path))) as bus:
            got = b""
            while len(got) < len(STREAM):
                chunk = await anext(bus)
                assert isinstance(chunk, bytes)
                got += chunk
        assert await replay.wait() == 0
        assert f"bytes {len(STREAM)}".encode() in await replay.stdout.receive_some()
        await replay.stdout.aclose()
        await replay.stderr.aclose()
    assert got == STREAM
