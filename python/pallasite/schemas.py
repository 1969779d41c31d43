"""OpenAPI schemas from the docstrings of an application's endpoints."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.routing import BaseRoute, Host, Mount, Route

try:
    import yaml
except ModuleNotFoundError:
    yaml = None

__all__ = ["BaseSchemaGenerator", "EndpointInfo", "OpenAPIResponse", "SchemaGenerator"]

_METHODS = ("get", "post", "put", "patch", "delete", "options", "query")


class OpenAPIResponse(Response):
    """A response that encodes a dictionary as YAML. Requires ``pyyaml``."""

    media_type = "application/vnd.oai.openapi"

    def render(self, content: Any) -> bytes:
        assert yaml is not None, "`pyyaml` must be installed to use OpenAPIResponse."
        assert isinstance(content, dict), "The schema passed to OpenAPIResponse should be a dictionary."
        text: str = yaml.dump(content, default_flow_style=False)
        return text.encode("utf-8")


class EndpointInfo(NamedTuple):
    """A path, a method, and the function with its docstring."""

    path: str
    http_method: str
    func: Callable[..., Any]


class BaseSchemaGenerator:
    """A collector of endpoints. Subclasses build the schema in `get_schema`."""

    def get_schema(self, routes: list[BaseRoute]) -> dict[str, Any]:
        """Return the schema of `routes`."""
        raise NotImplementedError

    def get_endpoints(self, routes: list[BaseRoute]) -> list[EndpointInfo]:
        """Return the endpoints of `routes`, including mounts and hosts, that are included in schemas."""
        return [info for route in routes for info in self._endpoints_of(route)]

    def _endpoints_of(self, route: BaseRoute) -> Iterator[EndpointInfo]:
        if isinstance(route, Mount | Host):
            prefix = self._remove_converter(route.path) if isinstance(route, Mount) else ""
            for info in self.get_endpoints(route.routes or []):
                yield info._replace(path=prefix + info.path)
        elif isinstance(route, Route) and route.include_in_schema:
            path = self._remove_converter(route.path)
            endpoint = route.endpoint
            if inspect.isfunction(endpoint) or inspect.ismethod(endpoint):
                for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
                    yield EndpointInfo(path, method.lower(), endpoint)
            else:
                for method in _METHODS:
                    if hasattr(endpoint, method):
                        yield EndpointInfo(path, method, getattr(endpoint, method))

    def _remove_converter(self, path: str) -> str:
        """Return the path without convertors: ``/users/{id:int}`` is ``/users/{id}`` in a schema."""
        return re.sub(r":\w+}", "}", path)

    def parse_docstring(self, func_or_method: Callable[..., Any]) -> dict[str, Any]:
        """Return the YAML mapping in a docstring, after its last ``---`` line, or an empty one."""
        docstring = func_or_method.__doc__
        if not docstring:
            return {}
        assert yaml is not None, "`pyyaml` must be installed to use parse_docstring."
        parsed = yaml.safe_load(docstring.rpartition("---")[2])
        # Prose is valid YAML too: one string.
        return parsed if isinstance(parsed, dict) else {}

    def OpenAPIResponse(self, request: Request) -> Response:
        """Return a response with the schema of the application that handles `request`."""
        return OpenAPIResponse(self.get_schema(routes=request.app.routes))


class SchemaGenerator(BaseSchemaGenerator):
    """A generator for OpenAPI schemas: `base_schema` and the paths of all endpoints with YAML in their docstrings."""

    def __init__(self, base_schema: dict[str, Any]) -> None:
        self.base_schema = base_schema

    def get_schema(self, routes: list[BaseRoute]) -> dict[str, Any]:
        schema = {"paths": {}, **self.base_schema}
        version = re.match(r"(\d+)\.(\d+)", str(schema.get("openapi", "")))
        # OpenAPI supports the QUERY method since 3.2.
        knows_query = version is not None and (int(version[1]), int(version[2])) >= (3, 2)
        for path, method, func in self.get_endpoints(routes):
            if method == "query" and not knows_query:
                continue
            description = self.parse_docstring(func)
            if description:
                schema["paths"].setdefault(path, {})[method] = description
        return schema
