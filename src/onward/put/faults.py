"""How an upload of ours can end without the file being there."""

from __future__ import annotations

from typing import ClassVar


class Ended(Exception):
    """The upload of one file is over and the file is not there. ``str()`` is one sentence for a person."""

    exit_code: ClassVar[int] = 1

    def __init__(self, detail: str, *, code: str = "", status: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        """The server's code for it, or ours."""
        self.status = status
        """Status of the server's answer, if it was one."""


class NotTaken(Ended):
    """Trying again cannot help: the server refuses, or the file is not what it was."""


class OutOfPatience(Ended):
    """Nothing went forward for too long. What is stored stays; the same command goes on from there."""

    exit_code = 3
