"""Clients that go on sending while one disaster after the other befalls the server."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.integration.real_server import RealServer
from tests.process.client import Client, History, Source, await_moment, check, check_file

MOMENTS = ("chunk", "complete", "merge")


def survive(
    server: RealServer,
    disaster: Callable[[], object],
    draw: random.Random,
    times: int,
    *,
    clients: int,
    source: Callable[[int, int], Source],
) -> None:
    """Send the ``source`` of each client and turn, file after file, and start the server after each ``disaster``.

    Nothing that was acknowledged may be lost, and in the end every file is there, byte for byte.
    """
    history = History()
    client = Client(server.port, history)

    def keep_sending(number: int) -> None:
        turn = 0
        while not client.enough.is_set():
            client.deliver(source(number, turn), wait=False)
            turn += 1

    with ThreadPoolExecutor(clients) as pool:
        sending = [pool.submit(keep_sending, number) for number in range(clients)]
        try:
            for turn in range(times):
                await_moment(history, MOMENTS[turn % len(MOMENTS)], sending)
                time.sleep(draw.choice([0, 0.003, 0.03, 0.3]) * draw.random())
                disaster()
                server.start()
                check(server, history, latest=4 * clients)
        finally:
            client.enough.set()
        for sent in sending:
            sent.result()
    client.enough.clear()
    for one in history.sources.values():
        client.deliver(one)
        check_file(server, one)
    check(server, history)
    print(f"{len(history.sources)} files, {history.unknown} requests without an answer, {times} disasters")
    assert history.done == set(history.sources)
    assert len(history.sources) >= clients
