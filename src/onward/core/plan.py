"""From a sealed upload to the list of copies that forms the whole."""

from __future__ import annotations

from onward.core.digest import SHA256
from onward.core.types import Copy, Layout, Plan, State
from onward.core.upload import Upload


def plan(upload: Upload) -> Plan:
    """How a sealed upload becomes one file, and what to compute over it.

    The copies are in order and cover the whole without gap or overlap. Raises ``ValueError``
    for an upload that is not sealed: there is nothing to assemble.
    """
    if upload.sealed is None or upload.state not in {State.SEALED, State.DONE}:
        raise ValueError(f"upload {upload.id} is not sealed")
    layout = upload.layout or Layout.FLAT
    copies: list[Copy] = []
    at = 0
    for part in upload.parts():
        copies.append(Copy(source=upload.id, key=part.key, start=at, size=part.size, digest=part.digest))
        at += part.size
    algorithms = [SHA256]
    if upload.declared.digest is not None and upload.declared.digest.algorithm not in algorithms:
        algorithms.append(upload.declared.digest.algorithm)
    return Plan(layout=layout, size=upload.sealed.length, algorithms=tuple(algorithms), copies=tuple(copies))
