from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.types import HTTPScope

from onward.config import Settings
from onward.errors import BadField, BadName, RangeUnsatisfiable
from onward.web.cors import Cors
from onward.web.downloads import matches, span_of
from onward.web.links import Links
from onward.web.paths import headers_of, query_of, segment_of


def scope(**parts: Any) -> HTTPScope:
    base = {"scheme": "http", "root_path": "", "client": ("192.0.2.7", 1), "query_string": b"", "headers": []}
    return cast("HTTPScope", base | parts)


def base_of(settings: Settings, headers: dict[str, str], mount: str = "", **parts: Any) -> str:
    return Links(settings, mount=mount).hrefs(scope(**parts), headers).base


# -- links ----------------------------------------------------------------------------------------

FORWARDED = {
    "host": "inside:8000",
    "x-forwarded-host": "up.example",
    "x-forwarded-proto": "https",
    "x-forwarded-prefix": "/up",
}


@pytest.mark.parametrize("host", ["up.example", "up.example:8443", "my_service", "127.0.0.1:1", "[::1]:80", "a.b."])
def test_a_host_that_is_one_stands_in_links(host: str) -> None:
    assert base_of(Settings(), {"host": host}) == f"http://{host}"


@pytest.mark.parametrize(
    "host", ["", "a b", "evil/path", "evil?x", "u@evil", "evil#", "a\r\nb", "a:b", "[::1", "a..b", "-", "a" * 300, "é"]
)
def test_a_host_that_is_none_is_never_repeated(host: str) -> None:
    assert base_of(Settings(), {"host": host}) == ""


def test_the_public_url_stands_before_all() -> None:
    settings = Settings(public_url="https://up.example", trusted_proxies=("192.0.2.0/24",))
    assert base_of(settings, FORWARDED | {"x-forwarded-host": "other.example"}, "/api/") == "https://up.example/api"


def test_forwarded_headers_are_believed_from_listed_proxies_only() -> None:
    assert base_of(Settings(), FORWARDED) == "http://inside:8000"
    for proxies in (("192.0.2.7",), ("192.0.2.0/24",), ("::/0", "192.0.0.0/8")):
        assert base_of(Settings(trusted_proxies=proxies), FORWARDED) == "https://up.example/up"
    trusting = Settings(trusted_proxies=("192.0.2.0/24", "2001:db8::/32"))
    assert base_of(trusting, FORWARDED, client=("198.51.100.1", 1)) == "http://inside:8000"
    assert base_of(trusting, FORWARDED, client=("unix", 0)) == "http://inside:8000"
    assert base_of(trusting, FORWARDED, client=None) == "http://inside:8000"
    assert base_of(trusting, FORWARDED, client=("2001:db8::1", 1)) == "https://up.example/up"
    assert base_of(trusting, FORWARDED, client=("::ffff:192.0.2.9", 1)) == "https://up.example/up"


@pytest.mark.parametrize(
    ("name", "value", "base"),
    [
        ("x-forwarded-proto", "javascript", ""),
        ("x-forwarded-host", "evil/x", ""),
        ("x-forwarded-host", "first.example, up.example", "https://up.example/up"),
        ("x-forwarded-prefix", "//evil", "https://up.example"),
        ("x-forwarded-prefix", "/a/../b", "https://up.example"),
        ("x-forwarded-prefix", "", "https://up.example"),
    ],
)
def test_what_a_proxy_says_is_held_against_the_grammar(name: str, value: str, base: str) -> None:
    found = base_of(Settings(trusted_proxies=("192.0.2.7",)), FORWARDED | {name: value})
    assert found.removesuffix("/up") == base.removesuffix("/up")


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("for=192.0.2.60;proto=https;host=up.example", "https://up.example"),
        ('For="[2001:db8::1]:4711" ; Proto="https";HOST="up.example:8443"', "https://up.example:8443"),
        ("proto=https;host=evil.example, host=up.example;proto=http", "http://up.example"),
        ("host=evil.example;proto=https, for=192.0.2.60", "http://inside:8000"),
        ('for="a,b;host=evil.example";proto=https', "https://inside:8000"),
        (r'host="up\.example"', "http://up.example"),
        ("host=evil/x", "http://inside:8000"),
        ("host=up.example;nonsense", "http://inside:8000"),
        ('host="evil/x"', ""),
        ("proto=javascript;host=up.example", ""),
        ("", "http://inside:8000"),
    ],
)
def test_forwarded_is_read_where_a_proxy_says_it(text: str, base: str) -> None:
    trusting, headers = Settings(trusted_proxies=("192.0.2.7",)), {"host": "inside:8000", "forwarded": text}
    assert base_of(trusting, headers) == base
    assert base_of(Settings(), headers) == "http://inside:8000", "and from nobody else"


