"""The parts of `pallasite.routing`: path templates, the route list, endpoint applications, lifespans. No routes."""
