"""The demo application with the probe around it: what the soak run serves."""

from __future__ import annotations

from demo.main import app as demo

from tests.hostile.probe import Probe

app = Probe(demo)
