"""The dressed application on Starlette."""

from benches.case import Framework
from benches.dressed.app import plain

app = plain(Framework("starlette"))
