"""The native half of Pallasite: what each function takes and gives back, and what it raises."""

__version__: str
