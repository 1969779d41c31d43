"""Random FastAPI applications, each once as FastAPI runs it and once with compiled routes: one request, two answers.

The first argument is asyncio or trio, each other one a seed. Prints, as JSON, the differences, how many routes were
compiled, and the statuses of FastAPI's answers.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import inspect
import json
import random
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlencode

import anyio
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    Security,
    UploadFile,
)
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import APIKeyHeader, HTTPBasic, OAuth2PasswordBearer, SecurityScopes
from pydantic import AliasChoices, BaseModel, BeforeValidator, Field
from starlette.background import BackgroundTask

from pallasite.fastapi import compile_routes

journal: list[Any] = []


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    name: str
    price: float = Field(default=1.5, ge=0)
    tags: list[str] = []
    made: dt.date | None = None
    inner: dict[str, int] = Field(default_factory=dict, alias="innerValues")


class Filters(BaseModel):
    model_config = {"extra": "forbid"}
    limit: int = Field(10, le=100)
    order_by: str = "name"
    tags: list[str] = []


class Loose(BaseModel):
    x_token: str | None = None
    size: int = 3


class Contact(BaseModel):
    p0: str
    p1: int | None = None
    p2: list[str] = []
    alias: str = Field("none", alias="p3")


class Sealed(BaseModel):
    model_config = {"extra": "forbid"}
    p0: str
    photo: Annotated[bytes | None, File()] = None


class Choosy(BaseModel):
    p0: str
    other: str = Field("none", validation_alias=AliasChoices("p1", "p2"))


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5


class Odd:
    def __init__(self) -> None:
        self.visible = 1

    def __repr__(self) -> str:
        return "Odd()"


def noted(value: Any) -> Any:
    journal.append(["validated", repr(value)])
    return value


# A parameter: its annotation, and its default if it has one.
Parameter = tuple[Any, Any]
REQUIRED: Any = inspect.Parameter.empty

SCALARS = [int, str, float, bool, dt.date, uuid.UUID, Colour, int | None, bytes]
QUERY: list[Parameter] = [
    *((annotation, REQUIRED) for annotation in SCALARS),
    (int, 7),
    (str | None, None),
    (list[int], Query()),
    (list[str], Query(default=["a"])),
    (set[int], Query(default_factory=set)),
    (Annotated[int, Query(ge=3, le=9)], REQUIRED),
    (Annotated[str, Query(alias="q-alias", min_length=2)], "none"),
    (Annotated[str, Query(validation_alias=AliasChoices("one", "two"))], REQUIRED),
    (Annotated[int, BeforeValidator(noted)], 4),
    (Annotated[int, Query(validate_default=True)], "5"),
    (Annotated[Filters, Query()], REQUIRED),
    (dict[str, int], Body()),
]
OTHER: list[Parameter] = [
    (Annotated[str | None, Header()], None),
    (Annotated[list[str], Header()], REQUIRED),
    (Annotated[int, Header(alias="x-size")], REQUIRED),
    (Annotated[str, Header(convert_underscores=False)], "plain"),
    (Annotated[Loose, Header()], REQUIRED),
    (Annotated[str, Cookie()], REQUIRED),
    (Annotated[int | None, Cookie(alias="n")], None),
    (Request, REQUIRED),
    (BackgroundTasks, REQUIRED),
    (Response, REQUIRED),
]
BODY: list[list[Parameter]] = [
    [(Item, REQUIRED)],
    [(Item | None, None)],
    [(Annotated[Item, Body(embed=True)], REQUIRED)],
    [(Item, REQUIRED), (Annotated[int, Body()], REQUIRED)],
    [(list[Item], REQUIRED)],
    [(Annotated[Any, Body()], REQUIRED)],
    [(Annotated[str, Body(media_type="text/plain")], REQUIRED)],
    [(Annotated[str, Form()], REQUIRED), (Annotated[int, Form()], 3), (Annotated[list[str], Form()], REQUIRED)],
    [(Annotated[Loose, Form()], REQUIRED)],
    [(Annotated[Loose | None, Form()], None)],
    [(Annotated[Contact, Form()], REQUIRED)],
    [(Annotated[Contact, Form()], REQUIRED), (Annotated[Loose, Form()], REQUIRED)],
    [(Annotated[Sealed, Form()], REQUIRED)],
    [(Annotated[Choosy, Form()], REQUIRED)],
    [(UploadFile, REQUIRED), (Annotated[str, Form()], "text")],
    [(Annotated[bytes | None, File()], None), (list[UploadFile], REQUIRED)],
]
VALUES = ["1", "0", "-7", "abc", "", "1.5", "true", "2024-02-29", "red", "a" * 20, str(uuid.UUID(int=5)), "é", "5"]
NAMES = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "q-alias", "one", "two", "limit", "order_by", "tags", "size"]


async def takes_context(scopes: SecurityScopes, request: Request) -> Any:
    journal.append("takes_context")
    return [scopes.scopes, request.method, "fastapi_inner_astack" in request.scope]


class Maker:
    """One random application; the same seed makes the same one."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.number = 0
        # The telemetry of FastAPI is tested elsewhere: with it, no request is compiled.
        self.app = FastAPI(dependencies=[Depends(self.dependency(1))] if self.chance.random() < 0.2 else [])
        for _ in range(self.chance.randint(3, 8)):
            self.add(self.app, "")
        for place in range(self.chance.randint(0, 2)):
            router = APIRouter(prefix=f"/in{place}", responses={418: {}})
            for _ in range(self.chance.randint(1, 4)):
                self.add(router, f"/in{place}")
            self.app.include_router(router, dependencies=[Depends(self.dependency(1))] if place else [])
        if self.chance.random() < 0.1:
            self.app.dependency_overrides[takes_context] = lambda: "overridden"

    def signature(self, function: Callable[..., Any], parameters: list[Parameter]) -> Any:
        names = (f"p{place}" for place in range(100))
        function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
                for name, (annotation, default) in zip(names, parameters, strict=False)
            ]
        )
        return function

    def dependency(self, depth: int) -> Any:
        self.number += 1
        number, chance = self.number, self.chance
        kind = chance.choice(["async", "def", "yield", "def yield", "scheme", "context", "class", "failing"])
        if kind == "scheme":
            return chance.choice(
                [HTTPBasic(auto_error=False), APIKeyHeader(name="x-key"), OAuth2PasswordBearer("t", auto_error=False)]
            )
        if kind == "context":
            return takes_context
        parameters = [chance.choice(QUERY[:12] + OTHER) for _ in range(chance.randint(0, 2))]
        if depth < 3 and chance.random() < 0.5:
            parameters.append(self.depends(depth + 1))

        def shown(values: Any) -> Any:
            journal.append([kind, number, repr_of(values)])
            return number

        async def in_loop(**values: Any) -> Any:
            return shown(values)

        def in_thread(**values: Any) -> Any:
            return shown(values)

        async def opened(**values: Any) -> Any:
            yield shown(values)
            journal.append(["closed", number])

        def opened_in_thread(**values: Any) -> Any:
            yield shown(values)
            journal.append(["closed", number])

        class Made:
            def __init__(self, **values: Any) -> None:
                self.shown = shown(values)

        async def failing(**values: Any) -> Any:
            shown(values)
            if number % 3 == 0:
                raise HTTPException(418, detail={"dependency": number}, headers={"x-failed": "yes"})
            return number

        function = {
            "async": in_loop,
            "def": in_thread,
            "yield": opened,
            "def yield": opened_in_thread,
            "class": Made,
            "failing": failing,
        }[kind]
        return self.signature(function, parameters)

    def depends(self, depth: int) -> Parameter:
        chance = self.chance
        shared = getattr(self, "shared", None)
        if shared is None or chance.random() < 0.5:
            shared = self.shared = self.dependency(depth)
        if chance.random() < 0.2:
            return Annotated[Any, Security(shared, scopes=["a", "b"])], REQUIRED
        return Annotated[Any, Depends(shared, use_cache=chance.random() < 0.8)], REQUIRED

    def add(self, router: Any, prefix: str) -> None:
        self.number += 1
        number, chance = self.number, self.chance
        parameters = [chance.choice(QUERY if chance.random() < 0.7 else OTHER) for _ in range(chance.randint(0, 4))]
        parameters += [self.depends(1) for _ in range(chance.randint(0, 2))]
        method = chance.choice(["GET", "POST", "PUT"])
        if method != "GET" and chance.random() < 0.8:
            parameters += chance.choice(BODY)
        result = self.result(number)

        async def in_loop(**values: Any) -> Any:
            return answered(values)

        def in_thread(**values: Any) -> Any:
            return answered(values)

        def answered(values: Any) -> Any:
            journal.append(["endpoint", number, repr_of(values)])
            for value in values.values():
                if isinstance(value, BackgroundTasks):
                    value.add_task(journal.append, ["background", number])
                elif isinstance(value, Response):
                    value.headers["x-number"] = str(number)
                    value.set_cookie("seen", "1")
                    value.status_code = 202 if number % 2 else None  # type: ignore[assignment]
            return result(values)

        endpoint = self.signature(chance.choice([in_loop, in_loop, in_thread]), parameters)
        options: dict[str, Any] = {}
        if chance.random() < 0.4:
            options["response_model"] = chance.choice([Item, list[Item], dict[str, Any], int, Point, Any, Item | None])
        if chance.random() < 0.2:
            options["response_class"] = chance.choice([JSONResponse, PlainTextResponse])
        if chance.random() < 0.2:
            options["status_code"] = chance.choice([201, 202, 299, 204, 304])
            if options["status_code"] in (204, 304):
                options.pop("response_model", None)
        if chance.random() < 0.2:
            options["response_model_exclude_unset"] = True
        if chance.random() < 0.1:
            options["response_model_by_alias"] = False
        if chance.random() < 0.1:
            options["dependencies"] = [Depends(self.dependency(2))]
        path = f"/r{number}"
        if chance.random() < 0.4:
            path += "/{p0}"
            first = inspect.Parameter(
                "p0",
                inspect.Parameter.KEYWORD_ONLY,
                annotation=Annotated[chance.choice([int, str, Colour, uuid.UUID]), Path()],
            )
            others = [p for name, p in endpoint.__signature__.parameters.items() if name != "p0"]
            endpoint.__signature__ = inspect.Signature([first, *others])
        try:
            router.add_api_route(path, endpoint, methods=[method], **options)
        except Exception:  # a body for GET, say: FastAPI refuses it for both applications
            return
        self.routes = [*getattr(self, "routes", []), (method, prefix + path.replace("{p0}", "VALUE"))]

    def result(self, number: int) -> Callable[[Any], Any]:
        item = Item(name="n", tags=["t"], innerValues={"a": number})
        results: list[Callable[[Any], Any]] = [
            lambda values: {"number": number, "values": repr_of(values)},
            lambda values: {"number": number, "values": repr_of(values)},
            lambda values: {"_sa_state": 1, "kept": (1, 2), "nested": [{"_sa": 1, "é": None, "f": 1.5e300}]},
            lambda values: {1: "int key", None: True, "colour": Colour.RED, "when": dt.date(2024, 2, 29)},
            lambda values: item,
            lambda values: [item, item],
            lambda values: Point(number),
            lambda values: Odd(),
            lambda values: None,
            lambda values: number,
            lambda values: "text",
            lambda values: float("nan"),
            lambda values: {"name": 5},
            lambda values: PlainTextResponse(str(number), status_code=299),
            lambda values: Response(status_code=204),
            lambda values: PlainTextResponse("p", background=BackgroundTask(journal.append, "own background")),
            lambda values: raise_(HTTPException(409, detail="conflict")),
            lambda values: raise_(KeyError(number)),
        ]
        return self.chance.choice(results)

    def request(self) -> tuple[str, str, bytes, list[tuple[bytes, bytes]], bytes]:
        chance = self.chance
        method, path = chance.choice(self.routes)
        path = path.replace("VALUE", chance.choice([value for value in VALUES if value]))
        pairs = [(name, chance.choice(VALUES)) for name in NAMES for _ in range(chance.choice([0, 0, 1, 1, 1, 2]))]
        if chance.random() < 0.5:  # mostly valid
            pairs = [(name, chance.choice(["1", "5"])) for name in NAMES[:7]]
        headers = [(b"host", b"t.example")]
        names = (b"p0", b"p1", b"p2", b"x-size", b"x-token", b"size", b"x-key", b"authorization", b"x-unknown")
        values = [b"1", b"abc", b"Bearer x", b"Basic YTpi", b"Basic !"]
        headers += [(name, chance.choice(values)) for name in names if chance.random() < 0.6]
        if chance.random() < 0.6:
            headers.append((b"cookie", b"; ".join(b"p%d=%d" % (n, n) for n in range(5)) + b"; n=4"))
        kind, body = self.body()
        if kind:
            headers.append((b"content-type", kind))
        return method, path, urlencode(pairs).encode(), headers, body

    def body(self) -> tuple[bytes, bytes]:
        chance = self.chance
        item: Any = {"name": "n", "price": chance.choice([1, "2.5", -1]), "tags": ["x"], "innerValues": {"a": "3"}}
        documents = [item, [item], {"p0": item, "p1": 5, "p2": item}, {}, [], None, "text", 5, {"name": None}]
        document = json.dumps(chance.choice([item, *documents])).encode()
        match chance.choice(["json", "json", "json", "broken", "none", "form", "multipart", "other", "cut"]):
            case "json":
                kinds = [b"application/json", b"application/json; charset=utf-8", b"Application/JSON", b"a/x+json"]
                return chance.choice([*kinds, b"application/problem+json", b""]), document
            case "broken":
                return b"application/json", document[:-2] + chance.choice([b"", b"\xff", b"}}", b"NaN"])
            case "form":
                fields = [(f"p{n}", chance.choice(VALUES)) for n in range(6) for _ in range(chance.randint(0, 2))]
                return b"application/x-www-form-urlencoded", urlencode([*fields, ("size", "4")]).encode()
            case "multipart":
                parts = [
                    f'--b\r\ncontent-disposition: form-data; name="p{n}"{name}\r\n\r\nvalue {n}\r\n'
                    for n in range(6)
                    for name in [chance.choice(["", '; filename="f.txt"', '; filename=""'])]
                    if chance.random() < 0.7
                ]
                return b"multipart/form-data; boundary=b", "".join([*parts, "--b--\r\n"]).encode()
            case "other":
                return chance.choice([b"text/plain", b"nonsense", b"application/", b""]), b"plain text"
            case "cut":
                return b"multipart/form-data; boundary=b", b"--b\r\ncontent-disp"
        return b"", b""


