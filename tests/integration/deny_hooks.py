"""Hooks of a server under test that say no."""

from __future__ import annotations

from onward.core.types import Command, Spec, Store
from onward.core.upload import Upload
from onward.errors import Refused
from onward.hooks.none import NoHooks
from onward.ports import Caller


class Deny(NoHooks):
    """No bytes are taken today; all other commands may be."""

    async def may(self, caller: Caller, command: Command, upload: Upload | None) -> None:
        if isinstance(command, Store):
            raise Refused("not today")


class NoPages(NoHooks):
    """Web pages are not taken: what the browser takes a file for counts."""

    async def before_create(self, caller: Caller, spec: Spec) -> Spec:
        if spec.metadata.get("filetype") in {"text/html", "application/xhtml+xml"}:
            raise Refused("web pages are not taken")
        return spec
