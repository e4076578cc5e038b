# What people do with this repository. `make` alone lists it.
CARGO ?= cargo
TARGET = $(or $(CARGO_TARGET_DIR),target)

.PHONY: help run build test unit sdk signing terminal real lint fmt deny bench bench-gateway bench-store docs ci

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Build and start the gateway; no configuration needed
	$(TARGET)/release/trunkline serve

build: ## Build the command: target/release/trunkline
	$(CARGO) build --release -p trunkline-cli

test: unit sdk signing terminal ## Run everything that passes or fails

# nextest, where it is installed, runs the tests of all crates at once; it leaves out the doc tests.
unit: ## Run the tests in Rust
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --workspace --no-fail-fast && $(CARGO) test --workspace --doc; \
	else \
		$(CARGO) test --workspace --no-fail-fast; \
	fi

sdk: ## Call the gateway with the official Python SDKs (fetches them from PyPI once)
	$(CARGO) build -p trunkline-cli
	TRUNKLINE_BIN=$(TARGET)/debug/trunkline bash tests/sdk/run.sh

signing: ## Compare signatures with those of the vendors' Python SDKs (fetches them from PyPI once)
	CARGO="$(CARGO)" bash tests/signing/run.sh

terminal: ## Drive `trunkline chat` in a terminal (needs tmux, else it is skipped)
	$(CARGO) build -p trunkline-cli
	TRUNKLINE_BIN=$(TARGET)/debug/trunkline bash tests/terminal/run.sh

real: build ## Call a real model through the gateway (fetches about 165 MB once; Linux on x86_64)
	TRUNKLINE_BIN=$(TARGET)/release/trunkline bash tests/real/run.sh

lint: ## Check formatting, clippy and the manual with warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

fmt: ## Format
	$(CARGO) fmt --all

deny: ## Check licences, sources and banned crates of all dependencies (needs cargo-deny)
	$(CARGO) deny --offline check bans licenses sources

bench: ## Measure the codec; ARGS="-- sse" picks some of the benches
	$(CARGO) bench -p trunkline-codec --bench codec $(ARGS)

bench-gateway: ## Measure the gateway beside nginx and a direct connection
	bash benches/gateway/run.sh $(ARGS)

bench-store: ## Measure the ledger: a million rows, and a minute without its store
	bash benches/store.sh

docs: ## Write the generated parts of the documents again
	UPDATE_DOCS=1 $(CARGO) test -p trunkline-testkit --test it docs
	UPDATE_DOCS=1 $(CARGO) test -p trunkline-codec --test it matrix
	UPDATE_DOCS=1 $(CARGO) test -p trunkline-codec --test it kind

ci: ## What the CI runs
	.ci/run
