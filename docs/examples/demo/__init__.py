"""The demo: one small, real application that shows what Pallasite does, run by `make serve`."""
