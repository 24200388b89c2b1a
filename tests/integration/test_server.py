"""`onward serve` from outside: real processes, raw sockets."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.integration.serving import GET, HEADER_TIMEOUT, MAX_HEADER, PATIENCE, Client, Serving, post, refused, until


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    with contextlib.ExitStack() as stack:

        def begin(**settings: Any) -> Serving:
            serving = Serving(tmp_path / "data", **settings)
            stack.callback(serving.close)
            return serving

        yield begin


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    serving = Serving(tmp_path_factory.mktemp("shared"))
    try:
        yield serving.port(), serving.data
    finally:
        serving.close()


@pytest.fixture
def port(shared: tuple[int, Path]) -> int:
    return shared[0]


@pytest.fixture
def data(shared: tuple[int, Path]) -> Path:
    for name in ("gate", "seen", "reading"):
        (shared[1] / name).unlink(missing_ok=True)
    return shared[1]


# The head of a request


def test_a_head_within_the_limits_is_served(port: int) -> None:
    fields = [f"X-{n}: {'v' * 60}" for n in range(198)]
    with Client(port, post("read", "Content-Length: 2", *fields) + b"hi" + GET) as client:
        assert client.response()[2]["body"] == "hi"
        status, headers, _ = client.response()
        assert status == 200
        assert "server" not in headers


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEADER, id="endless field"),
        pytest.param(b"GET /" + b"a" * MAX_HEADER, id="endless request line"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEADER + b"\r\n\r\n", id="long field"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 201 + b"\r\n", id="many fields"),
        pytest.param(b"\r\n" * (MAX_HEADER // 2 + 1), id="empty lines"),
    ],
)
def test_a_head_beyond_the_limits_gets_431(port: int, head: bytes) -> None:
    with Client(port, head) as client:
        assert refused(client, 431, "headers-too-large")["limit"] in {200, MAX_HEADER}


def test_a_head_is_limited_behind_a_body_in_the_same_read(port: int) -> None:
    second = b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEADER + b"\r\n\r\n"
    with Client(port, post("read", "Content-Length: 2") + b"hi" + second) as client:
        assert client.response()[2]["body"] == "hi"
        refused(client, 431, "headers-too-large")


def test_a_huge_head_is_not_kept(port: int) -> None:
    with Client(port) as client, contextlib.suppress(ConnectionError):
        client.send(b"GET / HTTP/1.1\r\nX: " + b"a" * (20 << 20))
    with Client(port, GET) as client:
        assert client.response()[0] == 200


CHUNKS: Final = b"2\r\nhi\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(post("read", "Content-Length: 2", "Transfer-Encoding: chunked") + CHUNKS, id="length and coding"),
        pytest.param(post("read", "Transfer-Encoding: chunked", "Content-Length: 2") + CHUNKS, id="coding and length"),
        pytest.param(post("read", "Content-Length: 2", "Content-Length: 2") + b"hi", id="length twice"),
        pytest.param(post("read", "Content-Length: 2", "Content-Length: 3") + b"hi", id="two lengths"),
        pytest.param(post("read", "Content-Length: 2, 2") + b"hi", id="list of lengths"),
        pytest.param(post("read", "Content-Length: +2") + b"hi", id="signed length"),
        pytest.param(post("read", "Transfer-Encoding: gzip, chunked") + CHUNKS, id="another coding"),
        pytest.param(post("read", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked") + CHUNKS, id="two codings"),
        pytest.param(post("read", "Transfer-Encoding: identity") + b"hi", id="no coding"),
        pytest.param(b"POST /read HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS, id="coding in 1.0"),
        pytest.param(post("read", "Host: other", "Content-Length: 2") + b"hi", id="two hosts"),
        pytest.param(post("read", "Content-Length : 2") + b"hi", id="space before colon"),
        pytest.param(b"nonsense\r\n\r\n", id="nonsense"),
    ],
)
def test_a_request_with_two_meanings_gets_400(port: int, request_bytes: bytes) -> None:
    with Client(port, request_bytes) as client:
        refused(client, 400, "bad-request")


def test_a_head_that_does_not_end_gets_408(port: int) -> None:
    with Client(port, b"GET / HTTP/1.1\r\nHost: te") as client:
        refused(client, 408, "stalled")


def test_a_trickle_does_not_extend_the_deadline(port: int) -> None:
    with Client(port, b"GET / HTTP/1.1\r\nX: ") as client:
        client.socket.settimeout(0.1)
        for _ in range(int(PATIENCE * 10)):
            client.send(b"a")
            try:
                found = client.socket.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                continue
            assert found
            break
        client.socket.settimeout(PATIENCE)
        refused(client, 408, "stalled")


def test_a_connection_without_a_request_is_closed_without_a_word(port: int) -> None:
    with Client(port) as client:
        assert client.ended()


def test_half_heads_do_not_keep_others_waiting(port: int) -> None:
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(Client(port, b"GET / HTTP/1.1\r\nHost:")) for _ in range(300)]
        with Client(port, GET) as client:
            assert client.response()[0] == 200
        for client in crowd:
            refused(client, 408, "stalled")


def test_a_head_waits_for_the_response_before_it(port: int, data: Path) -> None:
    with Client(port, post("late", "Content-Length: 2") + b"hi" + GET[:20]) as client:
        client.socket.settimeout(HEADER_TIMEOUT * 1.5)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        client.socket.settimeout(PATIENCE)
        client.send(GET[20:])
        (data / "gate").touch()
        assert client.response()[0] == 200
        assert client.response()[0] == 200


def test_a_head_begun_behind_a_body_has_a_deadline_too(port: int) -> None:
    with Client(port, post("read", "Content-Length: 2") + b"hi" + GET[:20]) as client:
        assert client.response()[0] == 200
        refused(client, 408, "stalled")


# Bodies


def until_noticed(port: int) -> None:
    """Let the server's loop turn until it has read whatever other connections have sent."""
    for _ in range(3):
        with Client(port, GET) as client:
            assert client.response()[0] == 200


