"""Give the proven bytes their final name, and take it away again. Blocking; runs on a disk thread."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Final, NamedTuple

from onward.core.types import UploadId
from onward.errors import StorageFault
from onward.ports import OnConflict
from onward.storage import naming
from onward.storage.local.disk import FILES, MANIFESTS, NAMES, Disk, home, manifest
from onward.storage.local.holding import Held

_TRIES: Final = 10_000
_NEAR: Final = 100
# Errors that say: this name cannot be had, whoever asks; a directory or a file is in the way.
_IN_THE_WAY: Final = {errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EEXIST}


class Wish(NamedTuple):
    """Which final name is wanted."""

    name: str
    fallback: str
    on_conflict: OnConflict


def publish(disk: Disk, id: UploadId, held: Held, wish: Wish, about: bytes) -> str:
    """Link the held file under a final name and say which. The manifest is durable before."""
    naming.safe(wish.name)
    naming.safe(wish.fallback)
    if held.fd is None or disk.fs.stat(held.path).inode != held.inode:
        raise StorageFault
    _keep_manifest(disk, id, about)
    ref = _earlier(disk, held, wish) or _claim(disk, id, held, wish)
    for folder in reversed(["", *naming.parents(ref)]):
        disk.fs.sync_dir(f"{FILES}/{folder}".rstrip("/"))
    held.published = True
    return ref


def _keep_manifest(disk: Disk, id: UploadId, about: bytes) -> None:
    fs = disk.fs
    draft = f"{home(id)}/manifest.{disk.token()}.tmp"
    fd = fs.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            disk.write_all(fd, [about], 0)
            fs.fdatasync(fd)
        finally:
            fs.close(fd)
        fs.rename(draft, manifest(id))
    except BaseException:
        with suppress(OSError):  # the first reason is the one to tell; the draft goes with the scratch
            disk.forget(draft)
        raise
    fs.sync_dir(MANIFESTS)


def _earlier(disk: Disk, held: Held, wish: Wish) -> str | None:
    """Where a publish whose event was lost has put these bytes."""
    if not held.published:
        return None
    names = (wish.name, wish.fallback)
    near = chain(names, *(islice(naming.variants(name), _NEAR) for name in names))
    return next((ref for ref in near if _is_at(disk, ref, held.inode)), None)


def _is_at(disk: Disk, ref: str, inode: int) -> bool:
    try:
        return disk.fs.stat(f"{FILES}/{ref}").inode == inode
    except OSError as error:
        if error.errno in {errno.ENOENT, *_IN_THE_WAY}:
            return False
        raise


def _claim(disk: Disk, id: UploadId, held: Held, wish: Wish) -> str:
    if wish.on_conflict is OnConflict.REPLACE and _swap_in(disk, id, held, wish.name):
        return wish.name
    for ref in _candidates(disk, wish):
        if _link(disk, held, ref):
            return ref
    raise StorageFault("no free name was found")


def _candidates(disk: Disk, wish: Wish) -> Iterator[str]:
    yield wish.name
    if wish.on_conflict is OnConflict.RENAME and _has_room(disk, wish.name):
        yield from islice(naming.variants(wish.name), _TRIES)
    yield wish.fallback
    yield from islice(naming.variants(wish.fallback), _TRIES)


def _has_room(disk: Disk, ref: str) -> bool:
    """False if a file is where a directory would have to be: then no other leaf helps."""
    try:
        return disk.fs.stat(f"{FILES}/{ref}".rpartition("/")[0]).directory
    except OSError as error:
        if error.errno in _IN_THE_WAY:
            return False
        raise


def _link(disk: Disk, held: Held, ref: str) -> bool:
    """True if the name is ours now; false if something else has it or it cannot be a name here."""
    for _ in range(8):  # an emptied directory may be removed between making it and linking into it
        try:
            _make_parents(disk, ref)
            disk.fs.link(held.path, f"{FILES}/{ref}")
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno in _IN_THE_WAY:
                return _is_at(disk, ref, held.inode)
            raise
        return True
    raise StorageFault


def _swap_in(disk: Disk, id: UploadId, held: Held, ref: str) -> bool:
    """Put the bytes in the place of those that have the name; false if a directory is in the way."""
    draft = f"{home(id)}/swap.{disk.token()}.tmp"
    disk.fs.link(held.path, draft)
    try:
        for _ in range(8):
            try:
                _make_parents(disk, ref)
                disk.fs.rename(draft, f"{FILES}/{ref}")
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno in _IN_THE_WAY:
                    return False
                raise
            return True
        raise StorageFault
    finally:
        disk.forget(draft)


def _make_parents(disk: Disk, ref: str) -> None:
    for folder in naming.parents(ref):
        with suppress(FileExistsError):
            disk.fs.mkdir(f"{FILES}/{folder}")


def withdraw(disk: Disk, id: UploadId, place: str, likely: Sequence[str]) -> None:
    """Take away the final name, if there is one, of the bytes whose scratch lies at ``place``; the manifest too."""
    for name in NAMES:
        with suppress(FileNotFoundError):
            found = disk.fs.stat(f"{place}/{name}")
            if found.links > 1 and (ref := _find(disk, found.inode, likely)) is not None:
                _unlink(disk, ref)
    if disk.exists(manifest(id)):
        disk.forget(manifest(id))
        disk.fs.sync_dir(MANIFESTS)


def _find(disk: Disk, inode: int, likely: Sequence[str]) -> str | None:
    near = chain(likely, *(islice(naming.variants(name), _NEAR) for name in likely))
    return next((ref for ref in chain(near, _all(disk, "")) if _is_at(disk, ref, inode)), None)


def _all(disk: Disk, folder: str) -> Iterator[str]:
    """Every final name, for want of a better idea."""
    for name in disk.fs.listdir(f"{FILES}/{folder}".rstrip("/")):
        ref = f"{folder}/{name}".lstrip("/")
        with suppress(FileNotFoundError):
            if disk.fs.stat(f"{FILES}/{ref}").directory:
                yield from _all(disk, ref)
            else:
                yield ref


def remove(disk: Disk, ref: str | None, id: UploadId) -> None:
    """Take away a final name, if one is given, the directories that it leaves empty, and the manifest."""
    if ref is not None:
        _unlink(disk, naming.safe(ref))
    disk.forget(manifest(id))
    disk.fs.sync_dir(MANIFESTS)


def _unlink(disk: Disk, ref: str) -> None:
    with suppress(FileNotFoundError):
        disk.fs.unlink(f"{FILES}/{ref}")
        disk.fs.sync_dir(f"{FILES}/{ref}".rpartition("/")[0])
        for folder in reversed(list(naming.parents(ref))):
            try:
                disk.fs.rmdir(f"{FILES}/{folder}")
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
                break
