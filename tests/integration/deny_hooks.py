"""Hooks of a server under test that say no."""

from __future__ import annotations

from onward.core.types import Command, Store
from onward.core.upload import Upload
from onward.errors import Refused
from onward.hooks.none import NoHooks
from onward.ports import Caller


class Deny(NoHooks):
    """No bytes are taken today; all other commands may be."""

    async def may(self, caller: Caller, command: Command, upload: Upload | None) -> None:
        if isinstance(command, Store):
            raise Refused("not today")
