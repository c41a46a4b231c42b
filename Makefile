# SPDX-License-Identifier: Apache-2.0
# A newcomer needs two of these: `make run` and `make test`.

SHELL := /bin/bash
BUILD := swift build -c release --static-swift-stdlib -Xswiftc -use-ld=lld
BINARY := .build/release/apus
BENCH := .build/release/meshbench
RESULTS = --bounds Benchmarks/bounds.json $(foreach kind,markdown html json,--$(kind) Benchmarks/results/$(shell date +%F).$(kind:markdown=md))

.PHONY: run build test bench fuzz soak restarts asan asan-suites packages venv clean

## Installs what is missing, builds, starts the demo.
run: build
	$(BINARY) demo

## The release binaries, apus and meshbench: Swift's runtime linked in, symbols stripped; NAME.symbols keeps them for
## callgrind and perf.
build: packages
	$(BUILD) --product apus
	$(BUILD) --product meshbench
	@for binary in $(BINARY) $(BENCH); do \
	    if nm $$binary 2>/dev/null | grep -q ' swift_retain$$'; then strip --strip-debug -o $$binary.symbols $$binary; fi; \
	    strip --strip-unneeded --remove-section=.comment -o $$binary.stripped $$binary && mv $$binary.stripped $$binary || exit 1; \
	done

## Everything that can fail: unit tests, Python suites against Envoy, hostile input, peers, instruction counts, fuzzing.
test:
	Scripts/test.sh

## Apus, Envoy, HAProxy, nginx and nghttpx under the same load: tables and a page with plots in Benchmarks/results.
bench: build venv
	$(BENCH) compare --scenario all $(RESULTS)

## Each fuzz target for FUZZ_SECONDS (20).
fuzz: packages
	Scripts/fuzz.sh

## Memory over 1,000,000 requests and after a burst.
soak: build venv
	$(BENCH) compare --proxy apus --scenario soak --bounds Benchmarks/bounds.json

## A hundred rolling restarts under wrk, ab and h2load; `make test` does ten.
restarts: build venv
	APUS_BINARY=$(CURDIR)/$(BINARY) APUS_RESTARTS=100 .venv/bin/python -m pytest -q -s -p no:cacheprovider Tests/PeerTests/test_restart.py

## The unit tests under the address sanitizer, with leaks.
asan: packages
	Scripts/sanitize.sh unit

## The Python suites against a binary with the address sanitizer.
asan-suites: packages venv
	Scripts/sanitize.sh differential upstreams stats admin hostile faults conformance peers

packages:
	@Scripts/packages.sh

venv: packages
	@Scripts/venv.sh

clean:
	rm -rf .build .build-* .venv
