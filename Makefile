.PHONY: help test suite lint run shots bench soak

help: ## lists the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

test: ## everything: format, lints, dependencies, every test; fetches what it needs
	@tests/run.sh

suite: ## some of the tests, isolated as `make test` does: make suite ARGS="-p berth-sql -E 'test(login)'"
	@tests/suite.sh $(ARGS)

lint: ## format and clippy only
	git ls-files -z '*.rs' | xargs -0 rustfmt --edition 2024 --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

run: ## Berth from this tree: the window, served to a browser; or a command with make run ARGS="demo --keep"
	@$(if $(ARGS),cargo run --quiet --package berth-cli --bin berth --locked -- $(ARGS),tests/window.sh)

shots: ## a picture of each screen, in light and dark, into target/shots
	@tests/shots.sh

bench: ## Berth beside the peers, measured in the same run: median, spread, ratio
	@tests/bench.sh

soak: ## what takes too long for `make test` (every fault among it: docs/faults.md), then the end-to-end suites until one fails: make soak TIMES=20
	@tests/soak.sh $(or $(TIMES),10)
