"""The examples of the documentation do what the pages say."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.examples.hooks import Hooks
from onward.config import load_hooks
from onward.core.digest import sha256
from onward.core.types import ClientName, Number, Published, Record, Status, Store, UploadId
from onward.core.upload import Upload
from onward.errors import Refused
from onward.ports import Caller, FeedItem

pytestmark = pytest.mark.anyio

ID = UploadId("0" * 32)


async def test_hooks_let_in_who_has_a_key() -> None:
    hooks = load_hooks("docs.examples.hooks:Hooks")
    store = Store(target=ClientName(None, "a.bin"), at=Number(1))
    await hooks.may(Caller(headers={"x-api-key": "a-key-of-yours"}), store, None)
    await hooks.may(Caller(), Status(target=ID), None)
    with pytest.raises(Refused, match="X-Api-Key"):
        await hooks.may(Caller(), store, None)


async def test_hooks_choose_the_name_and_refuse_programs() -> None:
    assert await Hooks().before_publish(Upload(ID), "report.pdf") == "incoming/report.pdf"
    with pytest.raises(Refused, match="programs"):
        await Hooks().before_publish(Upload(ID), "setup.exe")


async def test_hooks_note_what_has_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    event = Published(ref="a", size=1, digest=sha256(b"a"))
    await Hooks().after(FeedItem(seq=7, id=ID, owner=None, record=Record(3, 0.0, event)))
    assert (tmp_path / "uploads.log").read_text() == f"7 {ID} Published\n"
