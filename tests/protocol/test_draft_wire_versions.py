"""The draft: whose request it is, and in which interop version."""

from __future__ import annotations

import pytest

from onward.wire.draft_versions import VERSIONS
from tests.protocol.draft_rows import DRAFT


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, False),
        ({"upload-draft-interop-version": "6"}, True),
        ({"upload-draft-interop-version": "99"}, True),
        ({"upload-complete": "?0"}, True),
        ({"upload-complete": "?1;a=1"}, True),
        ({"upload-complete": "true"}, False),
        ({"upload-complete": "1"}, False),
        ({"upload-incomplete": "?0"}, True),
        ({"upload-incomplete": "no"}, False),
        ({"content-type": "application/partial-upload"}, True),
        ({"content-type": "Application/Partial-Upload; x=1"}, True),
        ({"content-type": "application/offset+octet-stream"}, False),
        ({"upload-offset": "5"}, False),
        ({"tus-resumable": "1.0.0", "upload-complete": "?1"}, False),
    ],
    ids=str,
)
def test_a_25_the_headers_say_whose_request_it_is(headers: dict[str, str], ours: object) -> None:
    assert DRAFT.speaks(headers) is ours


@pytest.mark.parametrize("number", sorted(VERSIONS))
def test_r_01_every_version_has_its_row(number: int) -> None:
    assert DRAFT.version_of({"upload-draft-interop-version": str(number)}).number == number
    assert DRAFT.version_of({"upload-draft-interop-version": f"{number};a=1"}).number == number


def test_the_versions_are_3_to_10() -> None:
    assert sorted(VERSIONS) == list(range(3, 11))


@pytest.mark.parametrize("text", ["", "2", "11", "six", "6.0", "6, 6", "-6", '"6"'])
def test_r_03_a_version_that_is_not_spoken_is_the_newest_without_a_number(text: str) -> None:
    version = DRAFT.version_of({"upload-draft-interop-version": text, "upload-complete": "?0"})
    assert version.number is None
    assert (version.completeness, version.partial_upload, version.appended) == ("Upload-Complete", True, 204)


def test_r_03_the_oldest_word_without_a_version_is_understood() -> None:
    assert DRAFT.version_of({"upload-incomplete": "?1"}).says_complete({"upload-incomplete": "?1"}) is False
    assert DRAFT.version_of({"upload-incomplete": "?1"}).number is None
    assert DRAFT.version_of({"upload-incomplete": "?1", "upload-complete": "?1"}).completeness == "Upload-Complete"
