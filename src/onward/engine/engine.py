"""The engine: commands in, outcomes out."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from onward.core import names
from onward.core.admission import declare
from onward.core.completion import remove, seal
from onward.core.digest import sha256
from onward.core.joining import check_spec
from onward.core.outcome import Outcome
from onward.core.sequence import empty
from onward.core.types import (
    Append,
    Cancel,
    ClientName,
    Command,
    Completes,
    Create,
    Created,
    Declaration,
    Event,
    Limits,
    Number,
    Policy,
    Seal,
    Sealed,
    Spec,
    State,
    Status,
    Store,
    Target,
    UploadId,
    is_id,
    make_id,
)
from onward.core.upload import Upload
from onward.engine import outright
from onward.engine.finish import Finishing, free
from onward.engine.intake import Body, NoBody
from onward.engine.joining import Joining
from onward.engine.ledger import Ledger
from onward.engine.rules import Rules
from onward.engine.space import Room, Space
from onward.engine.store import Storing, Told
from onward.errors import (
    KeyReused,
    Locked,
    NameTaken,
    NoSpace,
    NotFound,
    Refused,
    Revoked,
    ServerFault,
    WritersBusy,
)
from onward.ports import SEQUENCE, WHOLE, Caller, Catalog, Hooks, Jobs, Journal, Locks, OnConflict, Storage

log = logging.getLogger("onward.engine")


class Engine:
    """Receives uploads and brings them to their end, in no protocol's words.

    Every method may be called side by side, from several processes on one data directory.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        journal: Journal,
        catalog: Catalog,
        locks: Locks,
        hooks: Hooks,
        jobs: Jobs,
        limits: Limits,
        rules: Rules,
        clock: Callable[[], float] = time.time,
        randomness: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.storage = storage
        self.journal = journal
        self.catalog = catalog
        self.locks = locks
        self.hooks = hooks
        self.jobs = jobs
        self.limits = limits
        self.rules = rules
        self.clock = clock
        self._randomness = randomness
        self.ledger = Ledger(journal, clock=clock, sync_parts=rules.durable_parts, sync_seal=rules.durable_seal)
        self._storing = Storing(storage=storage, ledger=self.ledger, locks=locks, limits=limits, rules=rules)
        self._outright = outright.Outright(storage=storage, storing=self._storing, ledger=self.ledger, rules=rules)
        self.joining = Joining(
            storage=storage, ledger=self.ledger, catalog=catalog, limits=limits, rules=rules, queue=self.queue
        )
        self._finishing = Finishing(
            storage=storage,
            ledger=self.ledger,
            catalog=catalog,
            locks=locks,
            hooks=hooks,
            rules=rules,
            clock=clock,
        )
        self._space = Space(storage=storage, catalog=catalog, limits=limits, floor=rules.min_free)

    async def run(
        self, command: Command, caller: Caller, body: Body | None = None, told: Told | None = None
    ) -> Outcome:
        """Carry out one command for ``caller``.

        ``body`` is read only after the caller may, and only by ``Store`` and by a creation that
        brings the first bytes. ``told`` hears of the upload while the body is still coming: when
        it was created, and whenever more of it was recorded. Raises ``OnwardError``.
        """
        match command:
            case Store():
                return await self._store(command, caller, body or NoBody(), told)
            case Status():
                return await self._status(command, caller)
            case Create():
                return await self._create(command, caller, body or NoBody(), told)
            case Seal():
                return await self._seal(command, caller)
            case Cancel():
                return await self._cancel(command, caller)

    async def view(self, id: UploadId, caller: Caller) -> Upload:
        """One upload by its id, as it stands. Raises ``NotFound``, also for somebody else's."""
        return (await self._status(Status(target=id), caller)).upload

    async def finish(self, id: UploadId) -> None:
        """Assemble, verify and publish a sealed upload; see ``Finishing.finish``."""
        await self._finishing.finish(id)

    async def check_space(self) -> None:
        """Raises ``NoSpace`` if every new upload would be refused for want of room."""
        await self._space.check()

    async def room(self) -> Room:
        """How much the server can still take, and how much waits to be finished."""
        return await self._space.room()

    def drain(self) -> None:
        """The process is about to end: every body being read is cut, and what it brought is kept."""
        self._storing.drain()

    async def close(self) -> None:
        """Let go of everything."""
        await self.locks.close()
        await self.storage.close()
        await self.journal.close()

    # -- commands -----------------------------------------------------------------------------------

    async def _status(self, cmd: Status, caller: Caller) -> Outcome:
        free = self._is_unwritten(cmd.target) if cmd.takes_over else False  # before the journal is read
        upload = await self._find(cmd.target, caller)
        await self.hooks.may(caller, cmd, upload)
        if cmd.takes_over and not free:
            await self._take_over(upload)
        await self.joining.advance(upload)
        has = None if cmd.number is None else upload.has_chunk(cmd.number)
        part = None if cmd.number is None else upload.chunk(cmd.number)
        return Outcome(upload=upload, has=has, part=part)

    def _is_unwritten(self, target: Target) -> bool:
        """Nobody is sending bytes of it: whoever did has recorded them, and its journal tells of them."""
        if isinstance(target, ClientName) or not is_id(target):
            return False
        with suppress(ServerFault):
            return self.locks.is_free(target, SEQUENCE)
        return False

    async def _take_over(self, upload: Upload) -> None:
        """Trouble with a lock is not the upload's: who only asks is told to ask again, never that something broke."""
        try:
            await self._storing.take_over(upload)
        except NoSpace:  # no room for a lock file: so there is none, and nobody who writes
            await self.ledger.refresh(upload)
        except ServerFault as error:
            raise Locked(retry_after=1) from error

    async def _create(self, cmd: Create, caller: Caller, body: Body, told: Told | None) -> Outcome:
        await self.hooks.may(caller, cmd, None)
        repeated = await self._repeated(cmd)
        if repeated is not None:
            return Outcome(upload=repeated, created=True)  # as the answer said that may have been lost
        name = cmd.spec.name
        held = await self._holder(name) if name else None
        if held is not None and _same_file(held, cmd.spec):
            return Outcome(upload=held)
        if held is not None and not self._may_start_anew(held, cmd.spec):
            return await self._declare_more(held, cmd)
        spec = await self.hooks.before_create(caller, cmd.spec)
        probe = Upload(UploadId(""))
        declare(probe, spec.declared, self.limits)  # the limits hold for the first word, too
        check_spec(spec, has_body=cmd.first is not None)
        size = await self.joining.check(spec, lambda one: self._usable(one, caller)) if spec.sources else 0
        first = outright.whole(spec, cmd) if told is None else None
        await self._space.need(spec.declared.length or size, few=first is not None)
        if first is not None:
            upload = await self._outright.take(await self._created(spec, cmd.policy), first, body, self.clock())
            self.jobs.finish_soon(upload.id)
            return Outcome(upload=upload, created=True, size=upload.received_bytes, fresh=True)
        upload, created = await self._begin(spec, cmd.policy, held, cmd)
        if created:
            return await self._first_bytes(upload, cmd, body, told)
        if await self._repeated(cmd) is not None:  # refuses if a rival was quicker to use it for another request
            return Outcome(upload=upload, created=True)
        return await self._declare_more(upload, cmd)

    async def _first_bytes(self, upload: Upload, cmd: Create, body: Body, told: Told | None) -> Outcome:
        await self._queue_if_sealed(upload, fresh=True)
        if upload.spec.sources:
            return Outcome(upload=upload, created=True, fresh=await self.joining.advance(upload))
        if cmd.first is None or upload.state is not State.OPEN:
            return Outcome(upload=upload, created=True, fresh=upload.sealed is not None)
        if told is not None:
            await told(upload)
        store = Store(
            target=upload.id, at=Append(0), size=cmd.first.size, digests=cmd.first.digests, ends=cmd.first.ends
        )
        outcome = await self._stored(upload, store, body, told)
        return Outcome(upload=upload, created=True, part=outcome.part, size=outcome.size, fresh=outcome.fresh)

    async def _store(self, cmd: Store, caller: Caller, body: Body, told: Told | None) -> Outcome:
        upload, created = await self._for_store(cmd, caller)
        if upload.state is State.OPEN:
            await self._space.need_for(upload, cmd)
        outcome = await self._stored(upload, cmd, body, told)
        if created:
            return Outcome(upload=upload, created=True, part=outcome.part, size=outcome.size, fresh=outcome.fresh)
        return outcome

    async def _stored(self, upload: Upload, cmd: Store, body: Body, told: Told | None) -> Outcome:
        try:
            outcome = await self._storing.store(upload, cmd, body, told)
        except Revoked:
            raise Locked("a newer request took over this place", retry_after=1) from None
        finally:
            await self.joining.changed(upload)  # also by a body that was cut after its last byte
        await self._queue_if_sealed(upload, fresh=outcome.fresh)
        return outcome

    async def _seal(self, cmd: Seal, caller: Caller) -> Outcome:
        upload = await self._find(cmd.target, caller)
        await self.hooks.may(caller, cmd, upload)
        fresh = False
        if upload.state is State.OPEN:
            fresh = await self._seal_open(upload, cmd)
        else:
            seal(upload, cmd, self.limits)
        await self._queue_if_sealed(upload, fresh=fresh)
        return Outcome(upload=upload, fresh=fresh)

    async def _seal_open(self, upload: Upload, cmd: Seal) -> bool:
        try:
            async with self.locks.hold(upload.id, WHOLE, timeout=self.rules.seal_wait):
                await self.ledger.refresh(upload)
                if upload.state is State.OPEN and self.rules.durable_seal and not self.rules.durable_parts:
                    seal(upload, cmd, self.limits)  # refuse before the disk is troubled
                    await self.storage.sync(upload.id)
                events = await self.ledger.record(upload, lambda newest: seal(newest, cmd, self.limits))
                return any(isinstance(event, Sealed) for event in events)
        except Locked:
            raise WritersBusy(
                "chunks of this upload are still being written; ask again when they are answered", retry_after=1
            ) from None

    async def _cancel(self, cmd: Cancel, caller: Caller) -> Outcome:
        upload = await self._find(cmd.target, caller)
        await self.hooks.may(caller, cmd, upload)
        self._refuse_if_kept(upload)  # before anybody is asked to leave
        async with self.locks.hold(upload.id, WHOLE, timeout=self.rules.lock_wait, revoke=True):
            await self.ledger.record(upload, self._end)
        if (published := upload.published) is not None:
            # The name may lead to another upload's bytes by now, which took it over or came later.
            taken = await self.catalog.published_as(published.ref)
            await self.storage.remove(None if taken else published.ref, upload.id)
        await free(self.storage, upload, self.rules)
        await self.locks.forget(upload.id)
        await self.joining.changed(upload)
        return Outcome(upload=upload, fresh=True)

    def _end(self, upload: Upload) -> Sequence[Event]:
        self._refuse_if_kept(upload)
        return remove(upload, "cancelled")

    def _refuse_if_kept(self, upload: Upload) -> None:
        if upload.state is State.DONE and not self.rules.delete_finished:
            raise Refused("the file is finished; this server does not delete finished files")

    # -- which upload -------------------------------------------------------------------------------

    async def _find(self, target: Target, caller: Caller) -> Upload:
        if isinstance(target, ClientName):
            held = await self._holder(target)
            if held is None:
                raise await self._unknown(target)
            return held
        upload = await self.ledger.load(target)
        if upload.spec.owner != caller.owner and not caller.operator:
            raise NotFound
        return upload

    async def _usable(self, id: UploadId, caller: Caller) -> Upload:
        """A source that this caller may make something of."""
        source = await self._find(id, caller)
        await self.hooks.may(caller, Status(target=id), source)
        return source

    async def _unknown(self, name: ClientName) -> NotFound:
        if names.looks_like_chunk(name.name):
            whole = ClientName(name.owner, name.name.rpartition("-")[0])
            if await self.catalog.find(whole) is not None:
                return NotFound(
                    f"there is no upload {name.name!r}; ask for the file, {whole.name!r}, not for a chunk",
                    did_you_mean=whole.name,
                )
        return NotFound(f"there is no upload {name.name!r}")

    async def _holder(self, name: ClientName) -> Upload | None:
        """The upload of this name; or, where no upload has it, the one whose id it is: of any dialect."""
        known = await self.catalog.find(name)
        if known is not None:
            return await self.ledger.load(known)
        if is_id(name.name):
            row = await self.catalog.summary(UploadId(name.name))
            if row is not None and row.owner == name.owner:
                return await self.ledger.load(row.id)
        return None

    async def _repeated(self, cmd: Create) -> Upload | None:
        """The upload that this idempotency key made before."""
        if cmd.idempotency_key is None:
            return None
        known = await self.catalog.find_key(cmd.spec.owner, cmd.idempotency_key)
        if known is None:
            return None
        upload = await self.ledger.load(known)
        if upload.asked != _fingerprint(cmd):
            raise KeyReused("this idempotency key belongs to another upload")
        return upload

    def _may_start_anew(self, held: Upload, spec: Spec) -> bool:
        if held.state in {State.FAILED, State.GONE}:
            return True
        if held.state is not State.DONE:
            return False
        if self.rules.on_conflict is OnConflict.REFUSE:
            raise NameTaken("a finished file has this name; choose another", name=spec.name.name if spec.name else "")
        return True

    async def _declare_more(self, upload: Upload, cmd: Create) -> Outcome:
        if (cmd.spec.partial, cmd.spec.sources) != (upload.spec.partial, upload.spec.sources):
            raise NameTaken("another upload has this name", name=upload.spec.name.name if upload.spec.name else "")
        length = cmd.spec.declared.length
        if declare(upload, cmd.spec.declared, self.limits) and upload.length is None and length is not None:
            await self._space.need(length - upload.received_bytes)
        await self.ledger.record(upload, lambda newest: declare(newest, cmd.spec.declared, self.limits))
        return Outcome(upload=upload)

    async def _for_store(self, cmd: Store, caller: Caller) -> tuple[Upload, bool]:
        if not isinstance(cmd.target, ClientName):
            upload = await self._find(cmd.target, caller)
            await self.hooks.may(caller, cmd, upload)
            return upload, False
        held = await self._holder(cmd.target)
        await self.hooks.may(caller, cmd, held)
        first = cmd.at.number == 1 if isinstance(cmd.at, Number) else cmd.at.offset == 0
        if held is not None and not (first and held.state in {State.FAILED, State.GONE}):
            return held, False
        # Refuse what can never be stored before anything is begun for it.
        self._storing.rehearse(cmd)
        called = Declaration(filename=cmd.declared.filename)
        spec = Spec(name=cmd.target, declared=called, metadata=cmd.metadata, owner=cmd.target.owner)
        spec = await self.hooks.before_create(caller, spec)
        return await self._begin(spec, cmd.policy, held)

    async def _begin(
        self, spec: Spec, policy: Policy, replaced: Upload | None, asked: Create | None = None
    ) -> tuple[Upload, bool]:
        key = asked.idempotency_key if asked else None
        begun = await self._created(spec, policy, asked=_fingerprint(asked) if asked and key else "")
        new = begun.id
        got = await self.journal.create(
            new,
            [begun, *(empty(spec.declared) if _is_full_at_once(spec, policy) else [])],
            at=self.clock(),
            name=spec.name,
            replaces=None if replaced is None else replaced.id,
            key=None if key is None else (spec.owner, key),
            sync=self._must_sync(asked, spec, policy),
        )
        if got != new:
            await self.storage.discard(new)
        return await self.ledger.load(got), got == new

    async def _created(self, spec: Spec, policy: Policy, *, asked: str = "") -> Created:
        new = make_id(self._randomness(16))
        return Created(id=new, spec=spec, policy=policy, place=await self.storage.open(new, spec), asked=asked)

    def _must_sync(self, asked: Create | None, spec: Spec, policy: Policy) -> bool:
        if asked is None:
            return False  # a chunk follows, and its own event is synced behind this one before anybody is told
        return self.rules.durable_parts or (self.rules.durable_seal and _is_full_at_once(spec, policy))

    # -- work ---------------------------------------------------------------------------------------

    async def _queue_if_sealed(self, upload: Upload, *, fresh: bool) -> None:
        if upload.state is State.SEALED and fresh:
            await self.queue(upload.id)

    async def queue(self, id: UploadId) -> None:
        """Hint the worker. A queue that is down costs time, not uploads: the sweeper hints again."""
        try:
            await self.jobs.finish_later(id)
        except Exception as error:
            why = error.__cause__ or error
            log.warning("the queue cannot be reached (%r); upload %s is queued again by the sweeper", why, id)
            log.debug("why the queue cannot be reached", exc_info=True)


def _is_full_at_once(spec: Spec, policy: Policy) -> bool:
    return policy.completes is Completes.WHEN_FULL and spec.declared.length == 0 and not spec.partial


def _fingerprint(cmd: Create) -> str:
    """Two requests with one idempotency key must say the same."""
    return sha256(msgspec.json.encode(cmd.spec, order="deterministic")).value.hex()


def _same_file(held: Upload, spec: Spec) -> bool:
    """The declaration names the very file that is published under this name."""
    said, done = spec.declared, held.published if held.state is State.DONE else None
    if done is None or said.digest != done.digest:
        return False
    return said.length is None or said.length == done.size
