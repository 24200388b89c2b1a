"""From a sealed upload to the list of copies that forms the whole."""

from __future__ import annotations

from collections.abc import Sequence

from onward.core.digest import SHA256
from onward.core.types import Copy, Layout, Plan, State
from onward.core.upload import Upload


def plan(upload: Upload, sources: Sequence[Upload] = ()) -> Plan:
    """How a sealed upload becomes one file, and what to compute over it.

    ``sources``: the uploads that it is made of, as its ``Spec.sources`` lists them. The copies
    are in order and cover the whole without gap or overlap. Raises ``ValueError`` for an upload
    that is not sealed, or if other sources are given than it has.
    """
    if upload.sealed is None or upload.state not in {State.SEALED, State.DONE}:
        raise ValueError(f"upload {upload.id} is not sealed")
    if tuple(source.id for source in sources) != upload.spec.sources:
        raise ValueError(f"upload {upload.id} is made of other uploads than these")
    layout = Layout.NUMBERED if sources else upload.layout or Layout.FLAT
    copies: list[Copy] = []
    at = 0
    for source in sources or (upload,):
        lies = source.layout or Layout.FLAT
        for part in source.parts():
            copies.append(
                Copy(source=source.id, layout=lies, key=part.key, start=at, size=part.size, digest=part.digest)
            )
            at += part.size
    said = upload.declared.digest
    return Plan(
        layout=layout,
        size=upload.sealed.length,
        algorithms=(SHA256,) if said is None or said.algorithm == SHA256 else (SHA256, said.algorithm),
        copies=tuple(copies),
        digest=said if said is not None and said.algorithm == SHA256 else None,
    )
