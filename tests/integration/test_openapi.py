"""The description of the API against the server that it describes: every route, with requests made from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from onward.app import create_app
from onward.config import Settings
from tests.integration.real_server import PATIENCE, RealServer, real_server
from tests.integration.serving import until

DOCUMENT: Final = schemathesis.openapi.from_dict(create_app(Settings()).openapi_schema.to_schema())
OPERATIONS: Final = {one.ok().label: one.ok() for one in DOCUMENT.get_all_operations() if isinstance(one, Ok)}
ENDLESS: Final = frozenset({"GET /events"})
"""Its answer never ends, and a client that judges whole answers would wait for it; test_sse reads it piece by piece."""

CHECKS: Final = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
BOUNDED: Final = settings(
    max_examples=30,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.generate,),  # the first counterexample will do; a server is not asked twice for the same
    suppress_health_check=list(HealthCheck),
)
LENIENT: Final = frozenset(label for label in OPERATIONS if label.split()[1] in {"/files", "/files/{id}"})
"""A header of the draft that cannot be read counts as absent (its standard says so): it forbids no request."""

UNFORBIDDING: Final = frozenset({"GET /health", "GET /ready", "DELETE /upload/{name}"}) | LENIENT
"""They take nothing, or any text: there is no request that their description forbids."""


def refused(context: Any, response: Any, case: Case[Any]) -> bool | None:
    """A request that the description forbids gets a 4xx, whichever of its faults is seen first."""
    if 400 <= response.status_code < 500:
        return None
    return checks.negative_data_rejection(context, response, case)


NAMES: Final = ("receiving", "done", "cancelled", "new")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    # The client here takes the first status line, an interim one too, for the answer.
    with real_server(tmp_path_factory.mktemp("described") / "data", max_size=1 << 30, send_104="never") as server:
        yield server


@pytest.fixture(scope="module")
def ids(server: RealServer) -> list[str]:
    """Of an upload that is being received, one that is done, one that is cancelled, one that was never begun."""
    found = {}
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        for name in ("receiving", "done", "cancelled"):
            stored = client.post(f"/upload/{name}-1", content=b"abcdefgh", headers={"Upload-Chunk-Size": "8"})
            found[name] = stored.json()["id"]
        assert client.post("/upload/complete", json={"file_unique_name": "done", "size": 8}).status_code == 202
        assert client.delete("/upload/cancelled").status_code == 204
        until(lambda: client.get(f"/uploads/{found['done']}").json()["state"] == "done")
    return [*found.values(), "0" * 32]


def test_every_operation_is_asked() -> None:
    DOCUMENT.validate()
    paths = DOCUMENT.raw_schema["paths"].items()
    assert set(OPERATIONS) == {f"{method.upper()} {path}" for path, said in paths for method in said}


@pytest.mark.parametrize("label", sorted(OPERATIONS.keys() - ENDLESS))
def test_answers_are_as_described(label: str, server: RealServer, ids: list[str]) -> None:
    operation = OPERATIONS[label]
    known: dict[str, st.SearchStrategy[str]] = {}
    if "{name}" in label:
        chunk = st.builds("{}-{}".format, st.sampled_from(NAMES), st.integers(1, 3))
        known["name"] = st.sampled_from(NAMES) if operation.method in {"get", "head", "delete"} else chunk
    if "{id}" in label:
        # The stream of an upload that goes on has no end either.
        known["id"] = st.sampled_from(ids[1:] if label.endswith("/events") else ids)

    @BOUNDED
    @given(case=operation.as_strategy(), places=st.none() | st.fixed_dictionaries(known))
    def run(case: Case[Any], places: dict[str, Any] | None) -> None:
        if places:
            case.path_parameters.update(places)
        case.call_and_validate(base_url=server.url, checks=CHECKS, timeout=PATIENCE)

    run()


@pytest.mark.parametrize("label", sorted(OPERATIONS.keys() - ENDLESS - UNFORBIDDING))
def test_what_the_description_forbids_is_refused(label: str, server: RealServer) -> None:
    @BOUNDED
    @given(case=OPERATIONS[label].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def run(case: Case[Any]) -> None:
        case.call_and_validate(base_url=server.url, checks=[*CHECKS, refused], timeout=PATIENCE)

    run()
