"""Hooks that let everything pass: what runs when none are configured, and what to derive from."""

from __future__ import annotations

from onward.core.types import Command, Spec
from onward.core.upload import Upload
from onward.ports import Caller, FeedItem


class NoHooks:
    """Override what you need; raise ``onward.errors.Refused`` to say no."""

    async def may(self, caller: Caller, command: Command, upload: Upload | None) -> None:
        """Everybody may do everything."""

    async def before_create(self, caller: Caller, spec: Spec) -> Spec:
        """The upload is created as the client said."""
        return spec

    async def before_publish(self, upload: Upload, name: str) -> str:
        """The file gets the name that the settings give it."""
        return name

    async def after(self, item: FeedItem) -> None:
        """Nobody is told."""
