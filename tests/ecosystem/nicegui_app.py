"""The application of test_nicegui.py, in a file of its own: nicegui behaves in another way where pytest is loaded."""

from __future__ import annotations

from fastapi import FastAPI, Request
from nicegui import app as ui_app
from nicegui import events, ui
from starlette.responses import PlainTextResponse, Response

app = FastAPI()


@app.get("/api/hello")
def hello() -> dict[str, str]:
    return {"hello": "from FastAPI"}


@ui_app.get("/raw/{name}")
def raw(name: str, request: Request) -> Response:
    return PlainTextResponse(f"{name} of {request.app.__class__.__name__}")


@ui.page("/")
def index() -> None:
    count = {"clicks": 0}

    def click() -> None:
        count["clicks"] += 1
        label.set_text(f"clicked {count['clicks']} times")
        ui.notify("thank you")

    ui.button("Click me", on_click=click)
    label = ui.label("not clicked")

    async def received(upload: events.UploadEventArguments) -> None:
        label.set_text(f"{upload.file.name}: {len(await upload.file.read())}")

    ui.upload(on_upload=received)


@ui.page("/people/{name}")
def person(name: str, times: int = 1) -> None:
    for _ in range(times):
        ui.label(f"hello {name}")


@ui.page("/failing")
def failing() -> None:
    raise ZeroDivisionError


@ui.page("/mine")
def mine() -> None:
    visits = ui_app.storage.user.get("visits", 0) + 1
    ui_app.storage.user["visits"] = visits
    ui.label(f"visit {visits}")


ui.run_with(app, storage_secret="a secret key of thirty-two bytes", show_welcome_message=False)
