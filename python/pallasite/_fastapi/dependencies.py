"""Work out the arguments of an endpoint: its own parameters, and its dependencies with theirs.

The tree of dependencies is read once. Each node knows what kind of function it calls, by which key its result is kept
for the request, and which parameters it takes from where.
"""

from __future__ import annotations

from typing import Any

from pallasite._fastapi.body import BodyReader, body_reader
from pallasite._fastapi.fields import Errors, Reader, Values, field_reader
from pallasite._fastapi.theirs import BackgroundTasks, SecurityScopes, models, utils
from pallasite.concurrency import run_in_threadpool
from pallasite.responses import Response

__all__ = ["Node", "Solving"]

_MISSING: Any = object()


class Solving:
    """What the nodes share for one request."""

    __slots__ = ("background", "body", "request", "response", "results")

    def __init__(self, request: Any, body: Any) -> None:
        self.request = request
        self.body = body
        self.background: Any = None
        self.response: Response | None = None
        self.results: dict[Any, Any] = {}

    def shared_response(self) -> Response:
        """Return the response that dependencies may add headers, cookies and a status to."""
        response = self.response
        if response is None:
            response = self.response = Response()
            del response.headers["content-length"]
            response.status_code = None  # type: ignore[assignment]  # until a dependency sets it
        return response

    def shared_background(self) -> Any:
        """Return the background tasks of the request."""
        if self.background is None:
            self.background = BackgroundTasks()
        return self.background


class Node:
    """The endpoint or a dependency, prepared.

    `needs_stacks` is True if it, or a dependency of it, is a generator or may look for the exit stacks in the scope.
    `limits_concurrency` is True if FastAPI limits how many calls of a dependency run at once.
    """

    __slots__ = (
        "_background",
        "_body",
        "_call",
        "_children",
        "_connection",
        "_cookies",
        "_dependant",
        "_headers",
        "_is_alone",
        "_is_async",
        "_is_generator",
        "_key",
        "_name",
        "_path",
        "_query",
        "_request",
        "_response",
        "_scopes",
        "_use_cache",
        "limits_concurrency",
        "needs_stacks",
    )

    def __init__(self, dependant: Any, embed_body_fields: bool, uses_scopes: dict[Any, Any] | None = None) -> None:
        uses_scopes = {} if uses_scopes is None else uses_scopes
        self._dependant = dependant
        self._call = dependant.call
        self._name = dependant.name
        self._use_cache = dependant.use_cache
        self._key = models._get_cache_key(dependant=dependant, uses_scopes_cache=uses_scopes)
        self._is_generator = models._is_gen_callable(self._call) or models._is_async_gen_callable(self._call)
        self._is_async = models._is_coroutine_callable(self._call)
        self._children = [Node(child, embed_body_fields, uses_scopes) for child in dependant.dependencies]
        self._path = _readers(dependant.path_params)
        self._query = _readers(dependant.query_params)
        self._headers = _readers(dependant.header_params)
        self._cookies = _readers(dependant.cookie_params)
        self._body: BodyReader | None = body_reader(dependant.body_params, embed_body_fields)
        self._connection = dependant.http_connection_param_name
        self._request = dependant.request_param_name
        self._background = dependant.background_tasks_param_name
        self._response = dependant.response_param_name
        self._scopes = dependant.security_scopes_param_name
        # True if its arguments are known without waiting.
        self._is_alone = not self._children and self._body is None
        self.limits_concurrency: bool = dependant.concurrency is not None or any(
            child.limits_concurrency for child in self._children
        )
        # FastAPI's own security schemes look at nothing but headers.
        is_scheme = type(self._call).__module__.startswith("fastapi.security.")
        self.needs_stacks: bool = (
            self._is_generator
            or bool((self._connection or self._request) and not is_scheme)
            or any(child.needs_stacks for child in self._children)
        )

    async def solve(self, solving: Solving, errors: Errors) -> Values:
        """Return the arguments of the call. Add what is wrong with the request to the errors."""
        values: Values = {}
        for child in self._children:
            # Counted, because what is wrong elsewhere does not keep a dependency from being called.
            count = len(errors)
            if child._is_alone:
                arguments: Values = {}
                child.read(solving, arguments, errors)
            else:
                arguments = await child.solve(solving, errors)
            if len(errors) > count:
                continue
            result = solving.results.get(child._key, _MISSING) if child._use_cache else _MISSING
            if result is _MISSING:
                if child._is_async:
                    result = await child._call(**arguments)
                else:
                    result = await child._call_other(solving, arguments)
                solving.results.setdefault(child._key, result)
            if child._name is not None:
                values[child._name] = result
        if self._body is None:
            self.read(solving, values, errors)
        else:
            self._read_parameters(solving.request, values, errors)
            await self._body(solving.body, values, errors)
            self._read_objects(solving, values)
        return values

    async def _call_other(self, solving: Solving, arguments: Values) -> Any:
        """Call a dependency that is a generator or runs in a worker thread."""
        if self._is_generator:
            dependant, request = self._dependant, solving.request
            key = "fastapi_function_astack" if dependant.scope == "function" else "fastapi_inner_astack"
            return await utils._solve_generator(
                request=request, dependant=dependant, stack=request.scope[key], sub_values=arguments
            )
        return await run_in_threadpool(self._call, **arguments)

    def read(self, solving: Solving, values: Values, errors: Errors) -> None:
        """Add the arguments of a call that reads no body."""
        self._read_parameters(solving.request, values, errors)
        self._read_objects(solving, values)

    def _read_parameters(self, request: Any, values: Values, errors: Errors) -> None:
        if self._path:
            received = request.path_params
            for read in self._path:
                read(received, values, errors)
        if self._query:
            received = request.query_params
            for read in self._query:
                read(received, values, errors)
        if self._headers:
            received = request.headers
            for read in self._headers:
                read(received, values, errors)
        if self._cookies:
            received = request.cookies
            for read in self._cookies:
                read(received, values, errors)

    def _read_objects(self, solving: Solving, values: Values) -> None:
        if self._connection:
            values[self._connection] = solving.request
        if self._request:
            values[self._request] = solving.request
        if self._background:
            values[self._background] = solving.shared_background()
        if self._response:
            values[self._response] = solving.shared_response()
        if self._scopes:
            values[self._scopes] = SecurityScopes(scopes=models._get_oauth_scopes(dependant=self._dependant))


def _readers(fields: list[Any]) -> list[Reader]:
    return [field_reader(field) for field in fields]
