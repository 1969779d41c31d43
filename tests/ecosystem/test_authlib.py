"""authlib: logging in at another site, which is a small provider of ours on a server beside."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authlib.common.security import generate_token
from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

ID, SECRET = "shop", "a secret of the shop, of thirty-two bytes"


def provider() -> Starlette:
    """Issues one code to whoever asks, and a token for it to who knows the secret."""
    nonces: dict[str, str] = {}
    key = RSAKey.generate_key(2048, {"kid": "first"})

    async def authorize(request: Request) -> Response:
        asked = request.query_params
        code = secrets.token_hex(8)
        nonces[code] = asked["nonce"]
        return RedirectResponse(f"{asked['redirect_uri']}?code={code}&state={asked['state']}", status_code=302)

    async def token(request: Request) -> Response:
        form = await request.form()
        if "authorization" not in request.headers or form["grant_type"] != "authorization_code":
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        if form["code"] not in nonces:
            return JSONResponse({"error": "invalid_grant", "error_description": "never heard"}, status_code=400)
        now = int(time.time())
        issuer = str(request.base_url).rstrip("/")
        claims = {"iss": issuer, "aud": ID, "sub": "7", "iat": now, "exp": now + 60, "nonce": nonces.pop(form["code"])}
        signed = jwt.encode({"alg": "RS256", "kid": "first"}, claims | {"name": "Ann"}, key)
        return JSONResponse({"access_token": "pass", "token_type": "Bearer", "expires_in": 3600, "id_token": signed})

    async def user(request: Request) -> Response:
        return JSONResponse({"sub": "7", "pass": request.headers["authorization"]})

    async def keys(request: Request) -> Response:
        return JSONResponse({"keys": [key.as_dict(private=False)]})

    async def metadata(request: Request) -> Response:
        base = str(request.base_url)
        endpoints = {f"{name}_endpoint": base + name for name in ("authorization", "token", "userinfo")}
        more = {"jwks_uri": base + "keys", "id_token_signing_alg_values_supported": ["RS256"]}
        return JSONResponse({"issuer": base.rstrip("/")} | endpoints | more)

    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", metadata),
            Route("/authorization", authorize),
            Route("/token", token, methods=["POST"]),
            Route("/userinfo", user),
            Route("/keys", keys),
        ]
    )


def shop(address: str) -> TestClient:
    oauth = OAuth()
    oauth.register(
        "provider",
        client_id=ID,
        client_secret=SECRET,
        server_metadata_url=address + "/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile", "code_challenge_method": "S256"},
    )

    async def login(request: Request) -> Response:
        return await oauth.provider.authorize_redirect(request, request.url_for("callback"))

    async def callback(request: Request) -> Response:
        try:
            token = await oauth.provider.authorize_access_token(request)
        except OAuthError as error:
            return JSONResponse({"error": error.error}, status_code=400)
        asked = await oauth.provider.userinfo(token=token)
        request.session["name"] = token["userinfo"]["name"]
        return JSONResponse({"userinfo": dict(token["userinfo"]), "asked": dict(asked)})

    async def home(request: Request) -> Response:
        return JSONResponse(request.session.get("name"))

    return TestClient(
        Starlette(
            routes=[Route("/", home), Route("/login", login), Route("/callback", callback, name="callback")],
            middleware=[Middleware(SessionMiddleware, secret_key=generate_token(48))],
        ),
        follow_redirects=False,
    )


@pytest.fixture
def address(serve: Callable[..., str]) -> str:
    return serve(provider())


def go_and_come_back(client: TestClient) -> str:
    """Logs in at the provider; gives the path of the callback that the browser is sent to."""
    leaving = client.get("/login")
    assert leaving.status_code == 302
    asked = parse_qs(urlsplit(leaving.headers["location"]).query)
    assert asked["redirect_uri"] == ["http://testserver/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    return str(httpx2.get(leaving.headers["location"]).headers["location"])


def test_login_at_provider_is_remembered_in_session(address: str) -> None:
    client = shop(address)
    arrived: Any = client.get(go_and_come_back(client)).json()
    assert arrived["userinfo"]["name"] == "Ann"
    assert arrived["userinfo"]["iss"] == address
    assert arrived["asked"] == {"sub": "7", "pass": "Bearer pass"}
    assert client.get("/").json() == "Ann"


def test_state_of_another_session_is_refused(address: str) -> None:
    location = go_and_come_back(shop(address))
    response = shop(address).get(location)
    assert (response.status_code, response.json()) == (400, {"error": "mismatching_state"})


def test_unknown_code_is_the_providers_error(address: str) -> None:
    client = shop(address)
    location = go_and_come_back(client)
    state = parse_qs(urlsplit(location).query)["state"][0]
    assert client.get("/callback", params={"code": "guessed", "state": state}).json() == {"error": "invalid_grant"}