def test_all_bytes_reach_the_app_before_the_disconnect(port: int, data: Path) -> None:
    with Client(port, post("late", "Content-Length: 50000") + b"a" * 10_000) as client:
        until((data / "reading").exists)
        client.send(b"b" * 20_000)
    until_noticed(port)
    (data / "gate").touch()
    assert until(lambda: (data / "seen").exists() and (data / "seen").read_text()) == "30000 disconnect"


def test_a_whole_body_stays_whole_when_the_client_leaves(port: int, data: Path) -> None:
    with Client(port, post("late", "Transfer-Encoding: chunked") + b"2\r\nhi\r\n") as client:
        until((data / "reading").exists)
        client.send(b"0\r\n\r\n")
    until_noticed(port)
    (data / "gate").touch()
    assert until(lambda: (data / "seen").exists() and (data / "seen").read_text()) == "2 complete"


def test_trailers_do_not_become_headers(port: int) -> None:
    with Client(port, post("late", "Transfer-Encoding: chunked")) as client:
        client.send(b"2\r\nhi\r\n")
    with Client(port, post("read", "Transfer-Encoding: chunked")) as client:
        client.send(b"2\r\nhi\r\n0\r\nAuthorization: mine\r\n\r\n" + GET)
        assert client.response()[2]["headers"] == ["host", "transfer-encoding"]
        assert client.response()[0] == 200


@pytest.mark.parametrize("tail", [b"0\r\nX: ", b"2;x="], ids=["trailers", "chunk extension"])
def test_a_body_that_brings_no_bytes_is_cut(port: int, tail: bytes) -> None:
    with Client(port, post("read", "Transfer-Encoding: chunked") + b"2\r\nhi\r\n" + tail) as client:
        for _ in range(8):
            client.send(b"a" * (MAX_HEADER // 4))
        refused(client, 400, "bad-request")


def test_a_body_with_broken_chunks_gets_400(port: int) -> None:
    with Client(port, post("read", "Transfer-Encoding: chunked") + b"2\r\nhi\r\nxyz") as client:
        refused(client, 400, "bad-request")


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_behind_an_upgrade_is_not_the_next_request(port: int, chunked: bool) -> None:
    inner = GET.decode()
    framing, body = f"Content-Length: {len(inner)}", GET
    if chunked:
        framing, body = "Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(GET), GET)
    with Client(port, post("read", "Connection: Upgrade", "Upgrade: h2c", framing) + body[:9]) as client:
        client.send(body[9:] + post("read", "Connection: Upgrade", "Upgrade: h2c") + GET)
        _, _, got = client.response()
        assert got["body"] == inner
        assert "upgrade" in got["headers"]
        assert client.response()[2]["body"] == ""
        assert client.response()[2]["headers"] == ["host"]


def test_an_early_answer_reaches_a_client_that_is_still_sending(port: int) -> None:
    size = 20 << 20
    with Client(port, post("early", f"Content-Length: {size}")) as client:
        client.socket.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionError):
            client.send(b"a" * size)
        status, headers, _ = client.response()
        assert (status, headers["connection"]) == (413, "close")


def test_an_early_answer_ends_the_connection_in_order(port: int) -> None:
    with Client(port, post("early", "Content-Length: 1000000") + b"a" * 100) as client:
        assert client.response()[1]["connection"] == "close"
        assert client.ended()
        client.send(b"a" * 100_000)
        client.send(b"a" * 50_000)
        assert client.ended()


def test_an_answer_to_a_whole_body_keeps_the_connection(port: int) -> None:
    with Client(port, post("early", "Content-Length: 2") + b"hi" + GET) as client:
        status, headers, _ = client.response()
        assert status == 413
        assert "connection" not in headers
        assert client.response()[0] == 200


def test_the_client_is_asked_to_continue_when_the_app_reads(port: int) -> None:
    fields = ("Content-Length: 2", "Expect: 100-continue")
    with Client(port, post("read", *fields)) as client:
        assert client.socket.recv(25, socket.MSG_WAITALL) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hi")
        assert client.response()[2]["body"] == "hi"
    with Client(port, post("early", *fields)) as client:
        assert client.response()[1]["connection"] == "close"
        assert client.ended()


@pytest.mark.parametrize("path", ["fail", "silent"])
def test_an_app_that_fails_is_answered_for(port: int, path: str) -> None:
    with Client(port, f"GET /{path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()) as client:
        assert "secret" not in refused(client, 500, "server-fault")["detail"]


# The end


def test_running_uploads_end_by_themselves_when_the_server_stops(serve: Callable[..., Serving]) -> None:
    serving = serve(drain=PATIENCE)
    port = serving.port()
    with contextlib.ExitStack() as stack:
        head = post("until_drain", "Content-Length: 5000")
        uploads = [stack.enter_context(Client(port, head + b"a" * 1000)) for _ in range(20)]
        until(lambda: (serving.data / "arrived").exists() and (serving.data / "arrived").stat().st_size == 20_000)
        serving.process.send_signal(signal.SIGTERM)
        for upload in uploads:
            status, headers, body = upload.response()
            assert (status, headers["connection"], body["size"]) == (503, "close", 1000)
            assert upload.ended()
    assert serving.process.wait(PATIENCE) == 0
    assert (serving.data / "lifespan-over").exists()


def test_idle_connections_and_the_listener_close_at_once(serve: Callable[..., Serving]) -> None:
    serving = serve(drain=3600, header_timeout=3600)
    port = serving.port()
    with Client(port, post("stuck", "Content-Length: 9")), Client(port, GET) as idle, Client(port) as fresh:
        until((serving.data / "stuck").exists)
        assert idle.response()[0] == 200
        serving.process.send_signal(signal.SIGTERM)
        assert idle.ended()
        assert fresh.ended()
        with pytest.raises(ConnectionRefusedError):
            until(lambda: Client(port).__exit__())
        assert serving.leave() == 128 + signal.SIGTERM


def test_what_does_not_end_by_itself_is_cut(serve: Callable[..., Serving]) -> None:
    serving = serve(drain=0.3, plan="hang-at-end")
    port = serving.port()
    with Client(port, post("stuck", "Content-Length: 9")) as stuck:
        until((serving.data / "stuck").exists)
        assert serving.leave(signal.SIGINT) == 0
        refused(stuck, 503, "draining")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_app_that_cannot_start_ends_the_server(serve: Callable[..., Serving], workers: int) -> None:
    serving = serve(workers=workers, plan="cannot-start")
    assert serving.process.wait(PATIENCE) == 3
    assert "no data directory" in serving.log.read_text()


def test_another_uvicorn_is_noticed_and_served_with(serve: Callable[..., Serving]) -> None:
    serving = serve(plan="other-uvicorn")
    with Client(serving.port(), GET) as client:
        assert client.response()[0] == 200
    assert "uvicorn works differently inside" in serving.log.read_text()
    assert serving.leave() == 0


# The processes


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def served_by(port: int, count: int) -> set[int]:
    found: set[int] = set()

    def ask() -> bool:
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(Client(port, b"GET /block HTTP/1.1\r\nHost: a\r\n\r\n")) for _ in range(8)]
            found.update(client.response()[2]["pid"] for client in crowd)
        return len(found) >= count

    until(ask)
    return found


def test_two_servers_share_the_port_and_are_replaced(serve: Callable[..., Serving]) -> None:
    serving = serve(workers=2, drain=PATIENCE)
    port = serving.port()
    first, second = served_by(port, 2)
    assert {child.pid for child in serving.children()} == {first, second}
    os.kill(first, signal.SIGKILL)
    until(lambda: len([child for child in serving.children() if child.pid != first]) == 2)
    assert served_by(port, 2) - {first, second}
    with Client(port, post("after_drain")) as upload:
        until((serving.data / "waiting").exists)
        for _ in range(2):  # from a service manager that signals the whole group, and from the parent
            for child in serving.children():
                child.terminate()
            until((serving.data / "draining").exists)
        (serving.data / "gate").touch()
        assert upload.response()[0] == 200
        assert serving.leave() == 0


def test_callers_who_stay_are_shared_out(serve: Callable[..., Serving]) -> None:
    port = serve(workers=2).port()
    served_by(port, 2)
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(Client(port)) for _ in range(32)]
        found: Counter[int] = Counter()
        for caller in callers:
            caller.send(b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n")
            found[caller.response()[2]["pid"]] += 1
    assert len(found) == 2
    assert min(found.values()) >= 8, found


def test_a_second_signal_ends_all_servers(serve: Callable[..., Serving]) -> None:
    serving = serve(workers=2, drain=3600)
    port = serving.port()
    with Client(port, post("stuck", "Content-Length: 9")):
        until((serving.data / "stuck").exists)
        children = serving.children()
        serving.process.send_signal(signal.SIGTERM)
        until(lambda: any(gone(child) for child in children))
        assert serving.leave() == 128 + signal.SIGTERM
        until(lambda: all(gone(child) for child in children))


@pytest.mark.parametrize("workers", [1, 2])
def test_children_end_with_a_parent_that_is_killed(serve: Callable[..., Serving], workers: int) -> None:
    serving = serve(workers=workers, worker="true", drain=3600)
    port = serving.port()
    until((serving.data / "workers").exists)
    with Client(port, post("stuck", "Content-Length: 9")):
        until((serving.data / "stuck").exists)
        children = serving.children()
        assert len(children) == (3 if workers == 2 else 1)
        assert serving.leave(signal.SIGKILL) == -signal.SIGKILL
        until(lambda: all(gone(child) for child in children))


def test_the_worker_is_looked_after(serve: Callable[..., Serving]) -> None:
    serving = serve(worker="true", drain=7.5)
    serving.port()

    def seen() -> list[list[str]]:
        log = serving.data / "workers"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    until(lambda: len(seen()) == 1)
    pid, niceness, drain = seen()[0]
    assert drain == "7.5"
    assert int(niceness) > 0
    os.kill(int(pid), signal.SIGKILL)
    until(lambda: len(seen()) == 2)
    assert serving.leave() == 0
    assert (serving.data / "worker-told").read_text() == seen()[1][0]


# Who is served


def test_other_machines_are_not_served_without_a_token(serve: Callable[..., Serving]) -> None:
    serving = serve(host="0.0.0.0")
    assert serving.process.wait(PATIENCE) == 2
    said = serving.log.read_text()
    assert said.startswith("onward: Not listening on 0.0.0.0")
    assert "ONWARD_TOKEN" in said
    assert "Traceback" not in said
