"""HTTP values, and how they are read and written: headers, URLs, origins, JSON. Nothing here serves a request."""
