"""The cases, one file for each noun; importing a file registers its cases."""

ORDER = ("responses", "requests", "routing", "websockets", "middleware", "files", "forms", "testclient", "fastapi")
"""In which they are measured and reported."""
