"""Cases about forms and uploads."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from benches.case import Framework, case
from benches.exchange import Exchange, post

NEEDS = ("applications", "formparsers")
BOUNDARY = b"----WebKitFormBoundary7MA4YWxkTrZu0gW"
FIELDS = {f"field{i}": f"value {i} & more: iron=crystal" for i in range(10)}
MULTIPART = b"multipart/form-data; boundary=" + BOUNDARY


def part(disposition: str, content: bytes, content_type: str | None = None) -> bytes:
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    head = f"Content-Disposition: form-data; {disposition}\r\n{kind}\r\n".encode()
    return b"--" + BOUNDARY + b"\r\n" + head + content + b"\r\n"


def upload(megabytes: int) -> Exchange:
    line = bytes(range(256)) * 4  # every byte value, CR and LF included
    content = part('name="file"; filename="ore.bin"', line * (megabytes * 1024), "application/octet-stream")
    return post("/upload", content + b"--" + BOUNDARY + b"--\r\n", MULTIPART)


def fields_request() -> Exchange:
    body = b"".join(part(f'name="{name}"', value.encode()) for name, value in FIELDS.items())
    return post("/form", body + b"--" + BOUNDARY + b"--\r\n", MULTIPART)


def form_app(web: Framework) -> Any:
    JSONResponse, Route = web.responses.JSONResponse, web.routing.Route

    async def form(request: Any) -> Any:
        async with request.form() as data:
            return JSONResponse(dict(data))

    async def receive_file(request: Any) -> Any:
        async with request.form() as data:
            file = data["file"]
            return JSONResponse({"filename": file.filename, "size": file.size, "begin": list(await file.read(16))})

    return web.applications.Starlette(
        routes=[Route("/form", form, methods=["POST"]), Route("/upload", receive_file, methods=["POST"])]
    )


@case(
    "urlencoded form of 10 fields",
    group="toolkit",
    request=post("/form", urlencode(FIELDS).encode(), b"application/x-www-form-urlencoded"),
    target=0.15,
    on_loop=True,
    needs=NEEDS,
)
def urlencoded_form(web: Framework) -> Any:
    return form_app(web)


@case("multipart form of 10 fields", group="toolkit", request=fields_request, target=0.12, on_loop=True, needs=NEEDS)
def multipart_form(web: Framework) -> Any:
    return form_app(web)


@case("upload of 16 MB", group="toolkit", request=lambda: upload(16), target=0.3, on_loop=True, slow=True, needs=NEEDS)
def upload_16mb(web: Framework) -> Any:
    return form_app(web)


@case("upload of 64 MB", group="toolkit", request=lambda: upload(64), on_loop=True, slow=True, needs=NEEDS)
def upload_64mb(web: Framework) -> Any:
    return form_app(web)
