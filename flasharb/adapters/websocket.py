"""A WebSocket client connection whose socket is always closed.

trio-websocket's own ``open_websocket_url`` leaves the socket open when the server ends the connection first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import SplitResult, urlsplit

import trio
from trio_websocket import WebSocketConnection, wrap_client_stream

from flasharb.adapters.nurseries import unwrapped

CLOSE_S: Final = 1.0
"""Seconds that the other side has to answer our closing."""
READ_BYTES: Final = 65_536

Header = tuple[bytes, bytes]


@asynccontextmanager
async def open_websocket(
    url: str, *, connect_s: float, max_message_bytes: int, headers: Sequence[Header] = ()
) -> AsyncIterator[WebSocketConnection]:
    """Connect to a ``ws(s)://`` URL; credentials in it are the caller's to send in ``headers``.

    Raises:
        OSError: nobody there, or TLS failed.
        trio.TooSlowError: not connected within ``connect_s``.
        trio_websocket.HandshakeError: refused, or not a WebSocket server.
        ValueError: not a WebSocket URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("a WebSocket URL begins with ws:// or wss:// and names a host")
    with trio.fail_after(connect_s):
        stream = await _open_stream(parts)
    try:
        with unwrapped():
            async with trio.open_nursery() as nursery:
                with trio.fail_after(connect_s):
                    connection = await wrap_client_stream(
                        nursery,
                        stream,
                        parts.netloc.rpartition("@")[2],
                        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                        extra_headers=list(headers),
                        max_message_size=max_message_bytes,
                        receive_buffer_size=READ_BYTES,
                    )
                try:
                    yield connection
                finally:
                    with trio.move_on_after(CLOSE_S, shield=True):
                        await connection.aclose()
                    nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)


async def _open_stream(parts: SplitResult) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    host = parts.hostname or ""
    if parts.scheme == "ws":
        return await trio.open_tcp_stream(host, parts.port or 80)
    stream = await trio.open_ssl_over_tcp_stream(host, parts.port or 443)
    try:
        await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream
