"""Server-sent events of the real server: whole lives in order, also over a SIGKILL and from several processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from onward.app import create_app
from onward.config import Settings
from onward.web.event_shapes import DATA
from tests.integration.real_server import PATIENCE, RealServer, real_server
from tests.integration.serving import ROOT, until
from tests.integration.sse_client import Event, Stream

NAMED = ("created", "sealed", "published", "failed", "removed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tmp_path_factory.mktemp("sse") / "data") as server:
        yield server


def client_of(server: RealServer) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=PATIENCE)


def store(client: httpx.Client, name: str, number: int, data: bytes, **headers: str) -> str:
    answer = client.post(f"/upload/{name}-{number}", content=data, headers=headers)
    assert answer.status_code in {200, 201}, answer.text
    return str(answer.json()["id"])


def seal(client: httpx.Client, name: str) -> None:
    assert client.post("/upload/complete", json={"file_unique_name": name}).status_code == 202


def of(events: Sequence[Event], id: str) -> list[str]:
    """What was said of one upload, by name, progress left out."""
    return [event.name for event in events if event.name in NAMED and event.data["id"] == id]


def check_order(events: Sequence[Event]) -> None:
    ids = [event.seq for event in events]
    assert ids == sorted(ids)
    named = [event.seq for event in events if event.name in NAMED]
    assert len(named) == len(set(named))


def check_shapes(events: Sequence[Event]) -> None:
    """Every event looks as the description says."""
    schemas = create_app(Settings()).openapi_schema.to_schema()["components"]["schemas"]
    for event in events:
        whole = {"components": {"schemas": schemas}, **DATA[event.name]}
        jsonschema_rs.validate(whole, event.data)


def test_a_life_is_told_in_order(server: RealServer) -> None:
    with client_of(server) as client, Stream(f"{server.url}/events") as everything:
        everything.wait_for("state")
        id = store(client, "film", 1, b"a" * 1000)
        with Stream(f"{server.url}/uploads/{id}/events") as one:
            one.wait_for("state")
            store(client, "film", 2, b"b" * 1000)
            told = one.wait_for("progress").data
            assert told == {"id": id, "received": 2000, "length": None, "offset": 2000, "map": "99"}
            seal(client, "film")
            published = one.wait_for("published")
            until(lambda: one.over)
            assert one.whole
        cancelled = store(client, "other", 1, b"c")
        assert client.delete("/upload/other").status_code == 204
        everything.wait_for("removed")
        assert published.data["size"] == 2000
        assert client.get(f"/files/{id}/content").headers["etag"] == f'"{published.data["sha256"]}"'
        assert of(one.events, id) == ["sealed", "published"]
        assert of(everything.events, id) == ["created", "sealed", "published"]
        assert of(everything.events, cancelled) == ["created", "removed"]
        for stream in (one, everything):
            check_order(stream.events)
            check_shapes(stream.events)


def test_listeners_that_leave_leave_nothing_behind(server: RealServer) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))

    with Stream(f"{server.url}/events") as stream:
        stream.wait_for("state")
    before = until(descriptors)
    for _ in range(8):
        with Stream(f"{server.url}/events") as stream:
            stream.wait_for("state")
    deadline = time.monotonic() + PATIENCE
    while descriptors() > before + 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_is_lost_or_doubled_over_a_killed_server(server: RealServer) -> None:
    heard: list[Event] = []
    with client_of(server) as client:
        with Stream(f"{server.url}/events") as first:
            first.wait_for("state")
            a, b = store(client, "a", 1, b"a"), store(client, "b", 1, b"b")
            seal(client, "a")
            first.wait_for("sealed")
            server.kill_all()
            until(lambda: first.over)
            assert not first.whole
            heard += first.events
        server.start()
        # Nobody listens while this happens.
        seal(client, "b")
        c = store(client, "c", 1, b"c")
        until(lambda: client.get(f"/uploads/{b}").json()["state"] == "done")
        with Stream(f"{server.url}/events", last=heard[-1].seq) as second:
            second.wait_for("caught-up")
            seal(client, "c")
            until(lambda: of(heard + second.events, c)[-1:] == ["published"])
            until(lambda: "published" in of(heard + second.events, a))
            heard += second.events
    for id in (a, b, c):
        assert of(heard, id) == ["created", "sealed", "published"]
    check_order(heard)
    check_shapes(heard)


def test_several_processes_tell_the_same(tmp_path: Path) -> None:
    with real_server(tmp_path / "data", workers=2) as server, client_of(server) as client:
        streams = [Stream(f"{server.url}/events") for _ in range(6)]
        try:
            for stream in streams:
                stream.__enter__().wait_for("state")
            ids = []
            for number in range(6):
                with client_of(server) as another:  # a connection each, so that both processes are met
                    ids.append(store(another, f"f{number}", 1, b"x" * 100))
                    seal(another, f"f{number}")
            for stream in streams:
                stream.wait_for("published", len(ids))
        finally:
            for stream in streams:
                stream.__exit__(None, None, None)
        for stream in streams:
            check_order(stream.events)
            for id in ids:
                assert of(stream.events, id) == ["created", "sealed", "published"]
        assert len(server_pids(server)) == 2
        assert client.get("/health").status_code == 200


def server_pids(server: RealServer) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # gone meanwhile
        if parent == server.process.pid and b"onward.server.child" in words:
            found.add(int(path.name))
    return found


def test_how_far_the_worker_is_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'src'}")
    size = 8 << 20
    with (
        real_server(tmp_path / "data", hooks="tests.integration.slow_hooks:Slow") as server,
        client_of(server) as client,
        Stream(f"{server.url}/events") as everything,
    ):
        everything.wait_for("state")
        id = store(client, "film", 1, b"a" * size)
        store(client, "film", 2, b"b" * size)
        seal(client, "film")
        seen = everything.wait_for("verifying")
        status = client.get(f"/uploads/{id}").json()
        with Stream(f"{server.url}/uploads/{id}/events") as late:
            snapshot = late.wait_for("state").data
        until(lambda: any(one.name == "verifying" and one.data["phase"] == "verifying" for one in everything.events))
        (tmp_path / "publish").touch()
        everything.wait_for("published")
    work = [event.data for event in everything.events if event.name == "verifying"]
    assert seen.data["id"] == id
    assert all(0 <= one["done"] <= one["total"] == 2 * size for one in work)
    assert work[-1]["phase"] == "verifying"
    assert status["progress"]["total"] == snapshot["progress"]["total"] == 2 * size
    assert status["state"] in {"assembling", "verifying"}
    check_order(everything.events)
    check_shapes([*everything.events, *late.events])


def test_strangers_hear_nothing(tmp_path: Path) -> None:
    with real_server(tmp_path / "data", token="s3cret") as server:
        url = f"{server.url}/events"
        for headers in ({}, {"Authorization": "Bearer no"}, {"Last-Event-ID": "0"}):
            answer = httpx.get(url, headers=headers, timeout=PATIENCE)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        with Stream(url, headers={"Authorization": "Bearer s3cret"}) as stream:
            assert stream.status == 200


def test_a_server_that_stops_ends_its_streams_at_once(tmp_path: Path) -> None:
    with (
        real_server(tmp_path / "data", drain=3600.0) as server,
        client_of(server) as client,
        Stream(f"{server.url}/events") as everything,
    ):
        everything.wait_for("state")
        id = store(client, "film", 1, b"a")
        with Stream(f"{server.url}/uploads/{id}/events") as one:
            one.wait_for("state")
            assert server.stop() == 0  # an hour before the end of the drain
            until(lambda: one.over and everything.over)
        assert one.whole
        assert everything.whole


def shape(name: str, data: Any) -> None:
    check_shapes([Event(1, name, data)])


def test_shapes_tell_wrong_from_right() -> None:
    shape("removed", {"id": "x", "at": 1.0, "state": "expired"})
    with pytest.raises(jsonschema_rs.ValidationError):
        shape("removed", {"id": "x", "at": 1.0, "state": "gone"})
