"""Files on disk: finding one below a directory, and spooling uploads. Nothing here is specific to HTTP."""
