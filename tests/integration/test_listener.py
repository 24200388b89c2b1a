"""Where `onward serve` listens, and whom it refuses to serve."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from onward.config import Settings, SettingsError
from onward.server.listener import listen, url_of


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
        with pytest.raises(SettingsError, match=f"{port}: Address already in use"):
            listen(Settings(host=host, port=port))


def test_an_unknown_host_is_said_plainly() -> None:
    with pytest.raises(SettingsError, match="Cannot listen on no such host"):
        listen(Settings(host="no such host", port=0))


def test_no_answer_waits_for_an_acknowledgement() -> None:
    """The body of an answer is a packet of its own, which Nagle's algorithm would hold back."""
    with listen(Settings(host="localhost", port=0)) as listener, socket.create_connection(listener.getsockname()[:2]):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
