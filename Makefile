# Every target is one script; run `scripts/<name>` directly for its options. PYTHON=python3.13 picks the interpreter.
export PYTHON PORT HOST COVERAGE SECONDS_EACH

.PHONY: help serve test coverage lint bench fuzz compat ecosystem soak docs wheel clean
help:  ; @sed -n 's/^\([a-z]*\): *; @scripts.*## /make \1	/p' Makefile
serve: ; @scripts/serve  ## build everything and start the demo application (PORT=8000)
test:  ; @scripts/test   ## formatting, lint, types, Rust tests, Python tests
coverage: ; @scripts/test --coverage  ## make test, failing where the tests leave a branch of the Python half or 5 % of the Rust core out
lint:  ; @scripts/lint   ## the checks of `make test` that run no test
bench: ; @scripts/bench  ## compare with the installed peers
fuzz:  ; @scripts/fuzz   ## run every fuzz target of the Rust core for a while (SECONDS_EACH=20)
compat: ; @scripts/compat  ## run Starlette's and FastAPI's own tests on Pallasite
ecosystem: ; @scripts/ecosystem  ## try packages built on Starlette on Pallasite
soak: ; @scripts/soak --seconds $(or $(SECONDS),600)  ## ordinary and hostile clients at the demo for ten minutes (SECONDS=600)
docs:  ; @scripts/docs   ## execute every example in README.md and docs/
wheel: ; @scripts/wheel  ## both wheel flavours into dist/, each tried in an environment of its own
clean: ; @scripts/clean  ## remove environments, caches and build output
