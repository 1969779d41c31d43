"""Signing in: names and passwords in the database, who is signed in in the session."""

from __future__ import annotations

import hashlib
import hmac
import os

import anyio
import anyio.to_thread

from pallasite.middleware.rate_limit import limit
from pallasite.requests import Request
from pallasite.responses import RedirectResponse, Response
from pallasite.routing import Route

from .pages import form_fields, page
from .store import Account, Store
from .words import BadText, clean_text

LONGEST_NAME = 24
LONGEST_PASSWORD = 200
SALT_BYTES = 16

#: Each digest takes 16 MiB of memory while it is made: visitors who sign in at the same time wait for each other.
hashing = anyio.CapacityLimiter(2)


async def show_sign_in(request: Request) -> Response:
    return page(request, "sign_in.html", problem="", name="")


async def sign_in(request: Request) -> Response:
    """Sign in under a name that is known with its password, or take a name that is free."""
    fields = await form_fields(request)
    try:
        name = clean_text(fields.get("name"), "name", LONGEST_NAME)
        password = clean_text(fields.get("password"), "password", LONGEST_PASSWORD)
        account = await find_or_make_account(request.app.state.store, name, password)
    except BadText as error:
        return page(request, "sign_in.html", status_code=422, problem=str(error), name=fields.get("name", ""))
    request.session.clear()  # nothing of an earlier visitor stays
    request.session["name"] = account.name
    return RedirectResponse(request.url_for("notes"), status_code=303)


async def sign_out(request: Request) -> Response:
    request.session.clear()
    return RedirectResponse(request.url_for("home"), status_code=303)


async def find_or_make_account(store: Store, name: str, password: str) -> Account:
    """The account of that name; raises `BadText` if its password is another one."""
    account = await store.account(name)
    if account is None:
        salt = os.urandom(SALT_BYTES)
        digest = await anyio.to_thread.run_sync(digest_of, password, salt, limiter=hashing)
        account = await store.add_account(Account(name, salt, digest))
        if account.salt == salt:
            return account  # otherwise somebody was quicker
    digest = await anyio.to_thread.run_sync(digest_of, password, account.salt, limiter=hashing)
    if not hmac.compare_digest(account.digest, digest):
        raise BadText("this name belongs to somebody with another password")
    return account


def digest_of(password: str, salt: bytes) -> bytes:
    """Slow on purpose (some 50 ms), so that a stolen database gives no passwords away; hence called in a thread."""
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


routes = [
    Route("/sign-in", show_sign_in, name="sign-in"),
    Route("/sign-in", sign_in, methods=["POST"], name="do_sign_in", middleware=[limit("60/minute")]),
    Route("/sign-out", sign_out, methods=["POST"], name="sign_out"),
]
