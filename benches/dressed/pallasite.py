"""The dressed application on Pallasite."""

from benches.case import Framework
from benches.dressed.app import plain

app = plain(Framework("pallasite"))
