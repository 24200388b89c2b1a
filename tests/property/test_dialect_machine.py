"""Random mixtures of tus, the draft and chunks on one upload, through the whole application.

Whoever began it, every dialect continues it: the machine knows which bytes are stored and which
offset each dialect must therefore tell, sends right and wrong requests in all three, and at the
end the file is complete and byte for byte what was meant.
"""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from random import Random
from typing import Final

from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from onward.app import create_app
from onward.config import Settings
from onward.core.types import UploadId
from onward.web.plugin import OnwardPlugin
from tests.integration.asgi_driver import Answer, memory_engine, running

PART: Final = 16
LENGTH: Final = 4 * PART + 6
WHOLE: Final = Random(5).randbytes(LENGTH)
TUS: Final = {"Tus-Resumable": "1.0.0"}
DRAFT: Final = {"Upload-Draft-Interop-Version": "8"}
SETTINGS: Final = Settings(min_free=0, segment=1 << 18)


class DialectMachine(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._portal = start_blocking_portal()
        self.portal = self._portal.__enter__()
        app = create_app(SETTINGS, engine=partial(memory_engine, SETTINGS))
        self._running = self.portal.wrap_async_context_manager(running(app))
        self.driver = self._running.__enter__()
        self.engine = next(plugin for plugin in app.plugins if isinstance(plugin, OnwardPlugin)).site.engine
        self.stored: set[int] = set()
        self.sealed = False
        self.begun = ""

    def teardown(self) -> None:
        try:
            if self.begun:
                self.finish()
        finally:
            self._running.__exit__(None, None, None)
            self._portal.__exit__(None, None, None)

    # -- how to ask -------------------------------------------------------------------------------

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        return self.portal.call(partial(self.driver.send, method, path, body, headers=headers))

    @property
    def offset(self) -> int:
        end = 0
        while end in self.stored:
            end += 1
        return end

    @property
    def resource(self) -> str:
        return f"/files/{self.id}"

    @property
    def chunks(self) -> str:
        return f"/upload/{self.name}"

    # -- rules ------------------------------------------------------------------------------------

    @initialize(dialect=st.sampled_from(["tus", "draft", "chunk"]))
    def begin(self, dialect: str) -> None:
        if dialect == "tus":
            answer = self.send("POST", "/files", {**TUS, "Upload-Length": str(LENGTH)})
        elif dialect == "draft":
            answer = self.send("POST", "/files", {**DRAFT, "Upload-Complete": "?0", "Upload-Length": str(LENGTH)})
        else:
            declared = b'{"name":"mixed.bin","size":%d,"chunk_size":%d}' % (LENGTH, PART)
            answer = self.send("POST", "/upload", {"Content-Type": "application/json"}, declared)
        assert answer.status == 201, answer
        self.begun = dialect
        self.id = answer.json()["id"] if dialect == "chunk" else answer.headers["location"].rsplit("/", 1)[1]
        self.name = "mixed.bin" if dialect == "chunk" else self.id

    @rule(size=st.integers(0, 40), shift=st.sampled_from([0, 0, 0, 1, -1]))
    def tus_patch(self, size: int, shift: int) -> None:
        at = max(self.offset + shift, 0)
        data = WHOLE[at : at + size]
        headers = {**TUS, "Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"}
        answer = self.send("PATCH", self.resource, headers, data)
        if at != self.offset:
            assert answer.status == 409
            return
        if self.sealed:
            assert answer.status == (413 if data else 204)
            return
        assert answer.status == 204, answer
        assert answer.headers["upload-offset"] == str(at + len(data))
        self.note(at, len(data))

    @precondition(lambda self: not self.sealed)
    @rule(size=st.integers(1, 20))
    def tus_patch_with_a_wrong_checksum(self, size: int) -> None:
        at = self.offset
        data = WHOLE[at : at + size]
        wrong = base64.b64encode(hashlib.sha1(data + b"!", usedforsecurity=False).digest()).decode()
        headers = {
            **TUS,
            "Upload-Offset": str(at),
            "Content-Type": "application/offset+octet-stream",
            "Upload-Checksum": f"sha1 {wrong}",
        }
        assert self.send("PATCH", self.resource, headers, data).status == 460

    @rule(size=st.integers(0, 40), shift=st.sampled_from([0, 0, 1]), last=st.booleans())
    def draft_patch(self, size: int, shift: int, *, last: bool) -> None:
        at = self.offset + shift
        data = WHOLE[at : at + size]
        says = last and at + len(data) == LENGTH
        headers = {
            **DRAFT,
            "Upload-Offset": str(at),
            "Upload-Complete": "?1" if says else "?0",
            "Content-Type": "application/partial-upload",
        }
        answer = self.send("PATCH", self.resource, headers, data)
        if at != self.offset:
            assert answer.status == 409
            return
        if self.sealed:
            assert answer.status < 500
            return
        assert answer.status < 300, answer
        self.note(at, len(data))
        self.sealed |= says

    @rule(number=st.integers(1, 5), wrong=st.sampled_from([False, False, True]))
    def chunk(self, number: int, *, wrong: bool) -> None:
        start = (number - 1) * PART
        data = WHOLE[start : start + PART]
        there = set(range(start, start + len(data))) <= self.stored
        if wrong and not there:
            return
        sent = bytes(255 - byte for byte in data) if wrong else data
        answer = self.send("PUT", f"{self.chunks}-{number}", {"Upload-Chunk-Size": str(PART)}, sent)
        if wrong:
            assert answer.status == 409, answer
            return
        if self.sealed:
            assert answer.status in {200, 409}, answer
            return
        assert answer.status in {200, 201}, answer
        self.note(start, len(data))

    @rule(start=st.integers(0, LENGTH - 1), size=st.integers(1, 30))
    def run_of_bytes(self, start: int, size: int) -> None:
        data = WHOLE[start : start + size]
        answer = self.send("PUT", self.chunks, {"Upload-Offset": str(start)}, data)
        if self.sealed:
            assert answer.status in {200, 409}, answer
            return
        assert answer.status in {200, 201}, answer
        self.note(start, len(data))

    def note(self, start: int, size: int) -> None:
        self.stored |= set(range(start, start + size))
        if self.begun == "tus" and len(self.stored) == LENGTH:
            self.sealed = True

    # -- invariants -------------------------------------------------------------------------------

    @invariant()
    def every_dialect_tells_the_same_offset(self) -> None:
        if not self.begun:
            return
        for headers in (TUS, DRAFT):
            answer = self.send("HEAD", self.resource, headers)
            assert answer.headers["upload-offset"] == str(self.offset), (headers, answer)
        assert self.send("HEAD", self.chunks, {}).headers["upload-offset"] == str(self.offset)

    @invariant()
    def the_status_page_knows_the_state(self) -> None:
        if self.begun:
            state = self.send("GET", f"/uploads/{self.id}", {}).json()["state"]
            assert (state == "receiving") != self.sealed

    def finish(self) -> None:
        if not self.sealed:
            at = self.offset
            headers = {
                **DRAFT,
                "Upload-Offset": str(at),
                "Upload-Complete": "?1",
                "Content-Type": "application/partial-upload",
            }
            answer = self.send("PATCH", self.resource, headers, WHOLE[at:])
            assert answer.status < 300, answer
        self.portal.call(self.engine.finish, UploadId(self.id))
        answer = self.send("GET", f"/files/{self.id}/content", {})
        assert answer.status == 200, answer
        assert answer.body == WHOLE


TestDialectMachine = DialectMachine.TestCase
TestDialectMachine.settings = settings(
    max_examples=max(20, settings().max_examples // 8),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
