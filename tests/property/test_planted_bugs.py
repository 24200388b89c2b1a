"""Plants a bug in each guard; the power machine must notice every one.

A machine that never fails proves nothing. Each row takes one guard out of the real code and
runs the machine until it fails, with a bound on how long it may look.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from onward.core import admission, completion
from onward.core.types import Admission, Buffer, Event, Run, Seal, Sealed, Store, Stored
from onward.core.upload import Upload
from onward.engine import engine as engine_module
from onward.engine import store as store_module
from onward.engine.intake import Intake
from onward.engine.ledger import Ledger
from onward.errors import ClientGone
from onward.storage.local import LocalStorage
from tests.property.power import PowerMachine

pytestmark = pytest.mark.deep

Patch = pytest.MonkeyPatch


def no_sync_before_the_journal(patch: Patch) -> None:
    """The event is written while its bytes may still be lost."""
    real = LocalStorage.write

    async def write(self: LocalStorage, *args: Any, durable: bool, **kwargs: Any) -> Any:
        return await real(self, *args, durable=False, **kwargs)

    patch.setattr(LocalStorage, "write", write)


def no_journal_sync(patch: Patch) -> None:
    """The answer goes out while its event may still be lost."""
    patch.setattr(Ledger, "_must_sync", lambda _self, _events: False)


def no_conflict_check(patch: Patch) -> None:
    """Whatever comes for a place is recorded, wherever other runs lie."""
    patch.setattr(admission, "_check_free", lambda *_args: None)
    patch.setattr(store_module, "_pieces", lambda _upload, start, end: iter([(False, start, end)]))


def a_replay_is_written_again(patch: Patch) -> None:
    """A stored chunk that comes again is written over and believed."""
    real = admission.admit

    def admit(upload: Upload, cmd: Store, limits: Any) -> Admission:
        grant = real(upload, cmd, limits)
        fields = {name: getattr(grant, name) for name in Admission.__struct_fields__}
        return Admission(**(fields | {"replay_of": None}))

    def accept(upload: Upload, cmd: Store, runs: Sequence[Run], limits: Any, *, size: int | None = None) -> list[Event]:
        if any(run.key in upload.stored for run in runs):
            return []
        return real_accept(upload, cmd, runs, limits, size=size)

    real_accept = admission.accept
    patch.setattr(store_module, "admit", admit)
    patch.setattr(store_module, "accept", accept)
    patch.setattr(store_module, "_pieces", lambda _upload, start, end: iter([(False, start, end)]))


def no_recovery(patch: Patch) -> None:
    """What was sealed before the power cut is never queued again."""

    async def requeue(*_args: Any, **_kwargs: Any) -> int:
        return 0

    patch.setattr("onward.engine.sweep.requeue", requeue)


def seal_ignores_holes(patch: Patch) -> None:
    """Complete means complete, whatever lacks."""

    def seal(upload: Upload, cmd: Seal, _limits: Any) -> list[Event]:
        if upload.sealed is not None:
            return []
        return [Sealed(length=upload.received_bytes, parts=max(1, len(upload.stored)))]

    patch.setattr(engine_module, "seal", seal)
    patch.setattr(completion, "seal", seal)


def a_cut_body_counts_as_whole(patch: Patch) -> None:
    """The connection ends and nobody notices that the body had not."""

    async def run(self: Intake, most: int) -> AsyncIterator[Buffer]:
        try:
            async for piece in real(self, most):
                yield piece
        except ClientGone:
            self._ended = True

    real = Intake.run
    patch.setattr(Intake, "run", run)

    async def no_check(*_args: Any) -> None:
        return None

    patch.setattr(store_module.Storing, "_check_whole", no_check)


def a_run_may_pass_over_later_parts(patch: Patch) -> None:
    """A run by offset goes on over what is recorded beyond the hole."""

    def pieces(_upload: Upload, start: int, end: int) -> Iterator[tuple[bool, int, int]]:
        yield False, start, end

    def accept(upload: Upload, cmd: Store, runs: Sequence[Run], limits: Any, *, size: int | None = None) -> list[Event]:
        del cmd, limits, size
        return [Stored(key=r.key, size=r.size, digest=r.digest) for r in runs if r.key not in upload.stored]

    patch.setattr(store_module, "_pieces", pieces)
    patch.setattr(store_module, "accept", accept)


def no_read_back(patch: Patch) -> None:
    """The worker believes the disk; together with unsynced bytes that publishes wrong ones."""
    no_sync_before_the_journal(patch)
    patch.setattr("onward.engine.finish.conclude", lambda *_args: [])


BUGS: tuple[Callable[[Patch], None], ...] = (
    no_sync_before_the_journal,
    no_journal_sync,
    no_conflict_check,
    a_replay_is_written_again,
    no_recovery,
    seal_ignores_holes,
    a_cut_body_counts_as_whole,
    a_run_may_pass_over_later_parts,
    no_read_back,
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("plant", BUGS, ids=lambda bug: bug.__name__)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_machine_notices(plant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    plant(monkeypatch)
    hunt = settings(
        max_examples=4000,
        stateful_step_count=30,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises((Exception, BaseExceptionGroup)) as caught:
        run_state_machine_as_test(PowerMachine, settings=hunt)
    assert not isinstance(caught.value, TypeError | AttributeError | NameError), "the planted bug itself is broken"
