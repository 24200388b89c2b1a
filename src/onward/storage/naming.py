"""Published names: which are safe, and which come next when one is taken."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from itertools import count
from typing import Final

from onward.errors import BadName

_MOST: Final = 255  # bytes in one name, on every Linux file system that matters


def safe(name: str) -> str:
    """The name itself, if it is a relative path that stays where it is put. Raises ``BadName``."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadName(name=ascii(name)) from None
    if "\0" in name or any(step in ("", ".", "..") for step in name.split("/")):
        raise BadName(name=name)
    return name


def parents(name: str) -> Iterator[str]:
    """The directories above a name, the outermost first."""
    steps = name.split("/")
    for depth in range(1, len(steps)):
        yield "/".join(steps[:depth])


def variants(name: str) -> Iterator[str]:
    """``stem (1).suffix``, ``stem (2).suffix`` and so on, each short enough for a file system."""
    folder, _, leaf = name.rpartition("/")
    stem, suffix = posixpath.splitext(leaf)
    for number in count(1):
        tail = f" ({number}){suffix}"
        room = max(0, _MOST - len(tail.encode()))
        short = stem.encode()[:room].decode(errors="ignore")
        yield f"{folder}/{short}{tail}" if folder else short + tail
