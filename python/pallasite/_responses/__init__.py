"""The response classes, which `pallasite.responses` makes public. Middleware and routing stay outside."""
