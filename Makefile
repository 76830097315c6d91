# Segue. `make` alone prints what there is.
.DEFAULT_GOAL := help
.PHONY: help setup samples build demo run sipp test fuzz bench bench-pages deb pictures lint fmt deny clean

help: ## What can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Check for the packages that building and testing need (as root: install them)
	@tests/setup.sh

samples: setup ## Make the sample clips and prompts in media/out
	@media/make-samples.sh >/dev/null

build: setup ## Build the binary target/debug/segue
	@cargo build --locked --bin segue

demo: build samples ## See the main call happen: clip, hold, switch; a video message, collected by phone; the heard threshold
	@cargo run --locked -q -p segue-tests --bin demo

run: build samples ## Run Segue here: SIP on 127.0.0.1:5060, data in ./segue-data
	@target/debug/segue run --ready-file target/run.json

# Only what was written behind `make sipp`: the shell has a USER of its own.
sipp_keys := SCENARIO CALLEE TRANSPORT TARGET USER PORT PAUSE CALLEE_PAUSE LIMIT SETUP OWN DATA READY SEGUE LOGS
sipp: ## Play a SIPp scenario against a running Segue: make sipp SCENARIO=plain; without one: list them
	@cargo run --locked -q -p segue-tests --bin sipp-kit -- \
		$(foreach key,$(sipp_keys),$(if $(filter command,$(firstword $(origin $(key)))),'$(key)=$($(key))'))

test: ## Everything that must be green, with a clear last line
	@tests/all.sh

pictures: build samples ## Take the pictures of the pages in docs/pictures anew, in a real browser
	@SEGUE_PICTURES='$(CURDIR)/docs/pictures' cargo test --locked -q -p segue-tests --test pictures

fuzz: setup ## Fuzz each target for 60 s (FUZZ_SECONDS=..., TARGET=uri); installs cargo-fuzz once; docs/fuzzing.md
	@FUZZ_SECONDS='$(FUZZ_SECONDS)' TARGET='$(TARGET)' fuzz/run.sh

bench: samples ## Measure what calls and streams cost (8 minutes; ONLY=plain, FLAME=1 for flame graphs: docs/figures.md)
	@cargo build --locked --release --bin segue --bin bench
	@FLAME='$(FLAME)' target/release/bench $(ONLY)

bench-pages: setup ## Measure what pages and lists cost with 10,000 messages in a mailbox (2 minutes and an optimised build)
	@CARGO_PROFILE_BENCH_LTO=off cargo bench --locked -p segue-web --bench pages

deb: setup samples ## Make the Debian package target/debian/segue_*.deb (installs cargo-deb once); docs/install.md
	@cargo deb --version >/dev/null 2>&1 || cargo install --locked cargo-deb
	@cargo deb --locked -q -p segue

lint: setup ## Formatting and clippy, warnings are errors
	@cargo fmt --all --check
	@cargo clippy --locked --workspace --all-targets -q -- -D warnings

fmt: ## Format the sources
	@cargo fmt --all

deny: setup ## Licences, bans, sources and advisories of dependencies (installs cargo-deny once; needs the network)
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	@cargo deny check

clean: ## Remove what was built, samples too
	@cargo clean
	@rm -rf media/out
