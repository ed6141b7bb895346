# Every target has a line that starts with "## "; make help prints them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test lint build bench bench-proxy bench-parts fuzz chaos e2e up down generate tidy

MODULES  := shared auth-service gateway user-service deploy/standalone
SERVICES := auth-service gateway user-service
FUZZTIME ?= 10s
BENCH    ?= .
CHAOS_SEEDS    ?= 1-20
CHAOS_DURATION ?= 2m
MODEL_CHECKS   ?= 2000
PKGS     ?= work
# The race detector needs a C compiler; without one the tests run all the same.
RACE = $(if $(shell command -v "$$(go env CC)" 2>/dev/null),-race)

## help: this list
help:
	@sed -n 's/^## \([a-z0-9-]*\): /\1 /p' $(MAKEFILE_LIST) | awk '{ name = $$1; sub(/^[^ ]+ /, ""); printf "  %-12s %s\n", name, $$0 }'

## run: the whole system in one process on http://127.0.0.1:8080 (flags in ARGS="...")
run:
	@go run ./deploy/standalone $(ARGS)

## test: every test of every module (fewer with PKGS=./shared/..., more flags in TESTFLAGS="...")
test:
	go test $(RACE) -timeout 20m $(TESTFLAGS) $(PKGS)

## lint: gofmt, go vet and golangci-lint over every module
lint: bin/golangci-lint
	@files=$$(gofmt -l $(MODULES)); [ -z "$$files" ] || { echo "not gofmt-ed:"; echo "$$files"; exit 1; }
	go vet work
	@for m in $(MODULES); do echo "golangci-lint $$m"; (cd $$m && $(CURDIR)/bin/golangci-lint run ./...) || failed=1; done; [ -z "$$failed" ]

## build: the three services and the standalone into ./bin
build:
	@for s in $(SERVICES); do echo "build bin/$$s"; (cd $$s && GOWORK=off go build -trimpath -o $(CURDIR)/bin/$$s .) || exit 1; done
	@echo "build bin/standalone"; cd deploy/standalone && GOWORK=off go build -trimpath -o $(CURDIR)/bin/standalone .

## bench: what a request costs here and in other proxies, and then the benchmarks of the parts
bench: bench-proxy bench-parts

## bench-parts: the benchmarks, one package at a time, each beside its baseline (choose with BENCH=regexp)
bench-parts:
	go test -p 1 -timeout 1h -run '^$$' -bench '$(BENCH)' -benchmem $(TESTFLAGS) $(PKGS)

## bench-proxy: what a request costs here, in nginx, in HAProxy and in a bare reverse proxy (flags in ARGS="...")
bench-proxy:
	@go run ./deploy/standalone/cmd/proxybench $(ARGS)

## fuzz: every fuzz target, each for FUZZTIME (10s)
fuzz:
	@grep -rHoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' $(MODULES) | while IFS=: read -r file func; do \
		echo "fuzz $${file%/*} $${func#func }"; \
		go test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZTIME) "./$${file%/*}" </dev/null || exit 1; \
	done

## chaos: the real system under faults, for CHAOS_DURATION (2m) with each of CHAOS_SEEDS (1-20), and the model with MODEL_CHECKS (2000) scripts
chaos:
	go test -count=1 -timeout 1h -run 'TestModel' $(TESTFLAGS) ./auth-service/internal/sequencer -rapid.checks=$(MODEL_CHECKS)
	CHAOS_SEEDS=$(CHAOS_SEEDS) CHAOS_DURATION=$(CHAOS_DURATION) go test -count=1 -timeout 6h -v -run 'Chaos' $(TESTFLAGS) ./deploy/standalone/internal/chaos
	GATEHOUSE_TEST_OUTAGES=all go test $(RACE) -count=1 -timeout 1h -run 'Fault|Restart' $(TESTFLAGS) $(PKGS)

## e2e: the end-to-end walk over HTTP, on a standalone of its own
e2e:
	go test -count=1 -timeout 20m -run E2E $(TESTFLAGS) ./deploy/standalone/...

## up: the services as processes on this machine's PostgreSQL, Redis and NATS
up:
	./deploy/up.sh

## down: stop what up has started
down:
	./deploy/down.sh

## generate: generated files anew; must leave no difference
generate:
	@for m in $(MODULES); do (cd $$m && go generate ./...) || exit 1; done

## tidy: gofmt, and go.mod files that name what is needed and no more
tidy:
	gofmt -w $(MODULES)
	@for m in $(MODULES); do echo "go mod tidy $$m"; (cd $$m && GOWORK=off go mod tidy) || exit 1; done

# The tools are pinned in a module of their own, so that what they need is no
# dependency of ours.
bin/%: deploy/tools/go.mod deploy/tools/go.sum
	cd deploy/tools && GOWORK=off go build -o $(CURDIR)/$@ $$(GOWORK=off go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' tool | grep '/$*$$')
