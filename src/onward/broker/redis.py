"""A queue in a Redis stream that loses no message while Redis keeps its data, and outlives Redis when it does not."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.exceptions import RedisError, ResponseError
from taskiq import AckableMessage, BrokerMessage
from taskiq.abc.broker import AsyncBroker
from taskiq.serializers import JSONSerializer
from taskiq_redis import RedisStreamBroker

from onward.broker.delivery import (
    Admitted,
    Held,
    Outage,
    Outcome,
    admit,
    failure,
    interrupted,
    leave_if_cancelled,
    retry_delay,
)

log = logging.getLogger("onward.queue")

_KEEP_PARKED: Final = 1000
_KEEP_CONSUMER: Final = 3_600_000  # ms without a sign of life

# The entry of a message is remembered under its id until somebody takes it, so that kicking it
# again adds nothing. Whatever else lies under these keys only costs that saving (`pcall`).
_KICK: Final = """
local known = redis.pcall('HGET', KEYS[2], ARGV[1])
if type(known) == 'string' then
  local there = redis.pcall('XRANGE', KEYS[1], known, known)
  if not there.err and #there > 0 then return known end
end
local id = redis.call('XADD', KEYS[1], '*', 'data', ARGV[2])
redis.pcall('HSET', KEYS[2], ARGV[1], id)
return id
"""

# Deleting a consumer drops what it was given and never acknowledged: only without such entries.
_LEAVE: Final = """
local left = 0
for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local name, pending, idle = c[2], c[4], c[6]
  if pending == 0 and (name == ARGV[2] or idle > tonumber(ARGV[3])) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name)
    left = left + 1
  end
