"""Sending bundles to relays: httpx under one total deadline for each relay.

The body is serialised once and signed; that very buffer goes out, also when it goes out again. A bundle is known by its
hash, so sending the same bytes twice is harmless, and not knowing whether they arrived is an answer (``Unknown``), not
an exception. Each relay has its own connections and deadline: a slow one never delays another.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx
import trio

from flasharb.execution.bundle import SIGNATURE_HEADER, Bundle, UnfitBundle, send_bundle_body, signature_header
from flasharb.execution.profiles import Profile, profile_for
from flasharb.execution.replies import (
    MAX_REPLY_BYTES,
    RETRIABLE,
    Acknowledged,
    Doubt,
    Refusal,
    Refused,
    Reply,
    Unknown,
    classify,
    quoted,
)
from flasharb.execution.signing import SigningKey
from flasharb.units import Hash32

LOG: Final = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 4
FIRST_PAUSE_S: Final = 0.05
FIRST_QUIET_S: Final = 1.0
LONGEST_QUIET_S: Final = 60.0
REQUEST_ID: Final = 1

_HEADERS: Final = {
    # Exactly this: some servers answer 415 to a charset. No compression: replies are small, and bombs stay harmless.
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "flasharb",
}


@dataclass(slots=True)
class _Progress:
    """Whether any byte of a request may have left this machine, over all attempts."""

    sent: bool = False
    connection: httpcore.AsyncNetworkStream | None = None

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """httpcore's hook: called at each step of a request."""
        if event.endswith("send_request_headers.started"):
            self.sent = True
        elif event.endswith("connect_tcp.complete"):
            self.connection = info["return_value"]
        elif event.endswith("start_tls.failed") and self.connection is not None:
            # httpcore forgets the socket when a handshake is cancelled.
            with trio.CancelScope(shield=True):
                await self.connection.aclose()


