"""Addresses, URLs, headers, multidicts, uploads and state."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Mapping
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest

from pallasite import datastructures
from pallasite.datastructures import (
    URL,
    Address,
    CommaSeparatedStrings,
    FormData,
    Headers,
    ImmutableMultiDict,
    MultiDict,
    MutableHeaders,
    QueryParams,
    Secret,
    State,
    UploadFile,
    URLPath,
)


def test_public_classes_name_this_module() -> None:
    for name in datastructures.__all__:
        assert getattr(datastructures, name).__module__ == "pallasite.datastructures"


@pytest.mark.parametrize(
    "value",
    [
        Address("h", 1),
        URL("http://a/b"),
        QueryParams("a=1&a=2"),
        MultiDict([("a", 1), ("a", 2)]),
        Headers({"a": "b"}),
        State({"a": 1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_survive_pickle_and_copy(value: Any) -> None:
    for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert type(again) is type(value)
        if isinstance(value, State):
            assert dict(again._state) == {"a": 1}
        else:
            assert again == value


# --- URL


def test_url_components_of_every_kind() -> None:
    url = URL("https://me:secret@A.org:8443/p%20q?x=1#top")
    assert (url.scheme, url.netloc, url.path) == ("https", "me:secret@A.org:8443", "/p%20q")
    assert (url.query, url.fragment, url.is_secure) == ("x=1", "top", True)
    assert (url.username, url.password, url.hostname, url.port) == ("me", "secret", "a.org", 8443)
    assert url == "https://me:secret@A.org:8443/p%20q?x=1#top" == str(url)
    assert url != URL("https://a.org")


def test_url_parts_that_are_absent() -> None:
    url = URL("/only")
    assert (url.scheme, url.netloc, url.query, url.fragment, url.is_secure) == ("", "", "", "", False)
    assert (url.username, url.password, url.hostname, url.port) == (None, None, None, None)


def test_url_is_unhashable() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(URL("/"))


@pytest.mark.parametrize("url", ["http://[::1", "http://a]/", "http://[nonsense]/"])
def test_url_malformed_authority_is_value_error_when_asked(url: str) -> None:
    made = URL(url)
    with pytest.raises(ValueError):
        made.components  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scheme": "http"}, "http://me:pw@a.org:1/b?c"),
        ({"path": "/x", "query": "", "fragment": "f"}, "https://me:pw@a.org:1/x#f"),
        ({"netloc": "b.org"}, "https://b.org/b?c"),
        ({"hostname": "b.org"}, "https://me:pw@b.org:1/b?c"),
        ({"hostname": "::1"}, "https://me:pw@[::1]:1/b?c"),
        ({"port": None}, "https://me:pw@a.org/b?c"),
        ({"username": None}, "https://a.org:1/b?c"),
        ({"password": None}, "https://me@a.org:1/b?c"),
        ({"username": "you", "password": "x", "port": 2}, "https://you:x@a.org:2/b?c"),
    ],
)
def test_url_replace_changes_only_what_is_named(changes: dict[str, Any], expected: str) -> None:
    assert URL("https://me:pw@a.org:1/b?c").replace(**changes) == expected


def test_url_replace_port_keeps_an_ipv6_host() -> None:
    assert URL("http://[::1]/").replace(port=8) == "http://[::1]:8/"
    assert URL("http://[::1]:8/").replace(port=None) == "http://[::1]/"


def test_url_replace_keeps_the_class() -> None:
    class Link(URL):
        pass

    assert type(Link("/a").replace(path="/b")) is Link


def test_url_replace_unknown_component_is_an_error() -> None:
    with pytest.raises((TypeError, ValueError)):
        URL("/a").replace(nonsense="x")
    with pytest.raises(TypeError):
        URL("http://a").replace(path=b"/bytes")


def test_url_from_components_is_joined() -> None:
    assert URL(scheme="https", netloc="a.org", path="/b", query="c=d") == "https://a.org/b?c=d"
    assert URL(scheme="https", hostname="::1", port=8, path="/") == "https://[::1]:8/"


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "/a", "scope": {"path": "/", "headers": []}},
        {"url": "/a", "path": "/b"},
        {"scope": {"path": "/", "headers": []}, "path": "/b"},
    ],
)
def test_url_from_two_sources_is_assertion_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="Cannot set both"):
        URL(**arguments)


def test_url_query_params_are_added_replaced_and_removed() -> None:
    url = URL("/a?x=1&y=2&x=3#f")
    assert url.include_query_params(x=4, z="ü") == "/a?y=2&x=4&z=%C3%BC#f"
    assert url.replace_query_params(n=None) == "/a?n=None#f"
    assert url.remove_query_params("x") == "/a?y=2#f"
    assert url.remove_query_params(["x", "y", "absent"]) == "/a#f"


def test_url_repr_hides_the_password() -> None:
    assert repr(URL("http://me:pw@a.org/")) == "URL('http://me:********@a.org/')"
    assert repr(URL("http://me@a.org/")) == "URL('http://me@a.org/')"


def test_url_path_is_text_that_cannot_become_an_authority() -> None:
    assert URLPath("//evil.org/a") == "/%2Fevil.org/a"
    assert URLPath("/\\evil.org") == "/%5Cevil.org"
    with pytest.raises(AssertionError):
        URLPath("/", protocol="ftp")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "base", "url"),
    [
        (URLPath("/a"), "https://h/", "https://h/a"),
        (URLPath("/a", protocol="http"), "https://h/b/", "https://h/b/a"),
        (URLPath("/a", protocol="websocket"), "https://h", "wss://h/a"),
        (URLPath("/a", protocol="websocket"), URL("http://h"), "ws://h/a"),
        (URLPath("/a", host="other"), "https://h/b", "https://other/b/a"),
        (URLPath("/ü", protocol="http"), "https://ü.org", "https://ü.org/ü"),
        (URLPath("/a", protocol="http"), "http://[::1]:1", "http://[::1]:1/a"),
    ],
)
def test_url_path_make_absolute_url_table(path: URLPath, base: str | URL, url: str) -> None:
    assert path.make_absolute_url(base) == url


# --- Secret, CommaSeparatedStrings


def test_secret_shows_only_on_demand() -> None:
    secret = Secret("hunter2")
    assert str(secret) == "hunter2"
    assert repr(secret) == "Secret('**********')"
    assert secret
    assert not Secret("")


def test_comma_separated_strings_split_and_compare_as_a_sequence() -> None:
    items = CommaSeparatedStrings('a, "b,c" ,d')
    assert list(items) == ["a", "b,c", "d"]
    assert (len(items), items[0], items[1:]) == (3, "a", ["b,c", "d"])
    assert repr(items) == "CommaSeparatedStrings(['a', 'b,c', 'd'])"
    assert str(items) == "'a', 'b,c', 'd'"
    assert list(CommaSeparatedStrings(["x,y"])) == ["x,y"]
    with pytest.raises(ValueError, match="quotation"):
        CommaSeparatedStrings('"open')


# --- MultiDict


@pytest.mark.parametrize(
    "source",
    [
        [("a", 1), ("b", 2), ("a", 3)],
        iter([("a", 1), ("b", 2), ("a", 3)]),
        MultiDict([("a", 1), ("b", 2), ("a", 3)]),
    ],
    ids=["list", "iterator", "multidict"],
)
def test_multidict_last_value_wins_all_are_kept(source: Any) -> None:
    items = ImmutableMultiDict(source)
    assert items["a"] == 3
    assert items.getlist("a") == [1, 3]
    assert items.getlist("c") == []
    assert items.multi_items() == [("a", 1), ("b", 2), ("a", 3)]
    assert (list(items), list(items.keys()), list(items.values())) == (["a", "b"], ["a", "b"], [3, 2])
    assert dict(items.items()) == dict(items) == {"a": 3, "b": 2}
    assert "a" in items
    assert "c" not in items
    assert len(items) == 2
    assert items.get("c") is None
    with pytest.raises(KeyError):
        items["c"]


def test_multidict_from_mapping_keywords_or_nothing() -> None:
    assert ImmutableMultiDict({"a": 1}, b=2).multi_items() == [("a", 1), ("b", 2)]
    assert ImmutableMultiDict([("a", 1)], a=2).multi_items() == [("a", 1), ("a", 2)]
    assert ImmutableMultiDict(None).multi_items() == []  # type: ignore[arg-type]
    assert ImmutableMultiDict().multi_items() == []
    with pytest.raises(AssertionError, match="Too many"):
        ImmutableMultiDict([], [])


def test_multidict_does_not_share_its_source() -> None:
    source = [("a", 1)]
    items = MultiDict(source)
    items.append("b", 2)
    assert source == [("a", 1)]


def test_multidict_equality_ignores_the_order_of_keys_only() -> None:
    items = MultiDict([("a", 1), ("b", 2), ("a", 3)])
    assert items == MultiDict([("b", 2), ("a", 1), ("a", 3)])
    assert items != MultiDict([("a", 3), ("b", 2), ("a", 1)])
    assert items != [("a", 1)]
    # Keys that do not compare with each other.
    assert MultiDict([(1, "a"), ("b", "c")]) == MultiDict([("b", "c"), (1, "a")])
    assert repr(items) == "MultiDict([('a', 1), ('b', 2), ('a', 3)])"


def test_multidict_changes() -> None:
    items = MultiDict([("a", 1), ("b", 2), ("a", 3)])
    items["a"] = 4
    assert items.multi_items() == [("b", 2), ("a", 4)]
    items.setlist("c", [5, 6])
    assert items.setdefault("c") == 6
    assert items.setdefault("d", 7) == 7
    items.append("b", 8)
    assert items.multi_items() == [("b", 2), ("a", 4), ("c", 5), ("c", 6), ("d", 7), ("b", 8)]
    assert items.poplist("b") == [2, 8]
    assert items.pop("a") == 4
    assert items.pop("a", "gone") == "gone"
    assert items.popitem() == ("d", 7)
    items.setlist("c", [])
    assert items.multi_items() == []
    assert items == MultiDict()


def test_multidict_update_replaces_all_values_of_a_key() -> None:
    items = MultiDict([("a", 1), ("b", 2), ("a", 3)])
    items.update([("a", 4), ("a", 5)], c=6)
    assert items.multi_items() == [("b", 2), ("a", 4), ("a", 5), ("c", 6)]
    assert dict(items) == {"a": 5, "b": 2, "c": 6}


def test_multidict_deleting_and_clearing() -> None:
    items = MultiDict([("a", 1), ("b", 2), ("a", 3)])
    del items["a"]
    with pytest.raises(KeyError):
        del items["a"]
    assert items.multi_items() == [("b", 2)]
    items.clear()
    assert not items
    assert items.multi_items() == []
    with pytest.raises(KeyError):
        items.popitem()


# --- QueryParams


def test_query_params_from_every_source_are_text() -> None:
    expected = [("a", "1"), ("b", ""), ("a", "2")]
    for source in ("a=1&b=&a=2", b"a=1&b&a=2", expected, [("a", 1), ("b", ""), ("a", 2)], ImmutableMultiDict(expected)):
        params = QueryParams(source)
        assert params.multi_items() == expected
        assert dict(params) == {"a": "2", "b": ""}
        assert str(params) == "a=1&b=&a=2"
        assert repr(params) == "QueryParams('a=1&b=&a=2')"
    assert QueryParams({"a": 1}, b=2).multi_items() == [("a", "1"), ("b", "2")]
    assert QueryParams("a=1", b=None).multi_items() == [("a", "1"), ("b", "None")]
    assert QueryParams().multi_items() == []
    with pytest.raises(AssertionError, match="Too many"):
        QueryParams("a", "b")


def test_query_params_private_parts_can_be_read_and_replaced() -> None:
    params = QueryParams("a=1")
    params._dict["b"] = "2"
    assert params["b"] == "2"
    params._list = [("c", "3")]
    assert params.getlist("c") == ["3"]
    assert str(params) == "c=3"


def test_multidict_subclass_with_its_own_lookup_has_a_get_that_uses_it() -> None:
    class Upper(QueryParams):
        def __getitem__(self, key: str) -> str:
            return super().__getitem__(key).upper()

    assert Upper("a=b").get("a") == "B"
    assert Upper("a=b").get("c", "d") == "d"
    assert QueryParams("a=b").get("c", "d") == "d"


def test_query_params_subclass_with_its_own_init_works() -> None:
    class Paging(QueryParams):
        def __init__(self, page: int) -> None:
            super().__init__({"page": page})
            self.extra = True

    assert Paging(3)["page"] == "3"


# --- Headers


RAW = [(b"host", b"a.org"), (b"accept", b"x"), (b"accept", b"y")]


def test_headers_are_a_case_insensitive_mapping_with_duplicates() -> None:
    headers = Headers(raw=RAW)
    assert isinstance(headers, Mapping)
    assert headers["Host"] == "a.org"
    assert (headers.get("ACCEPT"), headers.get("none"), headers.get("none", 1)) == ("x", None, 1)
    assert headers.getlist("Accept") == ["x", "y"]
    assert "HOST" in headers
    assert "none" not in headers
    assert headers.keys() == list(headers) == ["host", "accept", "accept"]
    assert headers.values() == ["a.org", "x", "y"]
    assert headers.items() == [("host", "a.org"), ("accept", "x"), ("accept", "y")]
    assert len(headers) == 3
    assert dict(headers) == {"host": "a.org", "accept": "x"}
    with pytest.raises(KeyError, match="none"):
        headers["none"]


def test_headers_name_no_header_can_have_is_absent() -> None:
    headers = Headers(raw=RAW)
    assert "ключ" not in headers
    assert headers.get("ключ", "default") == "default"
    with pytest.raises(KeyError):
        headers["\ud800"]


def test_headers_from_mapping_are_lowered_and_latin1() -> None:
    assert Headers({"X-Name": "é"}).raw == [(b"x-name", b"\xe9")]
    assert Headers().raw == []
    with pytest.raises(UnicodeEncodeError):
        Headers({"a": "€"})


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_headers_from_scope_copy_the_list(kind: Any) -> None:
    scope = {"headers": kind(RAW)}
    headers = Headers(scope=scope)
    assert scope["headers"] == RAW
    assert scope["headers"] is not RAW
    scope["headers"].append((b"later", b"1"))
    assert headers["later"] == "1"
    assert "later" not in Headers(raw=RAW)


def test_headers_from_replaced_scope_headers_are_read_again() -> None:
    scope: dict[str, Any] = {"headers": RAW}
    assert Headers(scope=scope)["host"] == "a.org"
    scope["headers"] = ((b"host", b"b.org"),)
    assert Headers(scope=scope)["host"] == "b.org"


@pytest.mark.parametrize("pair", [("headers", "raw"), ("headers", "scope"), ("raw", "scope")])
def test_headers_from_two_sources_is_assertion_error(pair: tuple[str, str]) -> None:
    sources: dict[str, Any] = {"headers": {}, "raw": [], "scope": {"headers": []}}
    with pytest.raises(AssertionError, match="Cannot set both"):
        Headers(**{name: sources[name] for name in pair})


def test_headers_equal_in_any_order_and_shown_as_short_as_possible() -> None:
    assert Headers(raw=RAW) == Headers(raw=RAW[::-1]) == MutableHeaders(raw=list(RAW))
    assert Headers({"a": "1"}) != {"a": "1"}
    assert repr(Headers({"a": "1"})) == "Headers({'a': '1'})"
    assert repr(Headers(raw=RAW)) == f"Headers(raw={RAW!r})"


def test_headers_raw_and_mutable_copies_are_independent() -> None:
    headers = Headers(raw=list(RAW))
    headers.raw.clear()
    copied = headers.mutablecopy()
    copied["host"] = "b.org"
    assert headers["host"] == "a.org"
    assert type(copied) is MutableHeaders


def test_headers_subclass_with_its_own_lookup_has_a_get_that_uses_it() -> None:
    class Fixed(Headers):
        def __getitem__(self, key: str) -> str:
            if key == "none":
                raise KeyError(key)
            return "fixed"

    assert Fixed().get("a") == "fixed"
    assert Fixed().get("none", "default") == "default"


def test_headers_ten_thousand_are_looked_up_through_an_index() -> None:
    compared = 0

    class Name(bytes):
        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return bytes.__eq__(self, other)

        __hash__ = bytes.__hash__

    headers = Headers(raw=[(Name(b"n%d" % (number % 5_000)), b"%d" % number) for number in range(10_000)])
    found = dict(headers)
    assert len(found) == 5_000
    assert found["n4999"] == "4999"
    assert headers.get("N17") == "17"
    assert "missing" not in headers
    assert headers.get("ключ") is None
    assert compared < 100_000


def test_headers_many_that_change_in_the_shared_list_are_found() -> None:
    shared = [(b"n%d" % number, b"old") for number in range(1_000)]
    headers = Headers(raw=shared)
    assert headers["n500"] == "old"
    shared[500] = (b"other", b"new")
    assert "n500" not in headers
    assert headers["other"] == "new"
    shared.insert(0, (b"n7", b"first"))
    assert headers["n7"] == "first"


def test_mutable_headers_many_are_found_where_they_moved() -> None:
    headers = MutableHeaders(raw=[(b"n%d" % number, b"old") for number in range(1_000)])
    assert headers["n7"] == "old"
    headers.raw[3] = (b"n7", b"first")
    assert headers["n7"] == "first"
    assert headers.setdefault("n999", "x") == "old"


@pytest.mark.parametrize("wrong", [b"host", 1, None])
def test_headers_name_that_is_not_text_is_type_error(wrong: Any) -> None:
    for look in (
        Headers(raw=RAW).get,
        Headers(raw=RAW).getlist,
        Headers(raw=RAW).__getitem__,
        Headers(raw=RAW).__contains__,
    ):
        with pytest.raises(TypeError):
            look(wrong)


def test_mutable_headers_set_append_and_delete() -> None:
    headers = MutableHeaders(raw=list(RAW))
    raw = headers.raw
    headers["Accept"] = "z"
    headers.append("Set-Cookie", "a=1")
    headers.append("set-cookie", "b=2")
    assert headers.setdefault("HOST", "other") == "a.org"
    assert headers.setdefault("X-New", "n") == "n"
    del headers["Set-Cookie"]
    del headers["absent"]
    assert raw == [(b"host", b"a.org"), (b"accept", b"z"), (b"x-new", b"n")]


def test_mutable_headers_update_and_merge() -> None:
    headers = MutableHeaders({"a": "1"})
    headers.update({"A": "2"})
    headers |= {"b": "3"}
    merged = headers | Headers({"c": "4"})
    assert headers == Headers({"a": "2", "b": "3"})
    assert merged == Headers({"a": "2", "b": "3", "c": "4"})
    for wrong in ([("a", "1")], None):
        with pytest.raises(TypeError, match="Expected a mapping but got"):
            headers |= wrong  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="Expected a mapping but got"):
            headers | wrong  # type: ignore[operator]


def test_mutable_headers_vary_is_one_field() -> None:
    headers = MutableHeaders()
    headers.add_vary_header("Accept-Encoding")
    headers.append("vary", "Origin")
    headers.add_vary_header("Cookie")
    assert headers.getlist("vary") == ["Accept-Encoding, Origin, Cookie"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a b", "x"),
        ("", "x"),
        ("a\r\nb", "x"),
        ("a", "x\r\nset-cookie: y"),
        ("a", "x\n"),
        ("a", "\0"),
        ("a", "€"),
        ("ü", "x"),
    ],
)
def test_mutable_headers_refuse_what_would_break_the_message(name: str, value: str) -> None:
    headers = MutableHeaders({"kept": "1"})
    with pytest.raises(ValueError):
        headers[name] = value
    with pytest.raises(ValueError):
        headers.append(name, value)
    with pytest.raises(ValueError):
        headers.setdefault(name, value)
    with pytest.raises(ValueError):
        headers.update({name: value})
    with pytest.raises(ValueError):
        MutableHeaders({name: value})
    assert headers == Headers({"kept": "1"})


# --- State


def test_state_attributes_and_items_are_the_same() -> None:
    kept: dict[str, Any] = {"a": 1}
    state = State(kept)
    state.b = 2
    state["c"] = 3
    assert (state.a, state["b"], state.c) == (1, 2, 3)
    assert state._state is kept
    del state.a
    del state["b"]
    assert kept == {"c": 3}
    assert (list(state), len(state)) == (["c"], 1)


def test_state_missing_is_attribute_error_or_key_error() -> None:
    state = State()
    with pytest.raises(AttributeError, match="'State' object has no attribute 'a'"):
        state.a  # noqa: B018
    with pytest.raises(KeyError):
        state["a"]
    with pytest.raises(KeyError):
        del state.a
    assert not hasattr(State.__new__(State), "a")


# --- UploadFile, FormData


class Disk(io.BytesIO):
    """A file that is not spooled, so taken to be on disk."""


@pytest.mark.anyio
@pytest.mark.parametrize("max_size", [0, 4, 1024], ids=["unlimited", "rolls", "fits"])
async def test_upload_file_reads_back_what_was_written(max_size: int) -> None:
    with SpooledTemporaryFile(max_size=max_size) as file:
        upload = UploadFile(file, size=0, filename="a.txt")  # type: ignore[arg-type]
        await upload.write(b"abc")
        assert upload._in_memory
        await upload.write(b"defg")
        assert upload._in_memory is (max_size != 4)
        await upload.write(b"h")
        await upload.seek(0)
        assert await upload.read(2) == b"ab"
        assert await upload.read() == b"cdefgh"
        assert upload.size == 8
        await upload.close()
        assert file.closed


@pytest.mark.anyio
async def test_upload_file_of_a_plain_file_uses_threads() -> None:
    upload = UploadFile(Disk(b"abc"))
    assert not upload._in_memory
    await upload.seek(3)
    await upload.write(b"d")
    await upload.seek(0)
    assert await upload.read() == b"abcd"
    assert upload.size is None
    await upload.close()
    assert upload.file.closed


def test_upload_file_describes_itself() -> None:
    upload = UploadFile(Disk(), filename="a", size=3, headers=Headers({"Content-Type": "text/plain"}))
    assert upload.content_type == "text/plain"
    assert UploadFile(Disk()).content_type is None
    assert repr(upload) == "UploadFile(filename='a', size=3, headers=Headers({'content-type': 'text/plain'}))"


@pytest.mark.anyio
async def test_form_data_closes_every_file() -> None:
    files = [UploadFile(Disk()), UploadFile(Disk())]
    form = FormData([("a", files[0]), ("text", "b"), ("a", files[1])])
    assert form.getlist("a") == files
    assert form["text"] == "b"
    await form.close()
    assert all(upload.file.closed for upload in files)


def test_url_hostname_with_a_colon_that_is_not_an_address_gets_no_brackets() -> None:
    assert str(URL("http://a/").replace(hostname="b:c")) == "http://b:c/"
    assert str(URL("http://a/").replace(hostname="::1")) == "http://[::1]/"


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("red,#fff,blue", ["red", "#fff", "blue"]),
        ("#news, #sport", ["#news", "#sport"]),
        ("a#b,c", ["a#b", "c"]),
        ("https://a.example/#/start,b", ["https://a.example/#/start", "b"]),
        ('"x,y#",z', ["x,y#", "z"]),
    ],
)
def test_comma_separated_number_sign_is_no_comment(text: str, items: list[str]) -> None:
    assert list(CommaSeparatedStrings(text)) == items