def raise_(error: Exception) -> Any:
    raise error


def repr_of(values: Any) -> str:
    """What an endpoint was given, without addresses."""
    shown: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, UploadFile):
            shown[name] = [value.filename, value.size, value.file.read()]
        elif isinstance(value, Request | Response | BackgroundTasks) or type(value).__module__ == __name__:
            shown[name] = type(value).__name__ + (repr(value) if isinstance(value, BaseModel) else "")
        else:
            shown[name] = [
                [type(item).__name__, item.filename] if isinstance(item, UploadFile) else repr(item)
                for item in (value if isinstance(value, list) else [value])
            ]
    return repr(shown)


async def outcome(app: Any, request: tuple[str, str, bytes, list[tuple[bytes, bytes]], bytes]) -> Any:
    method, path, query, headers, body = request
    journal.clear()
    received = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "scheme": "http",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("t.example", 80),
    }

    async def receive() -> Any:
        return received.pop(0) if received else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append({key: repr(value) for key, value in message.items()})

    error = None
    try:
        await app(scope, receive, send)
    except Exception as raised:
        error = [type(raised).__name__, str(raised)]
    left = sorted(key for key in scope if key.startswith("fastapi") and not key.endswith("astack"))
    return [sent, error, list(journal), left]


async def main(seeds: list[str]) -> None:
    differences: list[Any] = []
    routes = 0
    statuses: Counter[str] = Counter()
    kept = []  # FastAPI remembers where an endpoint is by its id, which is not to be given to another
    for seed in map(int, seeds):
        plain, made = Maker(seed), Maker(seed)
        kept += [plain, made]
        routes += compile_routes(made.app)
        for number in range(60):
            request = plain.request()
            expected, got = await outcome(plain.app, request), await outcome(made.app, request)
            statuses[expected[0][0]["status"]] += 1
            if got != expected:
                differences.append([seed, number, repr(request), expected, got])
    sys.stdout.write(json.dumps({"differences": differences, "routes": routes, "statuses": statuses}) + "\n")


anyio.run(main, sys.argv[2:], backend=sys.argv[1])