@pytest.mark.parametrize("name", ["x-forwarded-proto", "x-forwarded-host"])
def test_a_client_s_forwarded_that_a_proxy_passes_on_is_not_mixed_into_what_the_proxy_says(name: str) -> None:
    headers = {"host": "inside:8000", name: FORWARDED[name], "forwarded": "proto=http;host=evil.example"}
    found = base_of(Settings(trusted_proxies=("192.0.2.7",)), headers)
    assert found == {"x-forwarded-proto": "https://inside:8000", "x-forwarded-host": "http://up.example"}[name]


def test_links_go_where_the_application_is_mounted() -> None:
    links = Links(Settings(uploads_path="/u"), mount="/api").hrefs(scope(root_path="/app"), {"host": "x y"})
    assert links.status_of(cast("Any", "1")) == "/app/api/u/1"


def test_a_proxy_that_is_no_network_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match=r"nonsense"):
        Links(Settings(trusted_proxies=("nonsense",)))


# -- paths ----------------------------------------------------------------------------------------


def segment(raw: str, path: str, routed: str) -> str:
    return segment_of(scope(path=path, raw_path=raw.encode()), routed)


@pytest.mark.parametrize(
    ("raw", "path", "routed", "found"),
    [
        ("/upload/a-1", "/upload/a-1", "/a-1", "a-1"),
        ("/upload/%252e-1", "/upload/%2e-1", "/%2e-1", "%2e-1"),
        ("/upload/a%2Fb-1", "/upload/a/b-1", "/a/b-1", "a/b-1"),
        ("/upload/a%00-1", "/upload/a\0-1", "/a\0-1", "a\0-1"),
        ("/upload/..", "/upload/..", "/..", ".."),
        ("/upload/a/", "/upload/a/", "/a", "a/"),
        ("/upload//a-1", "/upload//a-1", "/a-1", "/a-1"),
        ("/app/upload/a", "/app/upload/a", "/a", "a"),
        ("/%75pload/a", "/upload/a", "/a", "a"),
        ("/upload/a?x", "/upload/a", "/a", "a"),
    ],
)
def test_a_segment_is_decoded_once(raw: str, path: str, routed: str, found: str) -> None:
    assert segment(raw, path, routed) == found


@pytest.mark.parametrize(
    ("raw", "path", "routed"),
    [("/upload/%ff", "/upload/\ufffd", "/\ufffd"), ("/upload%2Fa/b-1", "/upload/a/b-1", "/a/b-1")],
)
def test_a_path_that_says_something_else_than_its_route_is_refused(raw: str, path: str, routed: str) -> None:
    with pytest.raises(BadName):
        segment(raw, path, routed)


def test_a_server_that_gives_no_raw_path_will_do() -> None:
    assert segment_of(scope(path="/upload/é 1-1", raw_path=None), "/é 1-1") == "é 1-1"


@pytest.mark.parametrize("query", [b"a=%ff", b"\xff", b"&".join([b"a=1"] * 65)])
def test_a_query_that_cannot_be_read_is_refused(query: bytes) -> None:
    with pytest.raises(BadField):
        query_of(scope(query_string=query))


