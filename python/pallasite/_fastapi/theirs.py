"""FastAPI's modules that compiled routes call. They are untyped here, because much of what is called is private."""

from __future__ import annotations

from typing import Any

import fastapi._compat.v2 as _fields
import fastapi.dependencies.models as _models
import fastapi.dependencies.utils as _utils
import fastapi.routing as _routing
from fastapi import params
from fastapi.background import BackgroundTasks
from fastapi.datastructures import DefaultPlaceholder
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.security import SecurityScopes
from fastapi.utils import is_body_allowed_for_status_code

__all__ = [
    "BackgroundTasks",
    "DefaultPlaceholder",
    "RequestValidationError",
    "ResponseValidationError",
    "SecurityScopes",
    "Undefined",
    "fields",
    "is_body_allowed_for_status_code",
    "models",
    "params",
    "routing",
    "utils",
]

fields: Any = _fields
models: Any = _models
utils: Any = _utils
routing: Any = _routing
Undefined: Any = _fields.Undefined