@dataclass(slots=True)
class Relay:
    """One relay. Made by :func:`open_relays`."""

    url: str = field(repr=False)  # may hold an access token
    name: str
    profile: Profile
    identity: SigningKey
    timeout_s: float
    client: httpx.AsyncClient = field(repr=False)
    stopped: str | None = None
    """The words with which the relay refused our identity; nothing is sent to it any more."""
    _quiet_until: float = -inf
    _quiet_s: float = 0.0

    async def send(self, bundle: Bundle, deadline: float = inf) -> Reply:
        """Send one bundle; ``deadline`` (trio time) shortens the relay's own. Raises nothing but cancellation."""
        if self.stopped is not None:
            return Refused(Refusal.STOPPED, f"not tried: {self.stopped}")
        quiet_s = self._quiet_until - trio.current_time()
        if quiet_s > 0:
            # Not queued: by then the target block is past.
            return Refused(Refusal.RATE_LIMITED, f"not tried: backing off for {quiet_s:.1f} s", retry_after_s=quiet_s)
        try:
            body = send_bundle_body(bundle, self.profile, REQUEST_ID)
        except UnfitBundle as error:
            return Refused(Refusal.PERMANENT, f"not sent: {error}")
        reply = await self._deliver(body, bundle.hash, min(deadline, trio.current_time() + self.timeout_s))
        self._learn(reply)
        return reply

    async def probe(self) -> Reply:
        """Ask for something harmless with a signature; ``NO_HASH`` or a refusal as ``PERMANENT`` is a healthy answer.

        No bundle hash can match, so this never returns ``Acknowledged``.
        """
        body = b'{"jsonrpc":"2.0","id":%d,"method":"net_version","params":[]}' % REQUEST_ID
        return await self._deliver(body, Hash32(b""), trio.current_time() + self.timeout_s)

    async def _deliver(self, body: bytes, bundle_hash: Hash32, deadline: float) -> Reply:
        headers = dict(_HEADERS)
        if self.profile.sign:
            headers[SIGNATURE_HEADER] = signature_header(body, self.identity)
        progress, doubt, pause_s = _Progress(), None, FIRST_PAUSE_S
        with trio.move_on_at(deadline):
            for attempt in range(1, MAX_ATTEMPTS + 1):
                reply = await self._attempt(body, headers, bundle_hash, progress)
                again = reply.kind in RETRIABLE if isinstance(reply, Unknown) else _unreachable(reply)
                if isinstance(reply, Unknown):
                    doubt = reply
                if not again or attempt == MAX_ATTEMPTS:
                    # Once an attempt was in doubt, a later refusal may only mean "I have it already".
                    return doubt if doubt is not None and isinstance(reply, Refused) else reply
                await trio.sleep(pause_s)
                pause_s *= 2
        if doubt is not None:
            return doubt
        if progress.sent:
            return Unknown(Doubt.TIMED_OUT, f"no answer within {self.timeout_s:g} s")
        return Refused(Refusal.UNREACHABLE, f"no connection within {self.timeout_s:g} s")

    async def _attempt(self, body: bytes, headers: dict[str, str], bundle_hash: Hash32, progress: _Progress) -> Reply:
        before, progress.sent = progress.sent, False
        try:
            async with self.client.stream(
                "POST", self.url, content=body, headers=headers, extensions={"trace": progress.trace}
            ) as response:
                content = await _read(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            words = f"{type(error).__name__}: {quoted(str(error))}"
            if progress.sent:
                return Unknown(Doubt.CONNECTION_LOST, words)
            return Refused(Refusal.UNREACHABLE, words)
        finally:
            progress.sent = progress.sent or before
        lower = {name.lower(): value for name, value in response.headers.items()}
        return classify(response.status_code, lower, content, bundle_hash, REQUEST_ID)

    def _learn(self, reply: Reply) -> None:
        if isinstance(reply, Acknowledged):
            self._quiet_s = 0.0
        elif isinstance(reply, Unknown) and reply.kind is Doubt.OTHER_HASH:
            LOG.error("relay %s acknowledged another bundle: %s", self.name, reply.detail)
        elif isinstance(reply, Refused) and reply.kind is Refusal.SIGNATURE:
            self.stopped = reply.detail
            LOG.error("relay %s refuses our identity and is not used any more: %s", self.name, reply.detail)
        elif isinstance(reply, Refused) and reply.kind is Refusal.RATE_LIMITED:
            doubled = min(max(FIRST_QUIET_S, 2 * self._quiet_s), LONGEST_QUIET_S)
            self._quiet_s = doubled
            quiet_s = doubled if reply.retry_after_s is None else min(reply.retry_after_s, LONGEST_QUIET_S)
            self._quiet_until = trio.current_time() + quiet_s
            LOG.warning("relay %s limits our rate; quiet for %.1f s", self.name, quiet_s)


def _unreachable(reply: Reply) -> bool:
    return isinstance(reply, Refused) and reply.kind is Refusal.UNREACHABLE


async def _read(response: httpx.Response) -> bytes:
    """The body, read no further than the cap and one byte, unpacked no further than that either."""
    raw = bytearray()
    # Ended by cancelling, not by leaving the loop: that unwinds httpx's nested generators instead of leaking them.
    with trio.CancelScope() as enough:
        async for chunk in response.aiter_raw():
            raw += chunk
            if len(raw) > MAX_REPLY_BYTES:
                enough.cancel()
    if len(raw) > MAX_REPLY_BYTES:
        return bytes(raw[: MAX_REPLY_BYTES + 1])
    if response.headers.get("content-encoding", "").strip().lower() in {"gzip", "x-gzip", "deflate"}:
        try:
            return zlib.decompressobj(wbits=47).decompress(raw, MAX_REPLY_BYTES + 1)
        except zlib.error:
            pass
    return bytes(raw)


@dataclass(frozen=True, slots=True)
class Relays:
    """All configured relays."""

    relays: tuple[Relay, ...]

    async def send(self, bundle: Bundle, deadline: float = inf) -> tuple[tuple[str, Reply], ...]:
        """Send to all at once and return what each answered, in their order."""
        replies: dict[str, Reply] = {}

        async def one(relay: Relay) -> None:
            replies[relay.name] = await relay.send(bundle, deadline)

        async with trio.open_nursery() as nursery:
            for relay in self.relays:
                nursery.start_soon(one, relay, name=f"relay {relay.name}")
        return tuple((relay.name, replies[relay.name]) for relay in self.relays)


@asynccontextmanager
async def open_relays(urls: Sequence[str], identity: SigningKey, timeout_s: float) -> AsyncIterator[Relays]:
    """Clients for all relays; connections are made at the first use and kept.

    Proxies and certificates of the environment are ignored: a bundle goes to nobody but its relay.
    """
    # httpx names every URL at INFO; a relay's may hold an access token.
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)
    async with AsyncExitStack() as stack:
        relays = []
        for url, name in zip(urls, _names(urls), strict=True):
            client = await stack.enter_async_context(
                httpx.AsyncClient(
                    timeout=None,  # noqa: S113 -- one deadline over everything: trio.move_on_at
                    follow_redirects=False,
                    trust_env=False,
                    limits=httpx.Limits(max_connections=16, max_keepalive_connections=4, keepalive_expiry=60),
                )
            )
            relays.append(Relay(url, name, profile_for(url), identity, timeout_s, client))
        yield Relays(tuple(relays))


def _names(urls: Sequence[str]) -> list[str]:
    """Host and port of each URL (never its path or password), numbered where they repeat."""
    names: list[str] = []
    for url in urls:
        parts = urlsplit(url)
        name = (parts.hostname or "?") + (f":{parts.port}" if parts.port else "")
        names.append(name if name not in names else f"{name}#{len(names) + 1}")
    return names
