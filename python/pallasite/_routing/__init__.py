"""The parts that `pallasite.routing` is built from: templates, the route list, endpoints, lifespans. Not the routes."""
