"""The response classes. Public in `pallasite.responses`. Nothing here belongs to middleware or routing."""
