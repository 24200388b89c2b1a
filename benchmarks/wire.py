"""HTTP over plain sockets, as little of it as a measurement needs."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Line:
    """One kept-alive connection. Requests are sent and answers read on the calling thread."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = bytearray()

    def send(self, method: str, path: str, headers: Mapping[str, str], *, more: bool = False) -> None:
        """Send the head of a request; ``more``: its body follows at once."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *(f"{name}: {value}" for name, value in headers.items())]
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode(), socket.MSG_MORE if more else 0)

    def send_bytes(self, body: bytes) -> None:
        """Send a body from memory."""
        self._socket.sendall(body)

    def send_file(self, file: int, start: int, size: int) -> None:
        """Send bytes of an open file without reading them."""
        end = start + size
        while start < end:
            start += os.sendfile(self._socket.fileno(), file, start, end - start)

    def answer(self, *, bare: bool = False) -> tuple[int, bytes]:
        """The status and the body of the next answer; ``bare``: one to ``HEAD``, whose length is not sent."""
        status, _, body = self.whole_answer(bare=bare)
        return status, body

    def whole_answer(self, *, bare: bool = False) -> tuple[int, dict[str, str], bytes]:
        """The next answer with its fields, their names in small letters."""
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            self._receive()
        head, self._rest = bytes(self._rest[:end]).decode("latin-1"), self._rest[end + 4 :]
        first, *lines = head.split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if bare:
            body = b""
        elif fields.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks()
        else:
            body = self._take(int(fields.get("content-length", "0")))
        return int(first.split()[1]), fields, body

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> tuple[int, bytes]:
        """One whole exchange."""
        headers = {"Content-Length": str(len(body)), "Content-Type": kind} if body else {}
        self.send(method, path, headers, more=bool(body))
        if body:
            self.send_bytes(body)
        return self.answer(bare=method == "HEAD")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _chunks(self) -> bytes:
        body = b""
        while True:
            while (end := self._rest.find(b"\r\n")) < 0:
                self._receive()
            size = int(self._take(end + 2).split(b";")[0], 16)
            body += self._take(size + 2)[:size]
            if not size:
                return body

    def _take(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._receive()
        taken, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return taken

    def _receive(self) -> None:
        piece = self._socket.recv(1 << 18)
        if not piece:
            raise ConnectionError("the server has hung up")
        self._rest += piece
