"""The relay client against scripted relays on loopback: each fault of a relay ends in a value, never an exception."""

from __future__ import annotations

import gzip
import json
import logging
import math
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from eth_account import Account
from eth_account.messages import encode_defunct

from flasharb.adapters.relay import MAX_ATTEMPTS, Relay, open_relays
from flasharb.execution.bundle import Bundle
from flasharb.execution.profiles import PROFILES
from flasharb.execution.replies import Acknowledged, Doubt, Refusal, Refused, Reply, Unknown
from flasharb.execution.signing import SigningKey
from tests.support.execution import AUTH_KEY, RAW_TRANSACTIONS
from tests.support.fake_relay import (
    Behaviour,
    FakeRelay,
    Request,
    acknowledge,
    acknowledgement,
    answer,
    fake_relay,
    hang,
    in_turn,
    say,
)

BUNDLE = Bundle(RAW_TRANSACTIONS, target_block=17_000_001)
IDENTITY = SigningKey.from_hex(AUTH_KEY)
PATIENCE_S = math.inf
"""Deadline of tests that are not about deadlines: none, so that the clock can only jump over pauses."""


@asynccontextmanager
async def one_relay(behaviour: Behaviour, timeout_s: float = PATIENCE_S) -> AsyncIterator[tuple[Relay, FakeRelay]]:
    async with fake_relay(behaviour) as fake, open_relays([fake.url], IDENTITY, timeout_s) as relays:
        yield relays.relays[0], fake


async def reply_to(wire: bytes) -> Reply:
    async with one_relay(say(wire)) as (relay, _):
        return await relay.send(BUNDLE)


def rpc_error(status: int, code: int, message: str) -> bytes:
    body = {"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": None}
    return answer(status, json.dumps(body).encode())


async def test_honest_relay_acknowledges() -> None:
    """The hash it names is ours; the request is a POST of plain JSON with a signature that recovers our identity."""
    async with one_relay(acknowledge) as (relay, fake):
        reply = await relay.send(BUNDLE)

    assert reply == Acknowledged(BUNDLE.hash)
    [request] = fake.requests
    assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
    address, _, signature = request.headers["x-flashbots-signature"].partition(":")
    message = encode_defunct(text="0x" + request.body_keccak)
    assert Account.recover_message(message, signature=signature) == address
    assert bytes.fromhex(address[2:]) == IDENTITY.address


async def test_connection_is_kept() -> None:
    """Later bundles ride on the first one's connection."""
    async with one_relay(acknowledge) as (relay, fake):
        for _ in range(3):
            assert isinstance(await relay.send(BUNDLE), Acknowledged)

    assert (fake.connections, len(fake.requests)) == (1, 3)


async def test_relays_are_asked_at_the_same_time() -> None:
    """Two relays that each wait for the other's request both get it."""
    waiting = 0
    both = trio.Event()

    async def barrier(request: Request, stream: trio.SocketStream) -> bool:
        nonlocal waiting
        waiting += 1
        if waiting == 2:
            both.set()
        await both.wait()
        return await acknowledge(request, stream)

    async with (
        fake_relay(barrier) as first,
        fake_relay(barrier) as second,
        open_relays([first.url, second.url], IDENTITY, PATIENCE_S) as relays,
    ):
        replies = await relays.send(BUNDLE)

    assert [reply for _, reply in replies] == [Acknowledged(BUNDLE.hash)] * 2
    assert [name for name, _ in replies] == [url.removeprefix("http://").rstrip("/") for url in (first.url, second.url)]


