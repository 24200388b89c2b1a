"""From sealed to published: assemble, read back, prove, make visible. Safe to repeat at any point."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import anyio
from msgspec.structs import replace

from onward.core import manifest, names
from onward.core.completion import REPLACED, conclude, remove
from onward.core.digest import SHA256
from onward.core.joining import lost
from onward.core.plan import plan
from onward.core.types import Damaged, Event, Failed, Phase, Plan, Published, State, UploadId
from onward.core.upload import Upload
from onward.engine.alone import Floor
from onward.engine.ledger import Ledger
from onward.engine.outright import SMALL
from onward.engine.rules import Rules
from onward.errors import BadName, Locked, NotFound, OnwardError, Refused, ServerFault, Signal
from onward.ports import FINISH, Assembly, Catalog, Hooks, Locks, OnConflict, Storage, WorkDone

log = logging.getLogger("onward.finish")

REPORT_EVERY = 0.5
"""Seconds between two notes of progress."""


class _CalledOff(Signal):
    """The upload was cancelled while the worker was at it."""

    code = "called-off"


class Finishing:
    """Verifies and publishes sealed uploads for the engine."""

    def __init__(
        self,
        *,
        storage: Storage,
        ledger: Ledger,
        catalog: Catalog,
        locks: Locks,
        hooks: Hooks,
        rules: Rules,
        clock: Callable[[], float],
    ) -> None:
        self._storage = storage
        self._ledger = ledger
        self._catalog = catalog
        self._locks = locks
        self._hooks = hooks
        self._rules = rules
        self._clock = clock
        self._floor = Floor()

    async def finish(self, id: UploadId) -> None:
        """Bring a sealed upload to its end, whoever asked and however often.

        Returns at once when there is nothing to do or somebody else is at it. Raises
        ``ServerFault`` when it should be tried again later; the upload then stays sealed.
        """
        try:
            async with self._locks.hold(id, FINISH, timeout=0):
                upload = await self._ledger.load(id)
                if upload.read_only:
                    log.warning("upload %s was written by a newer version; it is left as it is", id)
                elif upload.state is State.SEALED:
                    await self._begin(upload)
        except Locked:
            log.debug("somebody else is at upload %s", id)
        except NotFound:
            log.info("there is no upload %s to finish", id)
        except _CalledOff:
            log.info("upload %s was cancelled while it was verified", id)

    async def _begin(self, upload: Upload) -> None:
        """Finish it; alone, if a worker has died at it, for it may have been the other one's fault. Not for ever."""
        before = await self._catalog.work(upload.id)
        deaths = before.deaths if before is not None else 0
        if deaths >= self._rules.verify_deaths:
            died = Failed(code="worker-died", detail=f"{deaths} workers died while they read the file back")
            self._tell(upload, await self._ledger.record(upload, lambda u: _if_sealed(u, died)))
            await self._let_go(upload)
            return
        async with self._floor.alone() if deaths else self._floor.among_others():
            report = _Report(self._catalog, self._ledger, upload, self._clock, deaths)
            try:
                await self._finish(upload, report)
            finally:
                await report.leave()

    async def _finish(self, upload: Upload, report: _Report) -> None:
        listed = upload.spec.sources
        sources = await self._ledger.load_all(listed)
        if any(id not in sources for id in listed):
            events = await self._ledger.record(upload, lambda u: lost(u, listed, sources))
        else:
            made = plan(upload, [sources[id] for id in listed])
            data = await self._ledger.enclosed(upload.id) if made.size <= SMALL else b""
            async with self._storage.assembling(upload.id, made, report, data) as assembly:
                events = await self._conclude(upload, assembly)
                if upload.state is State.SEALED:
                    events = await self._publish(upload, made, assembly)
        self._tell(upload, events)
        await self._let_go(upload)

    async def _let_go(self, upload: Upload) -> None:
        if upload.state is not State.OPEN:
            await free(self._storage, upload, self._rules)
            await self._locks.forget(upload.id)

    async def _conclude(self, upload: Upload, assembly: Assembly) -> Sequence[Event]:
        bad = assembly.bad
        # As they are now: one that was cancelled while it was copied lacks, it is not damaged.
        sources = await self._ledger.load_all(upload.spec.sources if bad else ())

        def decide(newest: Upload) -> Sequence[Event]:
            gone = lost(newest, [copy.source for copy in bad if copy.source != newest.id], sources)
            return gone or conclude(newest, [copy.key for copy in bad], assembly.digests)

        return await self._ledger.record(upload, decide)

    async def _publish(self, upload: Upload, made: Plan, assembly: Assembly) -> Sequence[Event]:
        wanted, fallback = final_names(upload, self._rules)
        try:
            wanted = await self._hooks.before_publish(upload, wanted)
        except Refused as error:
            refusal = Failed(code="refused", detail=error.detail)
            return await self._ledger.record(upload, lambda u: _if_sealed(u, refusal))
        digest = assembly.digests[SHA256]
        described = manifest.encode(manifest.build(upload, made, digest.value, self._clock()))
        if self._rules.on_conflict is OnConflict.REPLACE:
            await self._give_way(wanted, upload.id)
        try:
            blob = await assembly.publish(wanted, fallback, self._rules.on_conflict, described)
        except BadName:
            log.exception("a hook wants upload %s published as %r, no name for a file", upload.id, wanted[:200])
            blob = await assembly.publish(fallback, fallback, self._rules.on_conflict, described)
        done = Published(ref=blob.ref, size=blob.size, digest=digest)
        events = await self._ledger.record(upload, lambda u: _if_sealed(u, done))
        if upload.state is State.GONE:
            # Cancelled between the read-back and here: nothing of it may stay visible.
            await self._storage.remove(blob.ref, upload.id)
        return events

    async def _give_way(self, ref: str, to: UploadId) -> None:
        """End the finished uploads whose name is about to lead to other bytes: none may answer with these."""
        for other in await self._catalog.published_as(ref):
            if other != to:
                replaced = await self._ledger.load(other)
                await self._ledger.record(replaced, lambda newest: remove(newest, "cancelled", cause=REPLACED))
                await self._storage.remove(None, other)
                log.info("upload %s is replaced by %s", other, to)

    def _tell(self, upload: Upload, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case Published():
                    log.info("published %s as %s: %d bytes", upload.id, event.ref, event.size)
                case Failed():
                    log.warning("upload %s failed: %s", upload.id, event.code)
                case Damaged():
                    log.warning("upload %s has damaged parts: %s", upload.id, list(event.keys)[:20])


class _Report:
    """Notes the worker's progress, and stops it when the upload was cancelled.

    As long as the bytes are worked on, one death more is noted than there were: if this worker is
    the next one to die, nobody else could note it.
    """

    def __init__(
        self, catalog: Catalog, ledger: Ledger, upload: Upload, clock: Callable[[], float], deaths: int
    ) -> None:
        self._catalog = catalog
        self._ledger = ledger
        self._upload = upload
        self._clock = clock
        self._deaths = deaths
        self._next = 0.0
        self._last: WorkDone | None = None

    async def __call__(self, phase: Phase, done: int, total: int) -> None:
        now = anyio.current_time()
        last = self._last
        is_read = phase is Phase.VERIFYING and done == total
        deaths = self._deaths if is_read else self._deaths + 1
        if last is not None and (phase, deaths) == (last.phase, last.deaths) and done < total and now < self._next:
            return
        self._next = now + REPORT_EVERY
        await self._ledger.refresh(self._upload)
        if self._upload.state is State.GONE:
            raise _CalledOff
        self._last = WorkDone(phase=phase, done=done, total=total, at=self._clock(), deaths=deaths)
        await self._catalog.report(self._upload.id, self._last)

    async def leave(self) -> None:
        """Whatever the reason, this worker did not die. Trouble with the journal is logged: it counts then as dead."""
        if self._last is None or self._last.deaths == self._deaths or self._upload.state is State.GONE:
            return
        with anyio.CancelScope(shield=True):
            try:
                await self._catalog.report(self._upload.id, replace(self._last, deaths=self._deaths))
            except ServerFault:
                log.warning("upload %s: that its worker left it is not noted", self._upload.id, exc_info=True)


def _if_sealed(upload: Upload, event: Event) -> list[Event]:
    return [event] if upload.state is State.SEALED else []


async def free(storage: Storage, upload: Upload, rules: Rules) -> None:
    """Free the scratch of an upload that is over; nothing of one that is not published stays visible."""
    if upload.published is not None or upload.sealed is None:
        await storage.discard(upload.id)
    else:
        # A worker that died, or is at it, may have given it a name that no event tells of.
        await storage.withdraw(upload.id, final_names(upload, rules))


def final_names(upload: Upload, rules: Rules) -> tuple[str, str]:
    """The name that an upload is to have, unless a hook says otherwise, and the one where that cannot be had."""
    return final_name(template_for(upload, rules.name_template), upload), final_name("{id}/{filename}", upload)


def template_for(upload: Upload, template: str) -> str:
    """A file whose client chose its name is published under that; ``template`` is for all others."""
    return "{filename}" if upload.spec.name or upload.declared.filename else template


def final_name(template: str, upload: Upload) -> str:
    """The path of safe segments that ``template`` gives for this upload.

    An owner's files lie under the owner's name. A file name that may not be used becomes ``file``.
    """
    try:
        name = names.clean(upload.called or "file")
    except OnwardError:
        name = "file"
    owner = names.segment(upload.spec.owner) if upload.spec.owner else ""
    path = template.replace("{id}", upload.id).replace("{owner}", owner).replace("{filename}", name)
    if "{owner}" not in template:
        path = f"{owner}/{path}"
    return "/".join(piece for piece in path.split("/") if piece)
