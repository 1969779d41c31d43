"""Response fields that tell browsers what a page may do: load, run, be framed by, and send along.

Sources: Content Security Policy Level 3, RFC 6797 (HSTS), the Fetch and HTML standards for the others.
"""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Literal

from pallasite.datastructures import Headers
from pallasite.exceptions import HTTPException
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Nonce", "SecurityHeadersMiddleware"]

_logger = logging.getLogger(__name__)

_YEAR = 365 * 24 * 60 * 60
_NONCE = "'nonce'"
_STARTS = ("http.response.start", "websocket.http.response.start")

# Fields without the policy and without HSTS.
_FIELDS: dict[str, dict[str, str]] = {
    "balanced": {
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "referrer-policy": "strict-origin-when-cross-origin",
        "cross-origin-opener-policy": "same-origin-allow-popups",
    },
    "strict": {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    },
    "api": {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-site",
    },
}
_POLICIES = {
    # Stops framing, plugins and redirected forms. Scripts and styles are left alone: most pages have some inline.
    "balanced": "base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'",
    "strict": (
        "default-src 'none'; base-uri 'none'; connect-src 'self'; font-src 'self'; form-action 'self';"
        " frame-ancestors 'none'; img-src 'self' data:; manifest-src 'self'; media-src 'self';"
        " script-src 'self' 'nonce'; style-src 'self' 'nonce'"
    ),
    "api": "default-src 'none'; frame-ancestors 'none'",
}
_HSTS = {
    "balanced": f"max-age={_YEAR}",
    "strict": f"max-age={2 * _YEAR}; includeSubDomains",
    "api": f"max-age={_YEAR}",
}

Policy = str | Mapping[str, str | Sequence[str]]


class Nonce:
    """A number used once, as ``request.state.csp_nonce``. ``str()`` makes it, so a page that does not use it has none.

    128 random bits in base64 (Content Security Policy Level 3, section 7.1). In a template, write
    ``<script nonce="{{ request.state.csp_nonce }}">``.
    """

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value: str | None = None

    @property
    def is_used(self) -> bool:
        """True once the value has been read."""
        return self._value is not None

    def __str__(self) -> str:
        if self._value is None:
            self._value = base64.b64encode(secrets.token_bytes(16)).decode("ascii")
        return self._value

    __html__ = __str__  # Base64 has no character that HTML would escape.


class SecurityHeadersMiddleware:
    """Add security fields to each response, unless the application has set them itself.

    Args:
        preset: ``"balanced"`` suits most sites, and breaks few pages. ``"strict"`` allows nothing but what the site
            itself serves, and inline scripts and styles with the nonce. ``"api"`` is for responses that are no pages.
        csp: the Content-Security-Policy instead of the preset's, as text or as a mapping of directives to sources.
            The source ``'nonce'`` stands for the nonce of the request, if the page uses it. ``""`` sends none.
        csp_report_only: a policy that browsers report violations of, without enforcing it.
        hsts: the seconds for which browsers use HTTPS only, instead of the preset's. A text is the whole value of
            Strict-Transport-Security. None sends none. The field is only sent in responses to HTTPS requests.

    Raises:
        ValueError: the preset is not one of these, a policy has a line break or a source with a semicolon, or `hsts` is
            negative.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        preset: Literal["balanced", "strict", "api"] = "balanced",
        csp: Policy | None = None,
        csp_report_only: Policy | None = None,
        hsts: float | str | None = "preset",
    ) -> None:
        if preset not in _FIELDS:
            raise ValueError(f"preset must be one of {', '.join(_FIELDS)}, not {preset!r}")
        self.app = app
        policies = {
            "content-security-policy": _POLICIES[preset] if csp is None else _policy_text(csp),
            "content-security-policy-report-only": "" if csp_report_only is None else _policy_text(csp_report_only),
        }
        self._fields = [_field(name, value) for name, value in _FIELDS[preset].items()]
        self._policies = [(name, value) for name, value in policies.items() if value]
        # Without the nonce, which most responses do not use.
        self._plain_policies = [_field(name, _with_nonce(value, None)) for name, value in self._policies]
        self._hsts: list[tuple[bytes, bytes]] = []
        if hsts is not None:
            self._hsts = [_field("strict-transport-security", _hsts_text(hsts, preset))]
        self._has_nonce = any(_NONCE in value for _, value in self._policies)
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        nonce = Nonce()
        if self._has_nonce:
            scope.setdefault("state", {})["csp_nonce"] = nonce
        is_secure = scope.get("scheme") in ("https", "wss")

        async def send_secured(message: Message) -> None:
            if message["type"] in _STARTS:
                headers = list(message.get("headers", ()))
                present = {bytes(name).lower() for name, _ in headers}
                policies = self._plain_policies
                if nonce.is_used:
                    policies = [_field(name, _with_nonce(value, str(nonce))) for name, value in self._policies]
                    self._warn_if_cached(headers, scope["path"])
                fields = [*self._fields, *policies, *(self._hsts if is_secure else ())]
                headers += [field for field in fields if field[0] not in present]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, send_secured)

    def _warn_if_cached(self, headers: list[tuple[bytes, bytes]], path: str) -> None:
        """A shared cache would give everyone the same nonce, and so take its meaning away."""
        if not self._has_warned and "public" in Headers(raw=headers).get("cache-control", ""):
            self._has_warned = True
            _logger.warning("The response to %s has a nonce, and Cache-Control allows shared caches to keep it", path)


def _field(name: str, value: str) -> tuple[bytes, bytes]:
    # Checks the value as that of any response.
    headers = HTTPException(500, headers={name: value}).headers or {}
    return name.encode("ascii"), headers[name].encode("latin-1")


def _policy_text(policy: Policy) -> str:
    if isinstance(policy, str):
        return policy
    directives = []
    for name, sources in policy.items():
        text = sources if isinstance(sources, str) else " ".join(sources)
        if ";" in text or "," in text:
            raise ValueError(f"a source of {name} has a semicolon or a comma: {text!r}")
        directives.append(f"{name} {text}".rstrip())
    return "; ".join(directives)


def _with_nonce(policy: str, nonce: str | None) -> str:
    if nonce is None:
        return policy.replace(f" {_NONCE}", "")
    return policy.replace(_NONCE, f"'nonce-{nonce}'")


def _hsts_text(hsts: float | str, preset: str) -> str:
    if hsts == "preset":
        return _HSTS[preset]
    if isinstance(hsts, str):
        return hsts
    if hsts < 0:
        raise ValueError(f"hsts must be 0 or more seconds, not {hsts!r}")
    return f"max-age={int(hsts)}"