def test_headers_are_joined_and_copied() -> None:
    pairs = [(b"A", b"1"), (b"a", b"2"), (b"B", b"\xe9")]
    found = headers_of(scope(headers=pairs))
    pairs.append((b"content-digest", b"a trailer"))
    assert found == {"a": "1, 2", "b": "é"}


# -- other origins ----------------------------------------------------------------------------------

ASKING = {"access-control-request-method": "PUT"}


def test_any_origin_may_see_answers() -> None:
    found = Cors(["*"], credentials=False).headers("https://app.example")
    assert found["access-control-allow-origin"] == "*"
    assert "vary" not in found
    assert "Upload-Offset" in found["access-control-expose-headers"]
    assert Cors(["*"], credentials=False).headers(None) == {}


@pytest.mark.parametrize(
    "origin", ["https://exampleXcom", "https://example.com.evil", "http://example.com", "null", ""]
)
def test_an_origin_is_compared_exactly(origin: str) -> None:
    cors = Cors(["https://example.com"], credentials=True)
    assert cors.headers(origin) == {"vary": "Origin"}
    assert cors.preflight({"origin": origin, **ASKING}, ["PUT"]) == {}


def test_credentials_are_for_exact_origins() -> None:
    found = Cors(["https://a.example", "https://b.example"], credentials=True).headers("https://b.example")
    assert found["access-control-allow-origin"] == "https://b.example"
    assert found["access-control-allow-credentials"] == "true"
    assert found["vary"] == "Origin"
    with pytest.raises(ValueError, match="exact origins"):
        Cors(["*"], credentials=True)


def test_a_preflight_grants_what_is_asked_for() -> None:
    asked = {
        "origin": "https://a.example",
        **ASKING,
        "access-control-request-headers": "x-csrf, UPLOAD-OFFSET, a b,x:y",
    }
    found = Cors(["*"], credentials=False).preflight(asked, ["PUT", "OPTIONS"])
    assert found["access-control-allow-methods"] == "PUT, OPTIONS"
    assert found["access-control-allow-headers"].endswith("X-Requested-With, x-csrf")
    assert int(found["access-control-max-age"]) > 0


def test_a_plain_options_is_no_preflight() -> None:
    assert Cors(["*"], credentials=False).preflight({"origin": "https://a.example"}, ["PUT"]) == {}


# -- downloads --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=3-", (3, 7)),
        ("bytes=3-99", (3, 7)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
        ("bytes=0-1,3-4", None),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=\uff11-\uff12", None),
        ("items=0-1", None),
        (f"bytes={'9' * 30}-", None),
        ("bytes=" + ",".join(["0-1"] * 10_000), None),
    ],
)
def test_one_range_is_read_all_else_is_the_whole(asked: str, span: tuple[int, int] | None) -> None:
    assert span_of(asked, 10) == span


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_a_range_outside_is_refused_with_the_size(asked: str) -> None:
    with pytest.raises(RangeUnsatisfiable) as caught:
        span_of(asked, 10)
    assert caught.value.facts["size"] == 10


@given(a=st.integers(0, 50), b=st.integers(0, 50), size=st.integers(1, 40))
def test_a_range_lies_in_the_file(a: int, b: int, size: int) -> None:
    whole: Sequence[int] = range(size)
    try:
        span = span_of(f"bytes={a}-{b}", size)
    except RangeUnsatisfiable:
        assert a >= size
        return
    assert (span is None) == (b < a)
    if span is not None:
        assert list(whole[a : b + 1]) == list(whole[span.start : span.start + span.size])


@pytest.mark.parametrize(
    ("field", "found"),
    [('"x"', True), ('W/"x"', True), ('"a", "x"', True), ("*", True), ('"y"', False), ("", False), ("x", False)],
)
def test_a_tag_is_compared_weakly(field: str, found: bool) -> None:
    assert matches(field, '"x"') is found