async def test_fault_10_error_string_is_permanent() -> None:
    """HTTP 400 with ``error`` as a plain string: refused, asked once."""
    async with one_relay(say(answer(400, b'{"error":"unable to decode txs"}'))) as (relay, fake):
        reply = await relay.send(BUNDLE)

    assert isinstance(reply, Refused)
    assert reply.kind is Refusal.PERMANENT
    assert "unable to decode txs" in reply.detail
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    "wire",
    [
        answer(403, b'{"error":"error in signature check 0x00"}'),
        rpc_error(200, -32600, "signature is required"),
        rpc_error(200, -32025, "invalid flashbots signature"),
        rpc_error(400, -32603, "Invalid signature"),
        answer(401, b"no"),
    ],
)
async def test_fault_11_refused_identity_stops_that_relay_only(wire: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The relay is not asked again, the log says so once, and the others go on."""
    async with (
        fake_relay(say(wire)) as strict,
        fake_relay(acknowledge) as kind,
        open_relays([strict.url, kind.url], IDENTITY, PATIENCE_S) as relays,
    ):
        with caplog.at_level(logging.ERROR):
            (_, refused), (_, accepted) = await relays.send(BUNDLE)
            (_, stopped), (_, again) = await relays.send(BUNDLE)

    assert isinstance(refused, Refused)
    assert refused.kind is Refusal.SIGNATURE
    assert isinstance(stopped, Refused)
    assert stopped.kind is Refusal.STOPPED
    assert accepted == again == Acknowledged(BUNDLE.hash)
    assert (len(strict.requests), len(kind.requests)) == (1, 2)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("wire", "quiet_s"),
    [
        (answer(429, b"slow down", ("Retry-After", "7")), 7),
        (rpc_error(429, -32603, "Rate limited"), 1),
        (rpc_error(200, -32603, "Rate limited"), 1),
        (answer(429, b"", ("Retry-After", "Wed, 21 Oct 2065 07:28:00 GMT")), 1),
        (answer(429, b"", ("Retry-After", "999999")), 60),
    ],
)
async def test_fault_12_rate_limit_backs_off(wire: bytes, quiet_s: float, mock_clock: trio.testing.MockClock) -> None:
    """While it is quiet nothing is sent or queued; afterwards it is used again."""
    async with one_relay(in_turn(say(wire), acknowledge)) as (relay, fake):
        assert isinstance(await relay.send(BUNDLE), Refused)
        mock_clock.jump(quiet_s - 0.5)
        early = await relay.send(BUNDLE)
        assert isinstance(early, Refused)
        assert early.kind is Refusal.RATE_LIMITED
        assert len(fake.requests) == 1
        mock_clock.jump(0.6)
        assert await relay.send(BUNDLE) == Acknowledged(BUNDLE.hash)


async def test_fault_12_repeated_limits_double_the_quiet(mock_clock: trio.testing.MockClock) -> None:
    """Without Retry-After: 1, 2, 4 … at most 60 seconds; an acknowledgement starts over."""
    quiet = []
    async with one_relay(say(answer(429, b""))) as (relay, _):
        for _ in range(8):
            await relay.send(BUNDLE)
            told = await relay.send(BUNDLE)
            assert isinstance(told, Refused)
            quiet.append(told.retry_after_s)
            mock_clock.jump(60)

    assert quiet == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])


@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        (answer(200, b"<html>502 Bad Gateway</html>"), Doubt.NOT_JSON),
        (answer(200, b""), Doubt.NOT_JSON),
        (answer(200, b'{"jsonrpc":"2.0","id":1,"resu'), Doubt.NOT_JSON),
        (answer(200, b"[]"), Doubt.NOT_JSON_RPC),
        (answer(200, b'{"jsonrpc":"2.0","id":1,"result":null}'), Doubt.NO_HASH),
        (answer(200, b'{"jsonrpc":"2.0","id":1,"result":{}}'), Doubt.NO_HASH),
        (answer(200, b'{"jsonrpc":"2.0","id":7,"result":{"bundleHash":"0x00"}}'), Doubt.WRONG_ID),
        (answer(200, b" " * 10_000_000), Doubt.TOO_LARGE),
    ],
    ids=lambda value: value.name if isinstance(value, Doubt) else "",
)
async def test_fault_13_strange_answers_leave_a_doubt(wire: bytes, kind: Doubt) -> None:
    """Classified, and not asked again: the relay did answer."""
    reply = await reply_to(wire)

    assert isinstance(reply, Unknown)
    assert reply.kind is kind


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_fault_13_server_errors_are_tried_again(status: int, autojump_clock: trio.testing.MockClock) -> None:
    """The same bytes go out again; the second answer counts."""
    async with one_relay(in_turn(say(answer(status, b"<html>oops</html>")), acknowledge)) as (relay, fake):
        reply = await relay.send(BUNDLE)

    assert reply == Acknowledged(BUNDLE.hash)
    assert fake.requests[0].body == fake.requests[1].body


async def test_fault_13_server_that_stays_broken(autojump_clock: trio.testing.MockClock) -> None:
    """A bounded number of attempts, then the doubt itself is the answer."""
    async with one_relay(say(rpc_error(500, -32603, "Internal error"))) as (relay, fake):
        reply = await relay.send(BUNDLE)

    assert isinstance(reply, Unknown)
    assert reply.kind is Doubt.SERVER_ERROR
    assert len(fake.requests) == MAX_ATTEMPTS


async def test_fault_13_gzip_bomb_stays_small() -> None:
    """100 MB of zeros in 100 kB, sent although nobody asked for compression."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([packer.compress(bytes(1_000_000)) for _ in range(60)]) + packer.flush()
    assert len(bomb) < 65_536

    reply = await reply_to(answer(200, bomb, ("Content-Encoding", "gzip")))

    assert isinstance(reply, Unknown)
    assert reply.kind is Doubt.TOO_LARGE


async def test_unasked_gzip_is_still_read() -> None:
    """A proxy that compresses anyway does no harm."""

    async def zipped(request: Request, stream: trio.SocketStream) -> None:
        body = gzip.compress(acknowledgement(request).partition(b"\r\n\r\n")[2])
        await stream.send_all(answer(200, body, ("Content-Encoding", "gzip")))

    async with one_relay(zipped) as (relay, _):
        assert await relay.send(BUNDLE) == Acknowledged(BUNDLE.hash)


async def test_fault_14_hanging_relay_delays_nobody(mock_clock: trio.testing.MockClock) -> None:
    """Time stands still: the good relay answers at once; then the deadline passes and the other one is in doubt."""
    replies: dict[str, Reply] = {}
    good_answered = trio.Event()
    async with (
        fake_relay(hang) as hanging,
        fake_relay(acknowledge) as good,
        open_relays([hanging.url, good.url], IDENTITY, 1.0) as relays,
        trio.open_nursery() as nursery,
    ):

        async def send(relay: Relay, name: str, done: trio.Event) -> None:
            replies[name] = await relay.send(BUNDLE)
            done.set()

        nursery.start_soon(send, relays.relays[0], "hanging", trio.Event())
        nursery.start_soon(send, relays.relays[1], "good", good_answered)
        await good_answered.wait()
        while not hanging.requests:
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert replies == {"good": Acknowledged(BUNDLE.hash)}
        mock_clock.jump(1.0)

    assert isinstance(replies["hanging"], Unknown)
    assert replies["hanging"].kind is Doubt.TIMED_OUT


async def test_fault_14_trickling_bytes_meet_the_total_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """One byte every 0.9 s never trips a per-read timeout; the deadline is over the whole answer."""
    autojump_clock.autojump_threshold = 0.2

    async def trickle(request: Request, stream: trio.SocketStream) -> None:
        for byte in acknowledgement(request):
            await stream.send_all(bytes([byte]))
            await trio.sleep(0.9)

    async with one_relay(trickle, timeout_s=5.0) as (relay, _):
        start = trio.current_time()
        reply = await relay.send(BUNDLE)
        elapsed = trio.current_time() - start

    assert isinstance(reply, Unknown)
    assert reply.kind is Doubt.TIMED_OUT
    assert elapsed == pytest.approx(5.0)


async def test_fault_14_slot_deadline_shortens_the_relays_own(autojump_clock: trio.testing.MockClock) -> None:
    """The block's deadline wins when it is nearer."""
    autojump_clock.autojump_threshold = 0.2
    async with one_relay(hang, timeout_s=30.0) as (relay, _):
        start = trio.current_time()
        await relay.send(BUNDLE, deadline=start + 2.0)
        assert trio.current_time() - start == pytest.approx(2.0)


async def test_fault_14_unreachable_relay_surely_has_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """A closed port: refused after a few attempts, and no doubt about it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        async with open_relays([url], IDENTITY, PATIENCE_S) as relays:
            [(_, reply)] = await relays.send(BUNDLE)

    assert isinstance(reply, Refused)
    assert reply.kind is Refusal.UNREACHABLE


async def test_fault_14_broken_tls_is_unreachable(autojump_clock: trio.testing.MockClock) -> None:
    """A server that speaks no TLS behind an https URL: nothing of the bundle left."""

    async def gibberish(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, gibberish, [listener])
        url = f"https://127.0.0.1:{listener.socket.getsockname()[1]}/"
        async with open_relays([url], IDENTITY, PATIENCE_S) as relays:
            [(_, reply)] = await relays.send(BUNDLE)
        nursery.cancel_scope.cancel()

    assert isinstance(reply, Refused)
    assert reply.kind is Refusal.UNREACHABLE


async def test_cancellation_leaves_no_task() -> None:
    """Cancelled while a relay hangs, the send ends at once and the client can be closed."""
    async with one_relay(hang) as (relay, fake), trio.open_nursery() as nursery:
        nursery.start_soon(relay.send, BUNDLE)
        while not fake.requests:
            await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()


async def reset(request: Request, stream: trio.SocketStream) -> None:
    """Read the request, then reset the connection instead of answering."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


async def test_fault_15_lost_reply_is_asked_for_with_the_same_bytes(autojump_clock: trio.testing.MockClock) -> None:
    """The body that goes out again is the same to the byte, so the relay knows the bundle by its hash."""
    async with one_relay(in_turn(reset, reset, acknowledge)) as (relay, fake):
        reply = await relay.send(BUNDLE)

    assert reply == Acknowledged(BUNDLE.hash)
    assert len({(one.body, one.headers["x-flashbots-signature"]) for one in fake.requests}) == 1
    assert len(fake.requests) == 3


async def test_fault_15_always_lost_counts_as_sent(autojump_clock: trio.testing.MockClock) -> None:
    """The relay read the bundle every time: whether it kept it is unknown."""
    async with one_relay(reset) as (relay, fake):
        reply = await relay.send(BUNDLE)

    assert isinstance(reply, Unknown)
    assert reply.kind is Doubt.CONNECTION_LOST
    assert len(fake.requests) == MAX_ATTEMPTS


async def test_refusal_after_a_lost_reply_stays_in_doubt(autojump_clock: trio.testing.MockClock) -> None:
    """ "Already known" may be the reason of the second answer."""
    async with one_relay(in_turn(reset, say(rpc_error(200, -32000, "bundle already known")))) as (relay, _):
        reply = await relay.send(BUNDLE)

    assert isinstance(reply, Unknown)


async def test_truncated_body_is_a_lost_connection(autojump_clock: trio.testing.MockClock) -> None:
    """Fewer bytes than Content-Length promised."""
    reply = await reply_to(answer(200, b'{"jsonrpc"', length=100))

    assert isinstance(reply, Unknown)
    assert reply.kind is Doubt.CONNECTION_LOST


async def test_fault_16_other_bundle_hash_is_no_acknowledgement(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged as an error and counts as not acknowledged."""
    other = "0x" + "11" * 32
    with caplog.at_level(logging.ERROR):
        reply = await reply_to(answer(200, json.dumps({"id": 1, "result": {"bundleHash": other}}).encode()))

    assert isinstance(reply, Unknown)
    assert reply.kind is Doubt.OTHER_HASH
    assert len(caplog.records) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_fault_17_redirect_is_not_followed(status: int) -> None:
    """The signature header goes to nobody else."""
    async with fake_relay(acknowledge) as elsewhere:
        reply = await reply_to(answer(status, b"", ("Location", elsewhere.url)))

    assert isinstance(reply, Refused)
    assert reply.kind is Refusal.REDIRECT
    assert elsewhere.requests == []


async def test_fault_31_unfit_bundle_is_not_sent() -> None:
    """A field that the builder would not honour is seen before anything leaves."""
    async with one_relay(acknowledge) as (relay, fake):
        relay.profile = next(one for one in PROFILES if one.name == "beaverbuild")
        reply = await relay.send(Bundle(RAW_TRANSACTIONS, 17_000_001, replacement_uuid="a"))
        assert isinstance(reply, Refused)
        assert await relay.send(BUNDLE) == Acknowledged(BUNDLE.hash)

    assert "x-flashbots-signature" not in fake.requests[0].headers
    assert len(fake.requests) == 1


async def test_log_never_shows_a_relays_access_token(caplog: pytest.LogCaptureFixture) -> None:
    """httpx would log whole URLs at INFO; paths and passwords may be secrets."""
    async with fake_relay(acknowledge) as fake:
        url = fake.url.replace("http://", "http://user:hunter2@") + "v1/token4567"
        with caplog.at_level(logging.INFO):
            async with open_relays([url], IDENTITY, PATIENCE_S) as relays:
                [(name, reply)] = await relays.send(BUNDLE)
                shown = caplog.text + repr(relays) + name

    assert isinstance(reply, Acknowledged)
    assert "hunter2" not in shown
    assert "token4567" not in shown


async def test_doubt_of_an_earlier_attempt_survives_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """A server error first, then silence: what is known is the server error."""
    autojump_clock.autojump_threshold = 0.2
    async with one_relay(in_turn(say(answer(502, b"oops")), hang), timeout_s=5.0) as (relay, fake):
        reply = await relay.send(BUNDLE)

    assert isinstance(reply, Unknown)
    assert reply.kind is Doubt.SERVER_ERROR
    assert len(fake.requests) == 2


async def test_handshake_that_never_ends_sends_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """TLS is never set up: the bundle surely stayed here, although the deadline passed."""
    autojump_clock.autojump_threshold = 0.2

    async def silent(stream: trio.SocketStream) -> None:
        async with stream:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, silent, [listener])
        url = f"https://127.0.0.1:{listener.socket.getsockname()[1]}/"
        async with open_relays([url], IDENTITY, 1.0) as relays:
            [(_, reply)] = await relays.send(BUNDLE)
        nursery.cancel_scope.cancel()

    assert isinstance(reply, Refused)
    assert reply.kind is Refusal.UNREACHABLE


async def test_gzip_that_is_none() -> None:
    """A header that lies about the body: the body is read as it is."""

    async def lying(request: Request, stream: trio.SocketStream) -> None:
        body = acknowledgement(request).partition(b"\r\n\r\n")[2]
        await stream.send_all(answer(200, body, ("Content-Encoding", "gzip")))

    async with one_relay(lying) as (relay, _):
        assert await relay.send(BUNDLE) == Acknowledged(BUNDLE.hash)


async def test_probe_of_a_healthy_relay() -> None:
    """Unknown method or a result without a hash: it is there and takes our signature."""
    async with one_relay(in_turn(say(rpc_error(200, -32601, "method not found")), acknowledge_nothing)) as (
        relay,
        fake,
    ):
        refused = await relay.probe()
        unknown = await relay.probe()

    assert isinstance(refused, Refused)
    assert refused.kind is Refusal.PERMANENT
    assert isinstance(unknown, Unknown)
    assert unknown.kind is Doubt.NO_HASH
    assert all(json.loads(one.body)["method"] == "net_version" for one in fake.requests)


async def acknowledge_nothing(request: Request, stream: trio.SocketStream) -> None:
    """A JSON-RPC server that is no relay."""
    await stream.send_all(answer(200, b'{"jsonrpc":"2.0","id":1,"result":"1"}'))


async def test_the_same_host_twice_gets_two_names() -> None:
    """Two paths of one server are two relays."""
    async with (
        fake_relay(acknowledge) as fake,
        open_relays([fake.url + "a", fake.url + "b"], IDENTITY, PATIENCE_S) as relays,
    ):
        replies = await relays.send(BUNDLE)

    assert len({name for name, _ in replies}) == 2
