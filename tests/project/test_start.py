"""What an import loads. Each module costs every process time and memory when it starts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: All that answers a request. `pallasite.responses` loads these.
RESPONSES = """
_compat _compat.alias _compat.mode _compat.public _compat.stock _compat.warn _core _http _http.close_frame
_http.conditional _http.headers _http.host _http.json _http.mapping _http.multidict _http.phrases _http.ranges
_http.scope_keys _http.set_cookie _http.text _http.typed _http.url _responses _responses.base _responses.file _runtime
_runtime.calls _runtime.disconnect _runtime.read_ahead _runtime.worker_threads _utils background concurrency
datastructures exceptions responses types
"""
ROUTING = f"""{RESPONSES}
_exception_handler _http.form_limits _routing _routing.endpoint_apps _routing.lifespan _routing.match
_routing.mistakes _routing.paths
_routing.route_list _routing.wrap convertors middleware middleware.body_limit requests routing status websockets
"""
APPLICATIONS = f"""{ROUTING}
_http.origin _http.schemes applications middleware._debug_values middleware._fixed_origin middleware.errors
middleware.exceptions middleware.trustedhost
"""

#: Modules that are easily loaded by accident, and need as long as all of `pallasite.responses`.
HEAVY = {
    "anyio._core._fileio",
    "anyio._core._synchronization",
    "email",
    "http.client",
    "http.cookies",
    "secrets",
    "tempfile",
    "unittest",
    "xml",
    "zlib",
}


def loaded_by(module: str) -> set[str]:
    """Return what a new interpreter has loaded after `import module`, and had not before."""
    code = f"import json, sys; old = set(sys.modules); import {module}; print(json.dumps([*set(sys.modules) - old]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("module", "expected"), [("responses", RESPONSES), ("routing", ROUTING), ("applications", APPLICATIONS)]
)
def test_import_loads_only_what_is_needed(module: str, expected: str) -> None:
    loaded = loaded_by(f"pallasite.{module}")
    assert {name for name in loaded if name.startswith("pallasite.")} == {f"pallasite.{n}" for n in expected.split()}
    assert not loaded & HEAVY
    packages = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert packages <= {"pallasite", "anyio", "idna", "sniffio", "typing_extensions"}


def test_responses_do_without_uuid() -> None:
    assert "uuid" not in loaded_by("pallasite.responses")
