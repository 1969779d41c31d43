"""The small application on Starlette."""

from __future__ import annotations

from benches.app import small_app
from benches.case import Framework

app = small_app(Framework("starlette"))
