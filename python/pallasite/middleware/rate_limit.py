"""Limits on how many requests a client may send in a time.

The algorithm is GCRA: one number for each client and policy, the time at which all of its requests would have been sent
had it sent them evenly. A client may send `limit` requests immediately, and from then on one each time that a place
becomes free. It never gets more than `limit` plus what its rate allows, in any period.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import re
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

import anyio

from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware
from pallasite.problems import refuse
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "Decision",
    "MemoryRateLimitStore",
    "RateLimitMiddleware",
    "RateLimitPolicy",
    "RateLimitStore",
    "RateLimited",
    "client_key",
    "limit",
]

_logger = logging.getLogger(__name__)

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_POLICY = re.compile(r"\s*([1-9][0-9]{0,8})\s*(?:/|per)\s*(?:([1-9][0-9]{0,5})\s*)?(second|minute|hour|day)s?\s*")
_ROUNDING = 1e-9
# A store that takes longer than this counts as failed.
_STORE_SECONDS = 0.05


class RateLimitPolicy(NamedTuple):
    """At most `limit` requests in `seconds`."""

    limit: int
    seconds: float
    name: str

    @classmethod
    def parse(cls, text: str) -> RateLimitPolicy:
        """Return the policy of a text such as ``"100/minute"`` or ``"5 per 10 seconds"``.

        Raises:
            ValueError: the text is not a number of requests and a time.
        """
        match = _POLICY.fullmatch(text)
        if match is None:
            raise ValueError(f"a policy is written as '100/minute' or '5 per 10 seconds', not {text!r}")
        requests, times, unit = match.groups()
        return cls(int(requests), int(times or 1) * _UNITS[unit], " ".join(text.split()))


class Decision(NamedTuple):
    """What a store says about a request."""

    #: The seconds until the request would be allowed. 0 if it is.
    retry_after: float
    #: For each policy, the requests that are left, and the seconds until all are available again.
    left: Sequence[tuple[int, float]]


class RateLimitStore(Protocol):
    """Where the times of clients are kept."""

    def take(self, key: str, policies: Sequence[RateLimitPolicy]) -> Awaitable[Decision]:
        """Count a request if all policies allow it. A request that one of them refuses counts for none."""
        ...


class MemoryRateLimitStore:
    """Keeps the times in this process. Its memory is bounded: beyond `max_keys`, the least recent client is forgotten.

    May be used by several event loops and threads.
    """

    def __init__(self, *, max_keys: int = 100_000, clock: Callable[[], float] = time.monotonic) -> None:
        if max_keys < 1:
            raise ValueError(f"max_keys must be at least 1, not {max_keys!r}")
        self.max_keys = max_keys
        self._clock = clock
        # For each policy, the theoretical arrival time (TAT) of the next request. The least recent client comes first.
        self._times: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    async def take(self, key: str, policies: Sequence[RateLimitPolicy]) -> Decision:
        return self.take_now(key, policies)

    def take_now(self, key: str, policies: Sequence[RateLimitPolicy]) -> Decision:
        """Do the same without waiting."""
        now = self._clock()
        times = self._times
        with self._lock:
            known = times.pop(key, None)
            if known is None:
                if len(times) >= self.max_keys:
                    del times[next(iter(times))]
                known = [now] * len(policies)
            if len(policies) == 1:  # nearly always, and twice as fast
                retry_after, arrival, state = _next(policies[0], known[0], now)
                times[key] = known if retry_after else [arrival]
                return Decision(retry_after, (state,))
            found = [_next(policy, arrival, now) for policy, arrival in zip(policies, known, strict=True)]
            retry_after = max(wait for wait, _, _ in found)
            times[key] = known if retry_after else [arrival for _, arrival, _ in found]
            # A policy that would have allowed a request that another refuses has not given a place away.
            left = [
                (most + 1, reset - policy.seconds / policy.limit) if retry_after and not wait else (most, reset)
                for policy, (wait, _, (most, reset)) in zip(policies, found, strict=True)
            ]
            return Decision(retry_after, left)

    def __len__(self) -> int:
        return len(self._times)


def _next(policy: RateLimitPolicy, arrival: float, now: float) -> tuple[float, float, tuple[int, float]]:
    """Return the seconds that a request must wait, the next arrival time if it need not, and what is left then."""
    most, seconds, _ = policy
    step = seconds / most
    used = arrival - now if arrival > now else 0.0
    # All of its requests must fit into the period that ends now.
    wait = used + step - seconds
    if wait > _ROUNDING:
        return wait, arrival, (int((seconds - used) / step + _ROUNDING), used)
    used += step
    return 0.0, now + used, (int((seconds - used) / step + _ROUNDING), used)


class RateLimited(HTTPException):
    """A client has sent more requests than a policy allows.

    Attributes:
        retry_after: the seconds until a request would be allowed.
    """

    def __init__(self, retry_after: float, headers: dict[str, str]) -> None:
        self.retry_after = retry_after
        super().__init__(429, headers={"Retry-After": str(max(1, math.ceil(retry_after))), **headers})


def client_key(scope: Scope) -> str | None:
    """Return the address of the client. Of an IPv6 address, which is one of many that a client has, the first 64 bits.

    None if the server does not know it, as for Unix sockets.
    """
    client = scope.get("client")
    if not client:
        return None
    host: str = client[0]
    return _network_of(host) if ":" in host else host


@lru_cache(maxsize=4096)
def _network_of(host: str) -> str:
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(address) >> 64 << 64)) + "/64"


class RateLimitMiddleware:
    """Refuse the requests and WebSockets of clients that send more than the policies allow, with 429.

    Decided before the body is read. A refused request does not count.

    Args:
        policies: such as ``"100/minute"`` and ``"5 per 10 seconds"``. A request must fit all of them.
        key: a function of the scope. Requests with the same key share their limits, by default those of one address.
            Requests for which it returns None are not limited.
        store: where clients are remembered, by default this process.
        headers: ``"draft"`` adds `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) to
            responses, ``"legacy"`` adds `X-RateLimit-Limit`, `-Remaining` and `-Reset`. None adds neither.
        on_error: whether requests are allowed or refused while the store fails or takes more than 50 ms.

    Raises:
        ValueError: a policy cannot be read, there is none, or an option is not one of those above.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        policies: Sequence[str] = ("100/minute",),
        key: Callable[[Scope], str | None] = client_key,
        store: RateLimitStore | None = None,
        headers: Literal["draft", "legacy"] | None = "draft",
        on_error: Literal["allow", "refuse"] = "allow",
    ) -> None:
        self.policies = tuple(map(RateLimitPolicy.parse, [policies] if isinstance(policies, str) else policies))
        if not self.policies:
            raise ValueError("policies must contain at least one, such as '100/minute'")
        if headers not in ("draft", "legacy", None):
            raise ValueError(f"headers must be 'draft', 'legacy' or None, not {headers!r}")
        if on_error not in ("allow", "refuse"):
            raise ValueError(f"on_error must be 'allow' or 'refuse', not {on_error!r}")
        self.app = app
        self.key = key
        self.store: RateLimitStore = MemoryRateLimitStore() if store is None else store
        self.headers = headers
        self.on_error = on_error
        # Keeps clients apart in a store that several limits share.
        self._prefix = ",".join(policy.name for policy in self.policies) + "|"
        self._offered = ", ".join(f'"{name}";q={most};w={seconds:.0f}' for most, seconds, name in self.policies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self.key(scope) if scope["type"] in ("http", "websocket") else None
        if key is None:
            await self.app(scope, receive, send)
            return
        key = self._prefix + key
        decision: Decision | None
        if type(self.store) is MemoryRateLimitStore:
            decision = self.store.take_now(key, self.policies)
        else:
            decision = await self._ask_store(key)
        if decision is None:
            if self.on_error == "refuse":
                await refuse(HTTPException(503, headers={"Retry-After": "1"}), scope, receive, send)
            else:
                await self.app(scope, receive, send)
            return
        fields = self._fields(decision)
        if decision.retry_after:
            await refuse(RateLimited(decision.retry_after, fields), scope, receive, send)
            return
        if not fields:
            await self.app(scope, receive, send)
            return
        raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *raw]}
            await send(message)

        await self.app(scope, receive, send_counted)

    async def _ask_store(self, key: str) -> Decision | None:
        """Return the decision of the store, or None if it fails."""
        try:
            with anyio.fail_after(_STORE_SECONDS):
                return await self.store.take(key, self.policies)
        except Exception:
            outcome = "allowed" if self.on_error == "allow" else "refused"
            _logger.warning("The rate limit store failed: the request is %s", outcome, exc_info=True)
            return None

    def _fields(self, decision: Decision) -> dict[str, str]:
        if self.headers is None:
            return {}
        if self.headers == "legacy":
            # The policy that leaves the fewest.
            (left, reset), policy = min(zip(decision.left, self.policies, strict=True))
            return {
                "X-RateLimit-Limit": str(policy.limit),
                "X-RateLimit-Remaining": str(left),
                "X-RateLimit-Reset": str(math.ceil(reset)),
            }
        states = [
            f'"{policy.name}";r={left};t={math.ceil(reset)}'
            for policy, (left, reset) in zip(self.policies, decision.left, strict=True)
        ]
        return {"RateLimit-Policy": self._offered, "RateLimit": ", ".join(states)}


def limit(
    *policies: str,
    key: Callable[[Scope], str | None] = client_key,
    store: RateLimitStore | None = None,
    headers: Literal["draft", "legacy"] | None = "draft",
    on_error: Literal["allow", "refuse"] = "allow",
) -> Middleware:
    """Return the middleware for one route: ``Route("/login", login, middleware=[limit("5/minute")])``."""
    return Middleware(RateLimitMiddleware, policies=policies, key=key, store=store, headers=headers, on_error=on_error)
