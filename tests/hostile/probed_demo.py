"""The demo application with the probe around it, for the soak run."""

from __future__ import annotations

from demo.main import app as demo

from tests.hostile.probe import Probe

app = Probe(demo)
