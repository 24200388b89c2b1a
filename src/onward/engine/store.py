"""Storing one body: admitted, written, made durable, accepted, recorded. In that order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

import anyio
import anyio.to_thread

from onward.core.admission import accept, admit, check_size, over_limit, part_conflict
from onward.core.digest import SHA256, Hasher
from onward.core.outcome import Outcome
from onward.core.types import (
    Admission,
    Append,
    Buffer,
    Completes,
    Declaration,
    Digest,
    Event,
    Failed,
    Layout,
    Limits,
    Overrun,
    Run,
    Sealed,
    State,
    Store,
    Stored,
    UploadId,
)
from onward.core.upload import Upload
from onward.engine.intake import Body, Intake
from onward.engine.ledger import Ledger
from onward.engine.live import LiveHashers
from onward.engine.rules import Rules
from onward.errors import (
    AlreadyComplete,
    BadBody,
    BodyIncomplete,
    ClientGone,
    DigestMismatch,
    Draining,
    Locked,
    OnwardError,
    Revoked,
)
from onward.ports import SEQUENCE, Lease, Locks, Span, Storage

Told = Callable[[Upload], Awaitable[None]]
"""Hears how an upload stands while its body is still coming."""

MIB = 1 << 20
TRIES = 5
"""How often a place may move (a layout gets fixed, a length declared) while a request waits for it."""


class Storing:
    """Carries out ``Store`` for the engine."""

    def __init__(self, *, storage: Storage, ledger: Ledger, locks: Locks, limits: Limits, rules: Rules) -> None:
        self._storage = storage
        self._ledger = ledger
        self._locks = locks
        self._limits = limits
        self._rules = rules
        self._hashing = anyio.CapacityLimiter(4)
        self._running: set[Intake] = set()
        self._drained = False
        self._live = LiveHashers()

    def drain(self) -> None:
        """End every body that is being read; what it brought and may be kept is recorded first."""
        self._drained = True
        for intake in list(self._running):
            intake.stop(Draining(retry_after=1))

    def rehearse(self, cmd: Store) -> None:
        """Raises what an upload that begins with this command would be refused for."""
        admit(Upload(UploadId("")), cmd, self._limits)

    async def store(self, upload: Upload, cmd: Store, body: Body, told: Told | None = None) -> Outcome:
        """Keep the body at its place. Raises what the decisions raise; nothing recorded is ever lost.

        ``told`` hears of the upload whenever more of a body by offset was recorded.
        """
        if isinstance(cmd.at, Append):
            await self.take_over(upload)
        for _ in range(TRIES):
            grant = admit(upload, cmd, self._limits)
            if grant.replay_of is not None:
                return await self._show_again(upload, cmd, grant, grant.replay_of, body)
            span = _span(grant, cmd)
            async with self._holding(upload, cmd, span) as leases:
                await self._ledger.refresh(upload)
                grant = admit(upload, cmd, self._limits)
                if grant.replay_of is not None or _span(grant, cmd) != span:
                    continue
                return await self._take(upload, cmd, grant, body, leases, told)
        raise Locked("the upload changes faster than this request can follow", retry_after=1)

    async def take_new(self, upload: Upload, cmd: Store, body: Body) -> tuple[list[Event], bytes]:
        """Read the whole of a small upload that nobody else knows of: what is to be recorded, and its bytes.

        Raises as ``store``.
        """
        grant = admit(upload, cmd, self._limits)
        async with self._reading(body) as intake:
            data = await intake.whole(_most(grant, cmd))
            hasher = Hasher((SHA256, *(d.algorithm for d in cmd.digests)))
            hasher.update(data)
            digests = hasher.digests()
            await self._check_whole(grant, cmd, intake, digests)
        run = Run(key=grant.start, size=len(data), digest=digests[SHA256])
        events = accept(upload, cmd, [run], self._limits, size=run.size, ended=True, digests=digests)
        _raise_if_failed(events, upload)
        return events, data

    async def take_over(self, upload: Upload) -> None:
        """Have a running sequential writer save what it has and leave; then bring the upload up to date."""
        if upload.state is State.OPEN:
            async with self._locks.hold(upload.id, SEQUENCE, timeout=self._rules.lock_wait, revoke=True):
                await self._ledger.refresh(upload)

    @asynccontextmanager
    async def _holding(self, upload: Upload, cmd: Store, span: Span) -> AsyncIterator[list[Lease]]:
        wait = self._rules.lock_wait
        if not isinstance(cmd.at, Append):
            async with self._locks.hold(upload.id, span, timeout=wait, revoke=True) as lease:
                yield [lease]
            return
        # One sequential writer at a time, the newest; chunk writers on its way are waited for.
        async with (
            self._locks.hold(upload.id, SEQUENCE, timeout=wait, revoke=True) as sequence,
            self._locks.hold(upload.id, span, timeout=wait) as lease,
        ):
            yield [sequence, lease]

    async def _take(
        self, upload: Upload, cmd: Store, grant: Admission, body: Body, leases: Sequence[Lease], told: Told | None
    ) -> Outcome:
        async with self._reading(body, leases) as intake:
            if grant.layout is Layout.NUMBERED:
                run, digests = await self._write(
                    upload, grant, intake, (grant.start, grant.start + _most(grant, cmd)), cmd.digests
                )
                await self._check_whole(grant, cmd, intake, digests)
                return await self._record(upload, cmd, [run], intake.taken)
            if grant.whole:
                return await self._take_whole(upload, cmd, grant, intake)
            return await self._take_segments(upload, cmd, grant, intake, told)

    @asynccontextmanager
    async def _reading(self, body: Body, leases: Sequence[Lease] = ()) -> AsyncIterator[Intake]:
        intake = Intake(body, idle=self._rules.body_idle)
        if self._drained:
            raise Draining(retry_after=1)
        self._running.add(intake)
        try:
            if not leases:
                yield intake
                return
            async with anyio.create_task_group() as watch:
                for lease in leases:
                    watch.start_soon(intake.stop_when, lease.revoked)
                yield intake
                watch.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            # One writer, one reason: the watcher raises nothing, so the group holds one exception.
            raise _only(group) from None
        finally:
            self._running.discard(intake)

    # -- a chunk: all or nothing --------------------------------------------------------------------

    async def _take_whole(self, upload: Upload, cmd: Store, grant: Admission, intake: Intake) -> Outcome:
        pieces = list(_pieces(upload, grant.start, grant.start + _most(grant, cmd)))
        if any(recorded for recorded, _, _ in pieces):
            intake.tap = Hasher((SHA256, *(d.algorithm for d in cmd.digests)))
        runs: list[Run] = []
        digests: Mapping[str, Digest] = {}
        for recorded, start, end in pieces:
            if recorded:
                await self._compare(upload, intake, start, end - start)
            else:
                run, digests = await self._write(upload, grant, intake, (start, end), cmd.digests)
                if run.size or start == grant.start:
                    runs.append(run)
            if intake.ended:
                break
        computed = digests if intake.tap is None else intake.tap.digests()
        await self._check_whole(grant, cmd, intake, computed)
        return await self._record(upload, cmd, runs, intake.taken, ended=True)

    async def _check_whole(self, grant: Admission, cmd: Store, intake: Intake, computed: Mapping[str, Digest]) -> None:
        if not await intake.at_end():
            raise _too_long(grant, cmd)
        _refuse_lie(cmd, intake)
        check_size(grant, intake.taken)
        _check_digests(cmd.digests, computed)
        if grant.expected is not None:
            _check_digests((Digest(SHA256, grant.expected),), computed)

    async def _write(
        self,
        upload: Upload,
        grant: Admission,
        intake: Intake,
        span: Span,
        wanted: Sequence[Digest],
    ) -> tuple[Run, Mapping[str, Digest]]:
        algorithms = tuple(dict.fromkeys((SHA256, *(d.algorithm for d in wanted))))
        written = await self._storage.write(
            upload.id,
            grant.layout,
            span[0],
            intake.run(span[1] - span[0]),
            algorithms=algorithms,
            durable=self._must_last(upload),
        )
        run = Run(key=span[0], size=written.size, digest=written.digests[SHA256], token=written.token)
        return run, written.digests

    def _must_last(self, upload: Upload) -> bool:
        # Bytes that mend a damaged upload seal it again, so they are as durable as a seal.
        return self._rules.durable_parts or (self._rules.durable_seal and upload.seal_in_mind is not None)

    async def _record(
        self,
        upload: Upload,
        cmd: Store,
        runs: Sequence[Run],
        size: int,
        *,
        ended: bool = False,
        digests: Mapping[str, Digest] | None = None,
    ) -> Outcome:
        def decide(newest: Upload) -> list[Event]:
            return accept(newest, cmd, runs, self._limits, size=size, ended=ended, digests=digests)

        if ended or cmd.ends or upload.policy.completes is Completes.WHEN_FULL:
            await self._settle_before_seal(upload, decide)
        events = await self._ledger.record(upload, decide)
        _raise_if_failed(events, upload)
        fresh = any(isinstance(event, Stored | Sealed) for event in events)
        part = upload.stored.get(runs[0].key) if len(runs) == 1 and runs[0].size == size else None
        return Outcome(upload=upload, part=part, size=size, fresh=fresh)

    async def _settle_before_seal(self, upload: Upload, decide: Callable[[Upload], list[Event]]) -> None:
        """At the middle level of durability the bytes are synced once, before the seal that vouches for them."""
        if self._rules.durable_parts or not self._rules.durable_seal:
            return
        if any(isinstance(event, Sealed) for event in decide(upload)):
            await self._storage.sync(upload.id)

    # -- a run by offset: its prefix counts -----------------------------------------------------------

    async def _take_segments(
        self, upload: Upload, cmd: Store, grant: Admission, intake: Intake, told: Told | None
    ) -> Outcome:
        at, end = grant.start, grant.start + _most(grant, cmd)
        fresh, part, fault = False, None, None
        intake.tap = live = self._live.resume(upload, cmd, grant.start)
        while fault is None:
            try:
                if await intake.at_end():
                    break
            except OnwardError as error:
                fault = error
                break
            if at >= end:
                raise await self._overrun(upload, grant, cmd)
            recorded, start, stop = next(_pieces(upload, at, end))
            if recorded:
                # What meets recorded bytes is compared; a cut comparison has proved nothing.
                at += await self._compare(upload, intake, start, min(stop - start, self._rules.segment))
                continue
            most = min(stop - start, self._rules.segment)
            blocks = intake.segment(most, age=self._rules.segment_age, silence=self._rules.segment_silence)
            written = await self._storage.write(
                upload.id, grant.layout, at, blocks, algorithms=(SHA256,), durable=self._must_last(upload)
            )
            fault = intake.fault
            if written.size:
                run = Run(key=at, size=written.size, digest=written.digests[SHA256], token=written.token)
                ended = intake.ended and fault is None and not _is_lie(cmd, intake)
                digests = live.digests() if live is not None else None
                outcome = await self._record(upload, cmd, [run], intake.taken, ended=ended, digests=digests)
                fresh, part = fresh or outcome.fresh, outcome.part
                at += written.size
                if told is not None and fault is None:
                    await told(upload)
        if live is not None:
            self._live.keep(upload, live, at)
        if fault is not None:
            if not isinstance(fault, ClientGone | Revoked):
                fault.facts.setdefault("offset", upload.offset)
            raise fault
        _refuse_lie(cmd, intake)
        if upload.state is State.OPEN:
            # Nothing more to record, but the layout, what was declared and the end still count.
            outcome = await self._record(
                upload, cmd, [], intake.taken, ended=True, digests=live.digests() if live is not None else None
            )
            fresh = fresh or outcome.fresh
        return Outcome(upload=upload, part=part, size=intake.taken, fresh=fresh)

    async def _overrun(self, upload: Upload, grant: Admission, cmd: Store) -> OnwardError:
        """More bytes than the declared length: where the policy says so, that is the end of the upload."""
        error = _too_long(grant, cmd)
        if upload.policy.overrun is Overrun.FAIL and grant.limit_is == "length":
            await self._ledger.record(
                upload, lambda u: [Failed(code="overrun", detail=error.detail)] if u.state is State.OPEN else []
            )
        return error

    # -- bytes that are stored already ------------------------------------------------------------------

    async def _compare(self, upload: Upload, intake: Intake, start: int, size: int) -> int:
        """Hold the next bytes of the body against stored ones; how many were the same until it ended."""
        have: memoryview = memoryview(b"")
        done = 0
        async with aclosing(self._storage.peek(upload.id, Layout.FLAT, start, size)) as stored:
            async for piece in intake.run(size):
                view = memoryview(piece)
                while view:
                    if not have:
                        have = memoryview(await anext(stored, b""))
                    width = min(len(view), len(have))
                    if width == 0 or view[:width] != have[:width]:
                        raise part_conflict(Layout.FLAT, start + done, None)
                    view, have = view[width:], have[width:]
                    done += width
        return done

    async def _show_again(self, upload: Upload, cmd: Store, grant: Admission, stored: Stored, body: Body) -> Outcome:
        """The place is recorded: the same bytes are fine, others are refused, nothing is written."""
        async with self._reading(body) as intake:
            hasher = Hasher((SHA256, *(d.algorithm for d in cmd.digests)))
            await self._hash(hasher, intake.run(stored.size))
            if isinstance(cmd.at, Append) and not await intake.at_end():
                raise AlreadyComplete("the upload was completed before; these bytes were not stored", state=upload.word)
            if not await intake.at_end() or hasher.digest() != stored.digest:
                _refuse_lie(cmd, intake)
                raise part_conflict(grant.layout, stored.key, stored)
            _check_digests(cmd.digests, hasher.digests())
        if cmd.declared != Declaration():
            await self._record(upload, cmd, [], 0)
        return Outcome(upload=upload, part=stored, size=stored.size, fresh=False)

    async def _hash(self, hasher: Hasher, blocks: AsyncIterator[Buffer]) -> None:
        gathered: list[Buffer] = []
        size = 0
        async for block in blocks:
            gathered.append(block)
            size += len(block)
            if size >= MIB:
                await anyio.to_thread.run_sync(_update, hasher, gathered, limiter=self._hashing)
                gathered, size = [], 0
        if gathered:
            await anyio.to_thread.run_sync(_update, hasher, gathered, limiter=self._hashing)


def _update(hasher: Hasher, blocks: Sequence[Buffer]) -> None:
    for block in blocks:
        hasher.update(block)


def _span(grant: Admission, cmd: Store) -> Span:
    start, end = grant.span
    if cmd.size is not None:
        end = min(end, start + max(cmd.size, 1))
    return start, end


def _pieces(upload: Upload, start: int, end: int) -> Iterator[tuple[bool, int, int]]:
    """Cut a flat run where recorded bytes begin and end: ``(recorded, start, end)`` in order."""
    if start >= end:
        yield False, start, end
        return
    at = start
    for hole_start, hole_end in upload.ranges.holes(start, end):
        if at < hole_start:
            yield True, at, hole_start
        yield False, hole_start, hole_end
        at = hole_end
    if at < end:
        yield True, at, end


def _check_digests(wanted: Sequence[Digest], computed: Mapping[str, Digest]) -> None:
    for digest in wanted:
        found = computed[digest.algorithm]
        if found != digest:
            raise DigestMismatch(
                f"the {digest.algorithm} of these bytes is not the one announced; nothing was stored",
                algorithm=digest.algorithm,
                expected=digest.value.hex(),
                computed=found.value.hex(),
            )


def _most(grant: Admission, cmd: Store) -> int:
    """No byte is written beyond what is locked: a body may not be longer than it claims."""
    return grant.limit if cmd.size is None else min(grant.limit, cmd.size)


def _raise_if_failed(events: Sequence[Event], upload: Upload) -> None:
    """The last byte has shown that the whole is not the one that was announced."""
    for event in events:
        if isinstance(event, Failed):
            said = upload.declared.digest
            facts = {} if said is None else {"algorithm": said.algorithm, "expected": said.value.hex()}
            raise DigestMismatch(event.detail, reason=event.code, field="Repr-Digest", **facts)


def _too_long(grant: Admission, cmd: Store) -> OnwardError:
    if cmd.size is not None:
        return BadBody(f"the body goes on after the {cmd.size} bytes that it claims to have")
    return over_limit(grant)


def _is_lie(cmd: Store, intake: Intake) -> bool:
    """A body that is shorter than its own Content-Length is a cut one, not another one."""
    return cmd.size is not None and intake.ended and intake.taken < cmd.size


def _refuse_lie(cmd: Store, intake: Intake) -> None:
    if _is_lie(cmd, intake):
        raise BodyIncomplete(
            f"the body has {intake.taken} bytes, not the {cmd.size} that were announced",
            expected=cmd.size or 0,
            provided=intake.taken,
        )


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
