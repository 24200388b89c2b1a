"""Where `onward serve` listens, and whom it refuses to serve."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from onward.config import Settings, SettingsError
from onward.server.listener import listen, url_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::"])
def test_every_address_needs_a_token(host: str) -> None:
    with pytest.raises(SettingsError, match="Set a token"):
        listen(Settings(host=host, port=0))


@pytest.mark.parametrize("allowed", [{"token": "t"}, {"open": True}])
def test_a_token_or_a_word_opens_the_server(allowed: dict[str, Any]) -> None:
    with listen(Settings(host="0.0.0.0", port=0, **allowed)) as listener:
        assert url_of(listener) == f"http://0.0.0.0:{listener.getsockname()[1]}"


def test_a_port_in_use_is_said_plainly() -> None:
    with listen(Settings(host="localhost", port=0)) as listener:
        host, port = listener.getsockname()[:2]
        with pytest.raises(SettingsError, match=rf"{port}: Address already in use\. .* --port \(ONWARD_PORT\)\.$"):
            listen(Settings(host=host, port=port))


def test_an_unknown_host_is_said_plainly() -> None:
    with pytest.raises(SettingsError, match="Cannot listen on no such host"):
        listen(Settings(host="no such host", port=0))


async def test_answers_are_not_held_back_by_the_kernel() -> None:
    """The server's own end of a connection, as asyncio has it, sends what it is given at once."""
    found: list[int] = []

    class Looking(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            found.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            assert isinstance(transport, asyncio.Transport)
            transport.close()

    listener = listen(Settings(host="127.0.0.1", port=0))
    server = await asyncio.get_running_loop().create_server(Looking, sock=listener)
    async with server:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        assert await reader.read() == b""
        writer.close()
    assert found == [1]