end
return left
"""

_TROUBLE: Final = (RedisError, OSError, TimeoutError)


class _Entry(NamedTuple):
    id: str
    data: bytes | None
    tries: int


def exposed(url: str) -> bool:
    """True if ``url`` speaks to a Redis on another host in the clear and without a password."""
    parts = parse_url(url)
    if parts.get("password") or "path" in parts or not url.startswith("redis://"):
        return False
    host = str(parts.get("host") or "localhost")
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


class DurableStreamBroker(RedisStreamBroker):
    """A Taskiq broker on a Redis stream: every message is delivered until one execution succeeds.

    What a worker executes it keeps claimed; when it dies, another takes its messages after
    ``idle`` seconds, also when nothing else happens. The Taskiq id is the key: kicked again
    while it waits, a message is still executed once. A failed execution is repeated after
    ``retry_first`` seconds, doubling up to ``idle``; foreign entries and messages tried more than
    ``max_tries`` times are parked in ``{queue_name}:parked``. What is acknowledged is deleted.

    While Redis is away or has lost everything, ``kick`` raises within ``timeout`` seconds and
    ``listen`` keeps trying; running tasks are not disturbed.
    """

    def __init__(
        self,
        url: str,
        *,
        queue_name: str = "onward:jobs",
        idle: float = 30.0,
        block: float = 1.0,
        at_once: int = 2,
        max_tries: int = 20,
        retry_first: float = 1.0,
        timeout: float = 1.5,
        consumer_name: str | None = None,
    ) -> None:
        super().__init__(
            url,
            queue_name=queue_name,
            consumer_group_name="onward",
            consumer_name=consumer_name or uuid4().hex,
            consumer_id="0",  # what was queued before the group existed counts
            xread_block=int(block * 1000),
            xread_count=1,
            idle_timeout=int(idle * 1000),
            max_connection_pool_size=64,
            timeout=timeout,
            socket_connect_timeout=timeout,
            socket_timeout=block + 4.0,  # beyond the longest command, which is the blocking read
            protocol=2,
            driver_info=None,  # naming the library looks up its version on disk, on each connection
        )
        self.serializer = JSONSerializer()
        self.add_middlewares(Outcome())
        self._known = f"{queue_name}:known"
        self._parked = f"{queue_name}:parked"
        self._timeout = timeout
        self._max_tries = max_tries
        self._retry_first = retry_first
        self._held = Held[str](at_once)
        self._outage = Outage(log)
        self._redis: Redis = Redis(connection_pool=self.connection_pool)
        self._beating: asyncio.Task[None] | None = None
        self._claim_at = 0.0
        self._cursor = "0-0"

    # -- for whoever queues ---------------------------------------------------------------------

    async def startup(self) -> None:
        """Needs no Redis yet: the group is made when it turns out to be missing."""
        await AsyncBroker.startup(self)

    async def kick(self, message: BrokerMessage) -> None:
        """Queue a message. Raises ``RedisError``, ``OSError`` or ``TimeoutError`` within the time-out."""
        async with asyncio.timeout(self._timeout):
            await self._eval(_KICK, (self.queue_name, self._known), message.task_id, message.message)

    async def ping(self) -> None:
        """Raises ``RedisError``, ``OSError`` or ``TimeoutError`` if Redis does not answer."""
        async with asyncio.timeout(self._timeout):
            answering: Any = self._redis.ping()
            await answering

    async def shutdown(self) -> None:
        """Hand over what was given to this consumer and is not executed, and disconnect."""
        await AsyncBroker.shutdown(self)
        await self._held.empty(1.0)
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
            self._beating = None
            try:
                async with asyncio.timeout(self._timeout):
                    await self._leave()
            except _TROUBLE as error:
                log.info("left without handing over; others will take it after the idle time: %s", error)
        await self.connection_pool.disconnect()

    # -- for the worker -------------------------------------------------------------------------

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Yield messages as they come. Never raises because of Redis: it keeps trying."""
        if self._beating is None:
            self._beating = asyncio.create_task(self._keep_claims())
        while True:
            leave_if_cancelled()
            await self._held.room()
            try:
                entry = await self._next()
                self._outage.over()
                message = None if entry is None else await self._admitted(entry)
            except _TROUBLE as error:
                await self._recover(error)
                continue
            if entry is not None and message is not None:
                self._held.add(entry.id)
                yield message

    async def _recover(self, error: BaseException) -> None:
        if isinstance(error, ResponseError) and str(error).startswith("NOGROUP"):
            try:
                await self._redis.xgroup_create(self.queue_name, self.consumer_group_name, id="0", mkstream=True)
            except _TROUBLE as second:
                error = second
            else:
                return
        if not str(error).startswith("BUSYGROUP"):  # another worker was faster
            await asyncio.sleep(self._outage.failed(error))

    async def _next(self) -> _Entry | None:
        if time.monotonic() >= self._claim_at:
            return await self._claim()
        streams: Any = {self.queue_name: ">"}
        fetched: Any = await self._redis.xreadgroup(
            self.consumer_group_name, self.consumer_name, streams, count=self.count, block=self.block
        )
        for _, entries in fetched or ():
            for name, fields in entries:
                return _Entry(_text(name), _data(fields), 1)
        return None

    async def _claim(self) -> _Entry | None:
        """Take over one message whose worker has shown no sign of life, or look again later."""
        reply: Any = await self._redis.xautoclaim(
            self.queue_name, self.consumer_group_name, self.consumer_name, self.idle_timeout, self._cursor, count=1
        )
        self._cursor = _text(reply[0])
        if self._cursor == "0-0":
            self._claim_at = time.monotonic() + min(self.idle_timeout / 4000, 5.0)
        for claimed, fields in reply[1]:
            name = _text(claimed)
            if name in self._held:  # this process was stopped for longer than the idle time, and goes on
                return None
            pending: Any = await self._redis.xpending_range(
                self.queue_name, self.consumer_group_name, min=name, max=name, count=1
            )
            return _Entry(name, _data(fields), int(pending[0]["times_delivered"]) if pending else 1)
        return None

    async def _admitted(self, entry: _Entry) -> AckableMessage | None:
        admitted = admit(self, entry.data, tries=entry.tries, max_tries=self._max_tries)
        if not isinstance(admitted, Admitted):
            log.error("entry %s parked: it %s: %.100r", entry.id, admitted.reason, entry.data)
            await self._park(entry, admitted.reason)
            return None
        # From here on the message may be queued once more: something may have changed since.
        pipe = self._redis.pipeline(transaction=False)
        pipe.hdel(self._known, admitted.key)
        await pipe.execute(raise_on_error=False)
        return AckableMessage(data=admitted.data, ack=partial(self._acknowledge, entry))

    async def _park(self, entry: _Entry, reason: str) -> None:
        pipe = self._redis.pipeline(transaction=False)
        fields: Any = {"id": entry.id, "reason": reason, "data": (entry.data or b"")[:1024]}
        pipe.xadd(self._parked, fields, maxlen=_KEEP_PARKED, approximate=True)
        pipe.xack(self.queue_name, self.consumer_group_name, entry.id)
        pipe.xdel(self.queue_name, entry.id)
        for result in await pipe.execute(raise_on_error=False):
            if isinstance(result, Exception):
                log.warning("parking entry %s: %s", entry.id, result)

    async def _acknowledge(self, entry: _Entry) -> None:
        error = failure()
        try:
            async with asyncio.timeout(self._timeout):
                if error is None:
                    pipe = self._redis.pipeline(transaction=True)
                    pipe.xack(self.queue_name, self.consumer_group_name, entry.id)
                    pipe.xdel(self.queue_name, entry.id)
                    await pipe.execute()
                elif interrupted(error):
                    await self._touch((entry.id,), idle=self.idle_timeout, tries=entry.tries - 1)
                else:
                    delay = retry_delay(entry.tries, self._retry_first, self.idle_timeout / 1000)
                    await self._touch((entry.id,), idle=self.idle_timeout - int(delay * 1000))
        except _TROUBLE as trouble:
            log.warning("message %s was executed but not settled, it may come again: %s", entry.id, trouble)
        finally:
            self._held.drop(entry.id)

    async def _touch(self, ids: tuple[str, ...], *, idle: int, tries: int | None = None) -> None:
        """Say that messages of ours have been without a sign of life for ``idle`` ms; 0 is the sign itself."""
        claimed: Any = list(ids)
        await self._redis.xclaim(
            self.queue_name,
            self.consumer_group_name,
            self.consumer_name,
            0,
            claimed,
            idle=idle,
            retrycount=tries,
            justid=True,
        )

    async def _keep_claims(self) -> None:
        while True:
            leave_if_cancelled()
            await asyncio.sleep(self.idle_timeout / 3000)
            held = tuple(self._held)
            if not held:
                continue
            try:
                await self._touch(held, idle=0)
            except _TROUBLE as error:
                log.debug("claims not renewed: %s", error)  # `listen` reports the outage

    async def _leave(self) -> None:
        given: Any = await self._redis.xpending_range(
            self.queue_name, self.consumer_group_name, "-", "+", 100, consumername=self.consumer_name
        )
        ids = tuple(_text(each["message_id"]) for each in given)
        unheld = tuple(each for each in ids if each not in self._held)
        if unheld:
            await self._touch(unheld, idle=self.idle_timeout)
        await self._eval(_LEAVE, (self.queue_name,), self.consumer_group_name, self.consumer_name, _KEEP_CONSUMER)

    async def _eval(self, script: str, keys: tuple[str, ...], *args: str | bytes | int) -> None:
        running: Any = self._redis.eval(script, len(keys), *keys, *args)
        await running


def _text(value: bytes | str) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else value


def _data(fields: object) -> bytes | None:
    value = fields.get(b"data") if isinstance(fields, dict) else None
    return value if isinstance(value, bytes) else None
