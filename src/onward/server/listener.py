"""The listening socket, and who may be served on it."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from typing import Final

from onward.config import Settings, SettingsError

BACKLOG: Final = 2048


def listen(settings: Settings) -> socket.socket:
    """A socket that listens where the settings say.

    Raises ``SettingsError`` when the address cannot be had, and when it can be reached from other
    machines although there is no token and ``open`` is not set.
    """
    wanted = f"{settings.host}, port {settings.port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise SettingsError(f"Cannot listen on {wanted}: {error.strerror}", field="host") from None
    host = str(address[0])
    if not (settings.token or settings.open or ipaddress.ip_address(host).is_loopback):
        raise SettingsError(
            f"Not listening on {settings.host or host}: other machines could reach it and everybody could see all "
            "uploads. Set a token (ONWARD_TOKEN), or allow it with --open.",
            field="host",
        )
    try:
        listener = socket.create_server((host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        # `create_server` adds the address, in Python's words, to those of the system.
        why = os.strerror(error.errno) if error.errno else str(error)
        if error.errno == errno.EADDRINUSE:
            why += ". End what listens there, or choose another with --port (ONWARD_PORT)."
        raise SettingsError(f"Cannot listen on {wanted}: {why}", field="port") from None
    # Connections inherit it; asyncio sets it only for sockets that name their protocol, and this one does not.
    # Without it the body of an answer waits until the client's kernel confirms the head, for up to 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL under which the socket is reached, with the port it really has."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
