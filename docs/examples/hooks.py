import anyio

from onward.core.types import Command, Status
from onward.core.upload import Upload
from onward.errors import Refused
from onward.hooks.none import NoHooks
from onward.ports import Caller, FeedItem


class Hooks(NoHooks):
    keys = frozenset({"a-key-of-yours"})

    async def may(self, caller: Caller, command: Command, upload: Upload | None) -> None:
        if not isinstance(command, Status) and caller.headers.get("x-api-key") not in self.keys:
            raise Refused("send a valid X-Api-Key to upload")

    async def before_publish(self, upload: Upload, name: str) -> str:
        if name.endswith(".exe"):
            raise Refused("programs are not taken")
        return f"incoming/{name}"

    async def after(self, item: FeedItem) -> None:
        async with await anyio.open_file("uploads.log", "a") as log:
            await log.write(f"{item.seq} {item.id} {type(item.record.event).__name__}\n")
