"""Two server processes and one worker on one data directory: one truth, one merge."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.integration.real_server import RealServer
from tests.process.client import PATIENCE, Answer, Client, Half, History, Source, check, check_file
from tests.process.processes import until, worker_logs, workers

CHUNK = 128 << 10


Pair = tuple[RealServer, RealServer]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    data = tmp_path_factory.mktemp("two") / "data"
    # A body may rest for longer than these tests last: whatever ends one, it is not the wait.
    servers = [RealServer(data, worker=False, body_idle=600) for _ in range(2)]
    try:
        for server in servers:
            server.start()
        with workers(data, 1, sweep_every=1):
            yield servers[0], servers[1]
    finally:
        for server in servers:
            server.kill_all()


@pytest.mark.parametrize("flat", [True, False])
def test_chunks_alternate_and_fifty_completes_make_one_file(pair: Pair, flat: bool) -> None:
    history = History()
    one, other = pair
    clients = [Client(one.port, history), Client(other.port, history)]
    source = Source(f"shared-{flat}.bin", 40 * CHUNK - 5, chunk=CHUNK, flat=flat)
    numbers = list(range(1, len(source.chunks) + 1))
    random.Random(7).shuffle(numbers)
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(clients[n % 2].send, source, [n]) for n in numbers]
        for done in sent:
            done.result()
    assert history.refused == []
    for server in (one, other):
        check(server, history)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda n: clients[n % 2].complete(source), range(50)))
    assert {answer.status for answer in answers} <= {200, 202}
    assert len({answer.body["id"] for answer in answers}) == 1
    for client in clients:
        client.deliver(source)
    check_file(one, source)
    assert [path.name for path in (one.data / "files").glob("**/*shared*") if str(flat) in path.name] == [source.name]
    assert worker_logs(one.data).count(f"{answers[0].body['id']} as ") == 1


def _insist(client: Client, source: Source, number: int, together: threading.Barrier) -> Answer:
    together.wait()
    deadline = time.monotonic() + PATIENCE
    while (answer := client.chunk(source, number)).status not in {200, 201, 409}:
        assert answer.status == 423, answer  # the other one came in between: ask again
        assert time.monotonic() < deadline
        time.sleep(0.01 * random.random())
    return answer


@pytest.mark.parametrize("flat", [True, False])
def test_one_place_and_other_bytes_at_the_same_time(pair: Pair, flat: bool) -> None:
    rounds = 12
    with ThreadPoolExecutor(2) as pool:
        rivals = [Source(f"{word}.bin", rounds * CHUNK, chunk=CHUNK, flat=flat) for word in ("left", "right")]
        for rival in rivals:
            rival.name = f"contested-{flat}.bin"
        clients = [Client(server.port, History()) for server in pair]
        whole = b""
        for number in range(1, rounds + 1):
            together = threading.Barrier(2)
            asked = [pool.submit(_insist, clients[n], rivals[n], number, together) for n in range(2)]
            statuses = [answer.result().status for answer in asked]
            assert sorted(statuses) in ([200, 409], [201, 409]), statuses
            whole += rivals[statuses.index(409) ^ 1].chunks[number - 1]
        shown = clients[0].manifest(rivals[0]).body["chunks"]
        wanted = [hashlib.sha256(whole[at : at + CHUNK]).hexdigest() for at in range(0, len(whole), CHUNK)]
        assert [chunk["sha256"] for chunk in shown] == wanted
        sealed = clients[1].ask(
            "POST",
            "/upload/complete",
            f'{{"file_unique_name": "{rivals[0].name}", "total_chunks": {rounds}}}'.encode(),
            {"Content-Type": "application/json"},
        )
        assert sealed.status == 202
        file = pair[0].file(rivals[0].name)
        until(file.exists, "nothing is published")
        assert file.read_bytes() == whole


def test_one_of_two_servers_is_killed(pair: Pair) -> None:
    history = History()
    one, other = pair
    with ThreadPoolExecutor(4) as pool:
        client = Client(one.port, history)
        sources = [Source(f"moving-{n}.bin", 30 * CHUNK, chunk=CHUNK, flat=n % 2 == 0) for n in range(4)]
        sending = [pool.submit(client.deliver, source) for source in sources]
        until(lambda: sum(map(len, history.stored.values())) >= 20, "nothing is stored")
        one.kill()
        client.port = other.port
        check(other, history)
        for sent in sending:
            sent.result()
        one.start()
        for server in (one, other):
            check(server, history)
        for source in sources:
            check_file(one, source)


@pytest.mark.parametrize("flat", [True, False])
def test_a_delete_on_one_cuts_the_writer_on_the_other(pair: Pair, flat: bool) -> None:
    history = History()
    one, other = pair
    client = Client(one.port, history)
    source = Source(f"gone-{flat}.bin", 4 << 20, chunk=2 << 20, flat=flat)
    assert client.chunk(source, 1).status == 201
    upload = client.manifest(source).body["id"]
    home = one.data / "uploads" / upload[:2] / upload
    half = Half(other.port, "POST", f"/upload/{source.name}-2", 2 << 20, source.headers)
    half.send(source.chunks[1][: 1 << 20])
    writer = psutil.Process(other.process.pid)
    until(lambda: any(upload in opened.path for opened in writer.open_files()), "nobody writes")
    began = time.monotonic()
    assert client.ask("DELETE", f"/upload/{source.name}").status == 204
    answer = half.answer()
    assert answer.status in {0, 409, 410, 423}, answer
    assert half.has_ended()
    print(f"the other writer was gone after {time.monotonic() - began:.2f} s")
    half.close()
    until(lambda: not home.exists() and not list((one.data / "trash").iterdir()), "bytes are left behind")
    assert not any(upload in opened.path for opened in writer.open_files())
    assert client.manifest(source).body["state"] == "cancelled"
    late = client.ask("POST", f"/upload/{source.name}-2", source.chunks[1], source.headers)
    assert late.status == 409
