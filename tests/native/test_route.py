"""The contract of `_core.PathPattern` and `_core.RouteTable`."""

from __future__ import annotations

import gc
import re
import sys
import weakref
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite._core import PathPattern, RouteKind, RouteTable, register_stock_convertors
from pallasite.convertors import CONVERTOR_TYPES, Convertor
from tests.support.asgi import scope_of

HTTP, WEBSOCKET, MOUNT, HOST = RouteKind.HTTP, RouteKind.WEBSOCKET, RouteKind.MOUNT, RouteKind.HOST
OPAQUE = RouteKind.OPAQUE


def pattern(path: str, **own: Convertor[Any]) -> PathPattern:
    return PathPattern(path, {**CONVERTOR_TYPES, **own})


class Node:
    """A route as the table knows it: three attributes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.endpoint = f"endpoint of {name}"
        self.app = lambda: f"app of {name}"

    def handle(self) -> str:
        return f"handle of {self.name}"


def http(path: str, methods: Any = None, direct: bool = True) -> tuple[Any, ...]:
    return HTTP, Node(path), pattern(path), methods, direct


def winner(table: RouteTable, scope: dict[str, Any]) -> str | None:
    called = table.match(scope)
    return None if called is None else str(called())


# --- PathPattern


@pytest.mark.parametrize(
    ("path", "text", "params"),
    [
        ("/", "/", {}),
        ("/", "", None),
        ("/a", "/a\n", None),
        ("/{x}", "/a\n", {"x": "a\n"}),
        ("/{x:int}", "/1\n", None),
        ("/{x:int}", "/٣", None),
        ("/{x:int}", "/" + "9" * 30, {"x": int("9" * 30)}),
        ("/{x:int}", "/" + "9" * 5000, None),
        ("/{x:float}", "/1.5", {"x": 1.5}),
        ("/{x:float}", "/1.", None),
        ("/{x:uuid}", "/" + "1" * 32, {"x": UUID("1" * 32)}),
        ("/{x}.json", "/a.b.json", {"x": "a.b"}),
        ("/{a}-{b}.json", "/1-2-3.json", {"a": "1-2", "b": "3"}),
        ("/{a:path}/edit", "/x/y/edit", {"a": "x/y"}),
        ("/{a:path}", "/x\ny", None),
        ("/é/{a}", "/é/ü", {"a": "ü"}),
        ("/{a}{b}", "/é", None),
        ("/{a}", "/\ud800x", {"a": "\ud800x"}),
        ("/\ud800/{a}", "/\ud800/b", {"a": "b"}),
        ("/{a}-{b}", "/\udc80-\U0001f600", {"a": "\udc80", "b": "\U0001f600"}),
        ("{sub}.example.org", "A.EXAMPLE.org", {"sub": "A"}),
        ("example.org:80", "Example.ORG", {}),
        ("[::1]", "[::1]", {}),
        ("K.org", "k.org", {}),
    ],
)
def test_match_path_and_text_returns_params(path: str, text: str, params: dict[str, Any] | None) -> None:
    found = pattern(path).match(text)
    assert found == params
    # The expression matches the same, except for values that int() rejects.
    regex = re.compile(pattern(path).regex, re.IGNORECASE if pattern(path).is_host else 0)
    assert (regex.match(text) is None) == (params is None) or len(text) > 4300


@given(st.text(st.characters(), max_size=10))
def test_match_any_text_is_found_whole(text: str) -> None:
    found = pattern("/x/{x}").match("/x/" + text)
    assert found == ({"x": text} if text and "/" not in text else None)


@given(st.from_regex(r"\A[0-9]{1,25}(\.[0-9]{1,25})?\Z"))
def test_match_number_is_what_python_makes_of_it(text: str) -> None:
    assert pattern("/{x:float}").match("/" + text) == {"x": float(text)}
    if "." not in text:
        assert pattern("/{x:int}").match("/" + text) == {"x": int(text)}


@given(st.text(st.characters(codec="ascii"), max_size=8))
def test_regex_literal_is_escaped_as_re_does(text: str) -> None:
    text = text.replace("{", "")
    assert pattern("/" + text).regex == "^" + re.escape("/" + text) + r"\Z"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/{a}/{a}", "Duplicated param name a at path /{a}/{a}"),
        ("/{b}{a}/{a}/{b}", "Duplicated param names a, b at path /{b}{a}/{a}/{b}"),
    ],
)
def test_pattern_duplicate_names_are_refused(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        pattern(path)


def test_pattern_unknown_convertor_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"^Unknown path convertor 'nope'$"):
        pattern("/{a:nope}")


def test_pattern_attributes_are_those_of_its_parts() -> None:
    made = pattern("/{a}/{b:int}.x")
    assert made.format == "/{a}/{b}.x"
    assert made.regex == r"^/(?P<a>[^/]+)/(?P<b>[0-9]+)\.x\Z"
    assert made.convertors == {"a": CONVERTOR_TYPES["str"], "b": CONVERTOR_TYPES["int"]}
    assert not made.is_host
    assert pattern("a.org").is_host
    assert pattern("").is_host
    assert repr(made) == '<PathPattern "/{a}/{b}.x">'


def own(regex_text: str, convert_text: Callable[[str], Any] = str) -> Convertor[Any]:
    class Own(Convertor[Any]):
        regex = regex_text

        def convert(self, value: str) -> Any:
            return convert_text(value)

    return Own()


def test_convert_errors_only_value_error_is_a_mismatch() -> None:
    def fail(error: type[Exception]) -> Callable[[str], Any]:
        def convert(value: str) -> Any:
            raise error(value)

        return convert

    for regex in ("[^/]+", "x+"):
        assert pattern("/{x:own}", own=own(regex, fail(ValueError))).match("/x") is None
        assert pattern("/{x:own}", own=own(regex, fail(UnicodeError))).match("/x") is None
        with pytest.raises(KeyError):
            pattern("/{x:own}", own=own(regex, fail(KeyError))).match("/x")


def test_custom_regex_broken_is_refused() -> None:
    with pytest.raises(re.error):
        pattern("/{x:own}", own=own("[a"))


def test_custom_regex_that_reaches_out_of_its_group_matches_as_in_python() -> None:
    odd = pattern("/{x:own}", own=own("a)|(?:/b"))
    found = re.compile(odd.regex)
    assert found.match("/a")
    assert odd.match("/a") == {"x": "a"}
    table = RouteTable([(HTTP, Node("odd"), odd, None, True), http("/a")])
    assert winner(table, scope_of("/a")) == "app of odd"


# --- RouteTable: the order


@pytest.mark.parametrize(
    ("paths", "path", "index"),
    [
        (["/{a}", "/b"], "/b", 0),
        (["/b", "/{a}"], "/b", 0),
        (["/b", "/{a}"], "/c", 1),
        (["/{a:int}", "/{a}", "/{a:path}"], "/1", 0),
        (["/{a:int}", "/{a}", "/{a:path}"], "/x", 1),
        (["/{a:int}", "/{a}", "/{a:path}"], "/x/y", 2),
        (["/{a:path}", "/x"], "/x", 0),
        (["/a/{x}-{y}", "/a/{x}", "/a/b-c"], "/a/b-c", 0),
        (["/{x}/b/{y:path}/z", "/a/{x}/c/z"], "/a/b/c/z", 0),
        (["/{x}/b/{y:path}/w", "/a/{x}/c/z"], "/a/b/c/z", 1),
        (["/a/", "/a"], "/a", 1),
        (["/a", "/a/"], "/a/", 1),
        (["/a"], "/a\n", None),
        (["/a"], "a", None),
        (["/a"], "", None),
        (["/{x}"], "//", None),
    ],
)
def test_match_overlapping_routes_takes_the_first_declared(paths: list[str], path: str, index: int | None) -> None:
    table = RouteTable([http(path) for path in paths])
    request = scope_of(path)
    assert winner(table, request) == (None if index is None else f"app of {paths[index]}")
    assert request.get("route") is None or request["route"].name == paths[index or 0]


def test_match_first_full_beats_an_earlier_partial() -> None:
    table = RouteTable([http("/{a}", {"POST"}), http("/{b}", {"PUT"}), http("/x", {"GET"})])
    assert winner(table, scope_of("/x")) == "app of /x"
    assert winner(table, scope_of("/x", method="DELETE")) == "handle of /{a}"
    request = scope_of("/y")
    assert winner(table, request) == "handle of /{a}"
    assert request["path_params"] == {"a": "y"}


def test_match_methods_changed_in_place_are_honoured() -> None:
    methods = {"POST"}
    table = RouteTable([http("/", methods)])
    assert winner(table, scope_of()) == "handle of /"
    methods.add("GET")
    assert winner(table, scope_of()) == "app of /"
    methods.clear()
    assert winner(table, scope_of(method="ANY")) == "app of /"


def test_match_attributes_changed_later_are_honoured() -> None:
    entry = http("/")
    table = RouteTable([entry])
    entry[1].app = lambda: "new app"
    entry[1].endpoint = "new endpoint"
    request = scope_of()
    assert winner(table, request) == "new app"
    assert request["endpoint"] == "new endpoint"


def with_function_app(app: Any, owner: Any) -> Any:
    """`app` with another callable that the router takes in its place, where `owner` is `app` itself."""

    def instead() -> str:
        return "in its place"

    instead.app = owner  # type: ignore[attr-defined]
    app._function_app = instead
    return app


def test_match_returns_the_function_app_it_was_built_with() -> None:
    entry = http("/")
    with_function_app(entry[1].app, entry[1].app)
    table = RouteTable([entry])
    assert winner(table, scope_of()) == "in its place"
    entry[1].app = with_function_app(lambda: "new app", None)
    assert winner(table, scope_of()) == "new app"


@pytest.mark.parametrize("direct", [True, False])
def test_match_ignores_the_function_app_of_another_app_or_an_indirect_route(direct: bool) -> None:
    entry = http("/", direct=direct)
    with_function_app(entry[1].app, None if direct else entry[1].app)
    assert winner(RouteTable([entry]), scope_of()) == ("app of /" if direct else "handle of /")


def test_build_raises_errors_of_a_wrong_function_app() -> None:
    entry = http("/")
    entry[1].app._function_app = object()
    with pytest.raises(AttributeError, match="app"):
        RouteTable([entry])


def test_match_indirect_route_returns_its_handle() -> None:
    assert winner(RouteTable([http("/", direct=False)]), scope_of()) == "handle of /"


def test_match_scope_type_decides_which_routes_count() -> None:
    table = RouteTable([(WEBSOCKET, Node("socket"), pattern("/x"), None, True), http("/x")])
    assert winner(table, scope_of("/x")) == "app of /x"
    assert winner(table, scope_of("/x", type="websocket")) == "app of socket"
    assert winner(table, scope_of("/x", type="lifespan")) is None


# --- RouteTable: the scope


def test_match_none_leaves_the_scope_untouched() -> None:
    request = scope_of("/nowhere", path_params={"a": 1})
    before = dict(request)
    assert RouteTable([http("/x")]).match(request) is None
    assert RouteTable([]).match(request) is None
    assert request == before


def test_match_path_params_are_merged_into_a_new_dict() -> None:
    above = {"a": "above", "b": 2}
    request = scope_of("/x", path_params=above)
    RouteTable([http("/{a}")]).match(request)
    assert request["path_params"] == {"a": "x", "b": 2}
    assert above == {"a": "above", "b": 2}


@pytest.mark.parametrize(
    ("root_path", "path", "rest"),
    [
        ("", "/a/b", "/a/b"),
        ("/a", "/a/b", "/b"),
        ("/a", "/a", None),
        ("/a", "/ab", "/ab"),
        ("/c", "/a/b", "/a/b"),
        ("/", "/a", "/a"),
        ("/\ud800", "/\ud800/b", "/b"),
    ],
)
def test_match_root_path_is_taken_off_where_a_segment_ends(root_path: str, path: str, rest: str | None) -> None:
    request = scope_of(path, root_path=root_path)
    found = RouteTable([http("/{rest:path}")]).match(request)
    assert (found and "/" + request["path_params"]["rest"]) == rest


@pytest.mark.parametrize(
    ("mount", "root_path", "path", "root_path_inside", "params"),
    [
        ("", "", "/a/b", "", {}),
        ("/m", "", "/m/a", "/m", {}),
        ("/m", "", "/m/", "/m", {}),
        ("/m", "/root", "/root/m/a/b", "/root/m", {}),
        ("/m/{x}", "", "/m/é/a", "/m/é", {"x": "é"}),
        ("/{x:int}", "", "/12/a", "/12", {"x": 12}),
    ],
)
def test_match_mount_moves_the_root_path(
    mount: str, root_path: str, path: str, root_path_inside: str, params: dict[str, Any]
) -> None:
    node = Node("mount")
    table = RouteTable([(MOUNT, node, pattern(mount + "/{path:path}"), None, True)])
    for kind in ("http", "websocket"):
        request = scope_of(path, type=kind, root_path=root_path, path_params={"above": 1})
        assert table.match(request) is node.app
        assert request["root_path"] == root_path_inside
        assert request["app_root_path"] == root_path
        assert request["path_params"] == {"above": 1, **params}
        assert request["endpoint"] is node.app
        assert request["route"] is node


def test_match_mount_keeps_an_app_root_path() -> None:
    request = scope_of("/m/a", app_root_path="/first")
    RouteTable([(MOUNT, Node("mount"), pattern("/m/{path:path}"), None, False)]).match(request)
    assert request["app_root_path"] == "/first"


def test_match_mount_with_own_path_convertor_uses_its_value() -> None:
    upper = {"path": own(".*", str.upper)}
    request = scope_of("/m/ab")
    RouteTable([(MOUNT, Node("mount"), PathPattern("/m/{path:path}", upper), None, False)]).match(request)
    assert (request["root_path"], request["path_params"]) == ("/m", {})


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ([(b"host", b"EXAMPLE.org:8000")], "example.org"),
        ([(b"x", b"y"), (b"host", b"a.example.org"), (b"x", b"y")], "{x}.example.org"),
        ([(b"host", b"example.org"), (b"x", b"y"), (b"host", b"example.org")], None),
        ([(b"host", b"[::1]:80")], "[::1]:99"),
        ([(b"host", b"k.org")], "\u212a.org"),
        ([(b"host", b"example.org/")], None),
        ([(b"host", b"example.org:x")], None),
        ([(b"host", b"user@example.org")], None),
        ([(b"Host", b"example.org")], None),
        ([], None),
        (((b"host", b"example.org"),), "example.org"),
        ([[b"host", b"example.org"]], "example.org"),
    ],
)
def test_match_host_header_decides(headers: Any, name: str | None) -> None:
    hosts = ["example.org", "{x}.example.org", "[::1]:99", "\u212a.org"]
    table = RouteTable([(HOST, Node(host), pattern(host), None, True) for host in hosts])
    request = scope_of("/any", headers=headers)
    if name is None:
        assert winner(table, request) is None
    else:
        assert winner(table, request) == f"app of {name}"


def test_match_headers_that_can_be_read_once_are_left_readable() -> None:
    table = RouteTable([(HOST, Node("host"), pattern("a.org"), None, True)])
    request = scope_of(headers=iter([(b"host", b"a.org"), (b"x", b"y")]))
    assert winner(table, request) == "app of host"
    assert request["headers"] == [(b"host", b"a.org"), (b"x", b"y")]


def test_match_host_without_headers_does_not_match() -> None:
    table = RouteTable([(HOST, Node("host"), pattern("a.org"), None, True), http("/")])
    assert winner(table, {"type": "http", "path": "/", "method": "GET"}) == "app of /"


# --- RouteTable: routes of unknown kinds


class Level:
    """As a member of any Match enum."""

    def __init__(self, value: int) -> None:
        self.value = value


class Asked(Node):
    def __init__(self, name: str, level: int) -> None:
        super().__init__(name)
        self.level, self.asked = level, 0

    def matches(self, scope: dict[str, Any]) -> tuple[Level, dict[str, Any]]:
        self.asked += 1
        return Level(self.level), {"endpoint": self.name, "own": True}


def test_match_opaque_route_is_asked_only_when_reached() -> None:
    first, last = Asked("first", 0), Asked("last", 2)
    table = RouteTable([(OPAQUE, first, None, None, False), http("/a"), (OPAQUE, last, None, None, False)])
    assert winner(table, scope_of("/a")) == "app of /a"
    assert (first.asked, last.asked) == (1, 0)
    request = scope_of("/b")
    assert winner(table, request) == "handle of last"
    assert (first.asked, last.asked) == (2, 1)
    assert (request["endpoint"], request["own"], request["route"]) == ("last", True, last)


def test_match_opaque_partial_is_kept_until_a_full_one() -> None:
    maybe = Asked("maybe", 1)
    table = RouteTable([(OPAQUE, maybe, None, None, True), http("/a"), http("/b", {"PUT"})])
    assert winner(table, scope_of("/a")) == "app of /a"
    assert winner(table, scope_of("/b")) == "handle of maybe"
    assert winner(table, scope_of("/a", type="other")) == "handle of maybe"


@pytest.mark.parametrize("kind", [HTTP, WEBSOCKET, MOUNT, HOST])
def test_entry_without_a_fitting_pattern_is_asked(kind: RouteKind) -> None:
    for fitting in (None, pattern("/x") if kind in (MOUNT, HOST) else pattern("x.org")):
        node = Asked("node", 2)
        assert winner(RouteTable([(kind, node, fitting, None, False)]), scope_of("/")) == "handle of node"


def test_entry_of_unknown_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="RouteKind"):
        RouteTable([(5, Node("x"), None, None, False)])  # type: ignore[list-item]


def test_kinds_are_distinguished() -> None:
    kinds = {HTTP, WEBSOCKET, MOUNT, HOST, OPAQUE}
    assert len(kinds) == 5
    assert repr(HOST) == "RouteKind.HOST"


def test_match_verdict_handed_in_is_known_without_its_value() -> None:
    class Declining(Node):
        def matches(self, scope: dict[str, Any]) -> tuple[object, dict[str, Any]]:
            return no, {}

    no = object()  # it has no `value` to read
    entries = [(OPAQUE, Declining("x"), None, None, False), http("/a")]
    assert winner(RouteTable(entries, no), scope_of("/a")) == "app of /a"
    with pytest.raises(AttributeError, match="value"):
        RouteTable(entries).match(scope_of("/a"))


@pytest.mark.parametrize("missing", ["type", "path", "method"])
def test_match_scope_without_a_key_is_key_error(missing: str) -> None:
    request = scope_of("/")
    del request[missing]
    with pytest.raises(KeyError, match=missing):
        RouteTable([http("/", {"GET"})]).match(request)


def test_match_error_of_a_route_is_passed_on() -> None:
    with pytest.raises(AttributeError, match="matches"):
        RouteTable([(OPAQUE, Node("x"), None, None, False)]).match(scope_of())


# --- RouteTable: unreachable routes


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        (http("/{a}"), http("/b"), True),
        (http("/{a}"), http("/{b:int}"), True),
        (http("/{a:int}"), http("/{b}"), False),
        (http("/b"), http("/b"), True),
        (http("/{a}-{b}"), http("/x-{b}"), False),
        (http("/{a}", {"GET"}), http("/b", {"POST"}), False),
        (http("/{a}", {"GET", "POST"}), http("/b", {"POST"}), True),
        (http("/{a}", {"GET"}), http("/b"), False),
        (http("/{a}"), http("/b", {"GET"}), True),
        (http("/{a}"), (WEBSOCKET, Node("w"), pattern("/b"), None, True), False),
        ((MOUNT, Node("m"), pattern("/m/{path:path}"), None, True), http("/m/{a}/b"), True),
        ((MOUNT, Node("m"), pattern("/m/{path:path}"), None, True), http("/m"), False),
        (http("/m/{path:path}"), (MOUNT, Node("m"), pattern("/m/{path:path}"), None, True), False),
        ((HOST, Node("h"), pattern("{x}.org"), None, True), (HOST, Node("g"), pattern("a.org"), None, True), True),
        ((HOST, Node("h"), pattern("a.org"), None, True), (HOST, Node("g"), pattern("b.org"), None, True), False),
        ((HOST, Node("h"), pattern("a.org"), None, True), http("/"), False),
        ((OPAQUE, Asked("o", 2), None, None, True), http("/"), False),
        ((HTTP, Node("o"), PathPattern("/{x:own}", {"own": own("[^/]+")}), None, True), http("/b"), False),
    ],
)
def test_unreachable_pair_is_reported_only_if_certain(
    earlier: tuple[Any, ...], later: tuple[Any, ...], expected: bool
) -> None:
    assert RouteTable([earlier, later]).unreachable() == ([(1, 0)] if expected else [])


def test_unreachable_many_routes_of_one_path_stays_linear() -> None:
    entries = [http("/{a}", {f"M{number}"}) for number in range(3000)]
    assert RouteTable(entries).unreachable() == []
    assert len(RouteTable(entries)) == 3000


# --- stock convertors


class Shouting(type(CONVERTOR_TYPES["str"])):  # type: ignore[misc]
    """A subclass of a stock convertor, with another `convert`."""

    def convert(self, value: str) -> str:
        return value.upper()


def test_stock_convertors_are_registered_once() -> None:
    register_stock_convertors({"str": Shouting()})  # too late: `pallasite.convertors` has done so
    assert PathPattern("/{x}", {"str": Shouting()}).match("/a") == {"x": "A"}
    assert pattern("/{x:int}").match("/7") == {"x": 7}


# --- memory


def test_table_in_a_cycle_is_collected() -> None:
    node = Node("x")
    entry = (HTTP, node, pattern("/x"), {"GET"}, True)
    node.table = RouteTable([entry])  # type: ignore[attr-defined]
    gone = weakref.ref(node)
    del node, entry
    gc.collect()
    assert gone() is None


def test_pattern_in_a_cycle_is_collected() -> None:
    convertor = own("x")
    convertor.pattern = pattern("/{x:own}", own=convertor)  # type: ignore[attr-defined]
    gone = weakref.ref(convertor)
    del convertor
    gc.collect()
    assert gone() is None


def test_match_repeated_keeps_no_reference() -> None:
    table = RouteTable([http("/a/{x}/{y:int}", {"GET"}), http("/b/{z:path}")])

    def run(times: int) -> int:
        for _ in range(times):
            for path in ("/a/b/1", "/a/b/c", "/b/x/y", "/nothing", "/\ud800"):
                table.match(scope_of(path))
        gc.collect()
        return sys.getallocatedblocks()

    run(100)
    before = run(10)
    assert run(1000) - before < 50


# --- hostile paths: one pass, no recursion


@pytest.mark.parametrize(
    "path",
    ["/" * 200_000, "/a" * 100_000, "/" + "a" * 1_000_000, "/-" * 100_000, "/" + "-" * 200_000, "/" + "1" * 200_000],
    ids=["slashes", "segments", "segment", "mixed", "dashes", "digits"],
)
def test_match_long_path_is_quick(path: str) -> None:
    sources = [
        "/{a}-{b}-{c}-{d}!",
        "/{a:path}-{b:path}-{c:path}/end",
        "/{x:int}",
        "/{x:float}x",
        "/{u:uuid}",
        "/a/a/a/b",
    ]
    table = RouteTable([http(source) for source in sources])
    # Quadratic work on these takes minutes, and the suite's time limit ends it.
    assert table.match(scope_of(path)) is None


def test_pattern_of_10_000_segments_is_matched() -> None:
    deep = "/{a}" + "/b" * 10_000
    table = RouteTable([http(deep), http("/{x:path}")])
    assert winner(table, scope_of("/x" + "/b" * 10_000)) == f"app of {deep}"
    assert winner(table, scope_of("/x" + "/b" * 10_001)) == "app of /{x:path}"
