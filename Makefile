# "make check" is what CI runs. All of it needs Go, race also a C compiler. The tools
# are pinned in tools/*/go.mod; the go command builds them when they are first used.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory

GO       ?= go
BIN      ?= bin
FUZZTIME ?= 5s
BENCH    ?= .
COUNT    ?= 6
ARGS     ?=
DIST     ?= dist

# VERSION is that of the archives of "make dist" and the programs in them.
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)

# Property tests try the same cases in every run; RAPID_SEED=0 makes it others each time.
export RAPID_SEED ?= 1

golangci    := $(GO) tool -modfile=tools/golangci-lint/go.mod golangci-lint
gofumpt     := $(GO) tool -modfile=tools/gofumpt/go.mod gofumpt
govulncheck := $(GO) tool -modfile=tools/govulncheck/go.mod govulncheck

# The parts of "make check", in this order.
checks := tidy lint vet race fuzz build-check cross-check demo-check deploy-check vuln

.DEFAULT_GOAL := build
.PHONY: build dist test race fuzz bench performance-page lint fmt check demo tidy vet build-check cross-check demo-check deploy-check vuln

build: ## programs into bin/
	$(GO) build -trimpath -o $(BIN)/ ./cmd/...

# The archives are the same bytes for the same commit and Go version. They need GNU tar and zip.
targets := linux/amd64 linux/arm64 darwin/arm64 windows/amd64

dist: ## archives of static programs for all targets, and their checksums, into dist/
	@work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	time=$$(git log -1 --format=%ct 2>/dev/null || echo 315532800); \
	rm -rf "$(DIST)"; mkdir -p "$(DIST)"; out=$$(cd "$(DIST)" && pwd); \
	for target in $(targets); do \
		os=$${target%/*}; arch=$${target#*/}; name="dsiem_$(VERSION)_$${os}_$$arch"; \
		echo "$$name"; mkdir "$$work/$$name"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -buildvcs=false \
			-ldflags='-s -w -X dsiem/internal/node.linked=$(VERSION)' -o "$$work/$$name/" \
			./cmd/dsiem ./cmd/dsiem-backend ./cmd/dsiem-frontend; \
		cp --parents LICENSE README.md CHANGELOG.md docs/examples/event.json "$$work/$$name/"; \
		chmod -R u=rwX,go=rX "$$work/$$name"; \
		find "$$work/$$name" -exec touch -d "@$$time" {} +; \
		if [ "$$os" = windows ]; then \
			(cd "$$work" && find "$$name" -type f | LC_ALL=C sort | TZ=UTC zip -9 -q -X "$$out/$$name.zip" -@); \
		else \
			tar --sort=name --owner=0 --group=0 --numeric-owner --format=ustar -C "$$work" -cf - "$$name" | gzip -9 -n >"$$out/$$name.tar.gz"; \
		fi; \
	done; \
	cd "$$out" && sha256sum dsiem_* >SHA256SUMS && ls -l

test: ## all tests
	$(GO) test ./...

race: ## all tests under the race detector
	$(GO) test -race ./...

# The go command fuzzes one target of one package at a time, so find them all.
# It sometimes reports its own time limit, "context deadline exceeded" and no
# input, as a failure of the target: a race in the go command, ignored here.
test_files = {{$$p := .}}{{range .TestGoFiles}}{{$$p.ImportPath}} {{$$p.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$p.ImportPath}} {{$$p.Dir}}/{{.}}{{"\n"}}{{end}}

fuzz: ## every fuzz target for FUZZTIME each
	@files=$$($(GO) list -f '$(test_files)' ./...); n=0; \
	while read -r pkg file; do \
		[ -n "$$file" ] || continue; \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			n=$$((n + 1)); echo "fuzz $$pkg $$name for $(FUZZTIME)"; \
			if out=$$($(GO) test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) "$$pkg" 2>&1 </dev/null); then \
				tail -n 1 <<<"$$out"; \
			elif grep -q '^ *context deadline exceeded$$' <<<"$$out" && ! grep -q 'Failing input\|seed corpus' <<<"$$out"; then \
				printf 'ok  \t%s\ttime is up\n' "$$pkg"; \
			else \
				echo "$$out"; \
				input=$$(sed -n 's/^ *Failing input written to //p' <<<"$$out"); \
				[ -z "$$input" ] || cat "$$(dirname "$$file")/$$input"; \
				exit 1; \
			fi; \
		done; \
	done <<<"$$files"; \
	echo "fuzz targets: $$n"

bench: ## benchmarks, in the form benchstat reads
	$(GO) test -run='^$$' -bench='$(BENCH)' -benchmem -count=$(COUNT) ./...

performance-page: build ## measure everything and write the tables of docs/performance.md: 50 minutes, on a machine that does nothing else
	$(BIN)/dsiem-bench --matrix --repeat=5 --page=docs/performance.md
	$(BIN)/dsiem-bench --scenario=soak --limit-time=0 --page=docs/performance.md
	$(BIN)/dsiem-bench --scenario=restart,restart-million --limit-time=0 --page=docs/performance.md

lint: ## linters and formatters, nothing is changed
	$(golangci) config verify
	$(golangci) run

fmt: ## format the code
	$(gofumpt) -w .
	$(golangci) fmt

vet:
	$(GO) vet ./...

tidy: ## go.mod and go.sum are as "go mod tidy" would write them
	$(GO) mod tidy -diff

demo: ## run the demo
	$(GO) run ./cmd/dsiem demo $(ARGS)

build-check:
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	$(GO) build -o "$$dir/" ./... && ls "$$dir"

# For the targets that no test runs on: what they leave out shows when they are built.
cross-check:
	@for target in $(filter-out linux/amd64,$(targets)); do \
		echo "build and vet for $$target"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build -trimpath ./...; \
		[ "$${target%/*}" = linux ] || CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) vet ./...; \
	done

demo-check:
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	$(GO) run ./cmd/dsiem demo --fast --out "$$dir" </dev/null

deploy-check: ## Dockerfile and compose files, with Docker's own parsers
	$(GO) vet -C tools/deploylint ./...
	$(GO) test -C tools/deploylint ./...
	$(GO) run -C tools/deploylint . ../..

# Without its database govulncheck can only fail; "DB updated" tells that it is there.
vuln: ## known vulnerabilities in what we call
	@version=$$($(govulncheck) -version); \
	if grep -q 'DB updated' <<<"$$version"; then $(govulncheck) ./...; \
	else echo "skipped: vulnerability database unreachable"; fi

check: ## everything that CI runs, with the seconds each part takes
	@total=$$SECONDS; \
	for part in $(checks); do \
		printf '\n== %s\n' "$$part"; start=$$SECONDS; \
		$(MAKE) "$$part" || { printf -- '-- %s: FAILED after %d s\n' "$$part" $$((SECONDS - start)); exit 1; }; \
		printf -- '-- %s: %d s\n' "$$part" $$((SECONDS - start)); \
	done; \
	printf '\ncheck: passed in %d s\n' $$((SECONDS - total))
