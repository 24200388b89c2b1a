"""nginx and haproxy before a real server, as the examples set them up: links, uploads, bytes and events at once."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.integration.putting import MIB, make, put, sha256
from tests.integration.real_server import RealServer, real_server

EXAMPLES: Final = Path(__file__).parents[2] / "docs/examples"
PATIENCE: Final = 60.0
"""Seconds after which a test is stuck; nothing is judged by it."""
TUS: Final = {"Tus-Resumable": "1.0.0"}
EIGHT: Final = {"Upload-Draft-Interop-Version": "8"}


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


class Proxy:
    """A proxy with the configuration of an example, on a port of its own, before ``server``."""

    def __init__(self, folder: Path, example: str, certificate: Path, server: RealServer) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self.trust = ssl.create_default_context(cafile=str(certificate))
        self.log = folder / f"{example}.log"
        text = (EXAMPLES / example).read_text()
        changes = {"/etc/ssl/upload.example": str(certificate.with_suffix("")), "127.0.0.1:8000": server.url[7:]}
        if example == "nginx.conf":
            temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            paths = "".join(f"{name}_temp_path {folder}/{name}; " for name in temporary)
            changes |= {"listen 443": f"listen 127.0.0.1:{self.port}", "http {": f"http {{ access_log off; {paths}"}
            alone = f"daemon off; pid {folder}/nginx.pid; error_log {self.log};"
            self._command = ["nginx", "-p", f"{folder}", "-e", f"{self.log}", "-c", f"{folder / example}", "-g", alone]
        else:
            changes |= {"bind :443": f"bind 127.0.0.1:{self.port}"}
            self._command = ["haproxy", "-db", "-f", f"{folder / example}"]
        for old, new in changes.items():
            assert old in text, f"{example} has no {old!r}"
            text = text.replace(old, new)
        (folder / example).write_text(text)

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        """The proxy while it takes connections; gone, with its children, when the block ends."""
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        program = shutil.which(self._command[0], path=path)
        assert program is not None, f"{self._command[0]} is missing; .ci/setup tests installs it"
        command = [program, *self._command[1:]]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            until(lambda: process.poll() is not None or self._answers(), f"no proxy: {self.log.read_text()}")
            assert process.poll() is None, self.log.read_text()
            yield self
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        return False

    def client(self) -> httpx.Client:
        """A client that trusts the proxy's certificate."""
        return httpx.Client(base_url=self.url, verify=self.trust, timeout=PATIENCE, trust_env=False)

    def connect(self) -> ssl.SSLSocket:
        """A bare connection, for what no client would do."""
        return self.trust.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), PATIENCE), server_hostname="localhost"
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """Trusts what comes from 127.0.0.1, where the proxies are; 127.0.0.2 is somebody else."""
    with real_server(tmp_path_factory.mktemp("behind") / "data", trusted_proxies="127.0.0.1") as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, signed by itself; beside it the key, and both in one as haproxy wants it."""
    folder = tmp_path_factory.mktemp("certificate")
    crt, key = folder / "site.crt", folder / "site.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(crt)]
    subprocess.run([*command.split(), *more], check=True, capture_output=True)
    (folder / "site.pem").write_bytes(crt.read_bytes() + key.read_bytes())
    return crt


@pytest.fixture(scope="module", params=["nginx.conf", "haproxy.cfg"])
def proxy(
    request: pytest.FixtureRequest, server: RealServer, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with Proxy(tmp_path_factory.mktemp("proxy"), request.param, certificate, server).running() as running:
        yield running


# -- links --------------------------------------------------------------------------------------------

CREATIONS: Final[Mapping[str, tuple[str, dict[str, str], bytes]]] = {
    "tus": ("/files", {**TUS, "Upload-Length": "5"}, b""),
    "draft": ("/files", {**EIGHT, "Upload-Complete": "?0"}, b""),
    "chunks": ("/upload", {"Content-Type": "application/json"}, b'{"name": "NAME", "size": 5}'),
}
LIES: Final = {
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "host=evil.example;proto=http",
}


@pytest.mark.parametrize("said", [{}, LIES], ids=["honest", "lying"])
@pytest.mark.parametrize("dialect", CREATIONS)
def test_location_is_where_the_client_sees_the_server(proxy: Proxy, dialect: str, said: dict[str, str]) -> None:
    path, headers, body = CREATIONS[dialect]
    name = f"{dialect}-{len(said)}-{proxy.port}.bin"
    with proxy.client() as client:
        answer = client.post(path, content=body.replace(b"NAME", name.encode()), headers=headers | said)
        assert answer.status_code == 201, answer.text
        where = answer.headers["location"]
        assert where.startswith(f"{proxy.url}{path}/")
        asked = client.head(where, headers={name: headers[name] for name in (*TUS, *EIGHT) if name in headers})
        assert (asked.is_success, asked.headers["upload-offset"]) == (True, "0"), "and it leads there"


@pytest.mark.parametrize(("address", "seen"), [("127.0.0.2", "http://inside"), ("127.0.0.1", "https://up.example")])
@pytest.mark.parametrize("dialect", CREATIONS)
def test_nobody_else_is_believed(server: RealServer, dialect: str, address: str, seen: str) -> None:
    path, headers, body = CREATIONS[dialect]
    said = {"Host": "inside", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "up.example"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE, source_address=(address, 0))
    with contextlib.closing(connection):
        name = f"direct-{address}.bin"
        connection.request("POST", path, body.replace(b"NAME", name.encode()), headers | said)
        answer = connection.getresponse()
        assert answer.status == 201
        assert str(answer.getheader("Location")).startswith(f"{seen}{path}/")


# -- uploads ------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_large_files_arrive_whole_by_every_protocol(
    proxy: Proxy, server: RealServer, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    files = {protocol: tmp_path / f"{protocol}-{proxy.port}.bin" for protocol in ("chunk", "tus", "ietf")}
    data = {protocol: make(path, 20 * MIB + 1) for protocol, path in files.items()}
    results = await asyncio.gather(
        *(
            put(
                f"{proxy.url}/{'upload' if protocol == 'chunk' else 'files'}",
                path,
                protocol=protocol,
                chunk_size=4 * MIB,
            )
            for protocol, path in files.items()
        )
    )
    async with httpx.AsyncClient(verify=proxy.trust, trust_env=False) as client:
        for (protocol, path), result in zip(files.items(), results, strict=True):
            told = result.one
            assert (told.outcome, told.retries, told.sent) == ("done", 0, len(data[protocol])), told
            assert told.sha256 == sha256(data[protocol])
            stored = path.name if protocol == "chunk" else f"{told.id}/{path.name}"
            assert sha256(server.file(stored).read_bytes()) == told.sha256
            assert str(told.content).startswith(f"{proxy.url}/files/")
            assert sha256((await client.get(str(told.content))).content) == told.sha256


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl_sends_a_chunk_by_either_version_of_http(proxy: Proxy, certificate: Path, version: str) -> None:
    url = f"{proxy.url}/upload/curl{version}-{proxy.port}-1"
    command = ["curl", "-sS", version, "--cacert", str(certificate), "-T", "-", "-o", os.devnull, url]
    command += ["-w", "%{http_version} %{http_code}"]
    done = subprocess.run(command, input=bytes(3 * MIB), capture_output=True, timeout=PATIENCE, check=True)
    assert done.stdout == {"--http1.1": b"1.1 201", "--http2": b"2 201"}[version]


def test_bytes_go_on_as_they_come(proxy: Proxy, server: RealServer) -> None:
    """A cut connection costs nothing that was sent, since no proxy sits on it."""
    with proxy.client() as client, proxy.connect() as connection:
        created = client.post("/files", headers={**TUS, "Upload-Length": str(4 * MIB)})
        where = created.headers["location"].removeprefix(proxy.url)
        connection.sendall(
            f"PATCH {where} HTTP/1.1\r\nHost: localhost:{proxy.port}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
            f"Content-Type: application/offset+octet-stream\r\nContent-Length: {4 * MIB}\r\n\r\n".encode()
        )
        connection.sendall(bytes(MIB))
        status = where.replace("/files/", "/uploads/")
        until(lambda: client.get(status).json()["offset"] == MIB, "the proxy keeps the bytes to itself")
    with proxy.client() as client:
        assert int(client.head(where, headers=TUS).headers["upload-offset"]) == MIB


def test_a_client_of_the_draft_is_told_nothing_early(proxy: Proxy) -> None:
    """Some proxies take a 104 for the answer."""
    with proxy.connect() as connection, connection.makefile("rb") as answers:
        connection.sendall(
            f"POST /files HTTP/1.1\r\nHost: localhost:{proxy.port}\r\nUpload-Draft-Interop-Version: 8\r\n"
            "Upload-Complete: ?1\r\nContent-Length: 5\r\n\r\nbytes".encode()
        )
        assert answers.readline().split()[1] == b"202"


def test_haproxy_passes_on_what_is_told_early(certificate: Path, tmp_path: Path) -> None:
    with (
        real_server(tmp_path / "data", worker=False, send_104="always", trusted_proxies="127.0.0.1") as server,
        Proxy(tmp_path, "haproxy.cfg", certificate, server).running() as proxy,
        proxy.connect() as connection,
        connection.makefile("rb") as answers,
    ):
        connection.sendall(
            f"POST /files HTTP/1.1\r\nHost: localhost:{proxy.port}\r\nUpload-Draft-Interop-Version: 8\r\n"
            "Upload-Complete: ?1\r\nContent-Length: 5\r\n\r\n".encode()
        )
        assert answers.readline().split()[1] == b"104", "before a byte of the body was sent"
        told = list(iter(answers.readline, b"\r\n"))
        assert any(line.lower().startswith(f"location: {proxy.url}/files/".encode()) for line in told)
        connection.sendall(b"bytes")
        assert b"202" in b"".join(iter(answers.readline, b"\r\n"))


def test_events_come_when_they_happen(proxy: Proxy) -> None:
    with proxy.client() as client, client.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines), "something comes before anything has happened"
        name = f"seen-{proxy.port}.bin"
        with proxy.client() as other:
            other.post("/upload", json={"name": name, "size": 10})
        assert any(name in line for line in lines), "and the rest while the stream goes on"
