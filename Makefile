# Everything a maintainer or CI runs. It needs Go, a C compiler for the race detector, and git; the tools that
# .tools/go.mod pins are built into .bin/ the first time they are used.

SHELL := /bin/sh
MODULE := github.com/frayrpc/fray
BIN := .bin
COVER := .cover

# Least percentage of statements outside gen/ that the tests must run.
COVER_MIN ?= 80
# How long one test binary may take.
TEST_TIMEOUT ?= 10m
# How long make fuzz runs altogether, and make fuzz-live, which is a minute of make test with what it builds.
FUZZ_TOTAL ?= 10m
FUZZ_LIVE ?= 40s
# Which benchmarks run, how often, and in which packages.
BENCH ?= .
BENCH_COUNT ?= 1
BENCH_PACKAGES ?= $(PACKAGES)
# Where make bench-report leaves its results, on which disk it keeps records, and further options of fray bench.
BENCH_OUT ?= .bench
BENCH_DISK ?= $(BENCH_OUT)/data
BENCH_FLAGS ?=
# How much memory above idle the controller and the worker of make bench-objects may take, in bytes.
OBJECT_MEMORY ?= 134217728
# 1: make bench-report measures NATS JetStream, too.
NATS ?=
# 1: it measures a call of Fray behind grpc-go and connect-go, too.
GRPC ?=
# Further flags of make river, such as -jobs 20000 -repeat 1.
RIVER_FLAGS ?=
# How often make kills kills the controller.
KILLS ?= 200
# How often make leaders loses the leader of several controllers, and the primary of their database; and to which file
# it adds how long each took.
LEADER_KILLS ?= 200
DATABASE_FAILOVERS ?= 20
LEADER_GAPS ?=
# Which planted bugs to try, by default all; and flags, see go doc ./sim/planted.
PLANTED ?=
PLANTED_FLAGS ?=
# How many mutants make mutants tries, 0: all; and flags such as -tests, see go doc ./sim/mutants.
ATTACK ?= 2m
MUTANTS ?= 300
MUTANTS_FLAGS ?=
# How make sweep runs each scenario, and its one long one; and where it leaves what came of it.
SEEDS ?= 1..200
SOAK_SEEDS ?= 1..10
ACTORS_SEEDS ?= 1..200
SWEEP_OUT ?= .sweep
# The seeds of each scenario that make secure runs with roles.
SECURE_SEEDS ?= 1..3
# Which random scenarios make chaos runs, and for how long make soak runs others on processes.
CHAOS_SEEDS ?= 1..1000
MINUTES ?= 10
# What make release builds for.
RELEASE_PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
# Where make vuln looks vulnerabilities up.
GOVULNDB ?= https://vuln.go.dev
# The commit that schemas must stay compatible with; by default the last one that differs from the work tree.
BREAKING_AGAINST ?=

# Packages written by hand. Recursive on purpose: only the targets that need them pay for go list.
PACKAGES = $(shell go list -f '{{if or .GoFiles .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./... | grep -v '^$(MODULE)/gen/')
# As patterns of directories, because go test repeats them on every line.
COVER_PACKAGES = $(shell go list -f '{{if .GoFiles}}{{.ImportPath}}{{end}}' ./... | sed -n 's|^$(MODULE)/\([^/]*\).*|./\1/...|p' | grep -v '^./gen/' | sort -u)
# What runs goroutines of its own; the integration suite and what plants bugs start processes instead.
# The longest come first, so that they are not left to run alone.
RACE_PACKAGES := ./sim/cluster/system ./fray/store/pebblestore ./fray/... ./faults/... ./sim $(patsubst %/,./%/...,$(filter-out sim/planted/ sim/mutants/ sim/testdata/,$(wildcard sim/*/)))

COMMANDS := $(notdir $(patsubst %/,%,$(wildcard cmd/*/)))
# Every directory with a go.mod, the tools last.
VULN_MODULES := $(shell git ls-files go.mod '*/go.mod' | sed 's|/*go.mod$$||; s|^$$|.|' | sort -r)

comma := ,
empty :=
space := $(empty) $(empty)

.DEFAULT_GOAL := help
# The order of the prerequisites of test is part of its contract.
.NOTPARALLEL:

.PHONY: help
help: ## Print what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Build every command into bin/
	@mkdir -p bin
	go build -buildvcs=auto -o bin/ ./cmd/...

# Run from a commit without changes, with its tags, so that a binary says which one it is. Neither cgo nor paths of
# this machine get in: whoever builds a commit with the same Go gets the same bytes.
.PHONY: release
release: $(BIN)/cyclonedx-gomod ## Build every command for RELEASE_PLATFORMS into dist/, with SBOMs and SHA256SUMS; publishes nothing
	@test -z "$$(git status --porcelain)" || { echo "make release: there are changes that are not committed: commit or stash them"; exit 1; }
	@rm -rf dist && mkdir -p dist
	@set -e; for platform in $(RELEASE_PLATFORMS); do \
		os=$${platform%/*} arch=$${platform#*/}; \
		for command in $(COMMANDS); do \
			echo "dist/$$command-$$os-$$arch"; \
			GOFLAGS= CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -buildvcs=true -ldflags='-s -w' \
				-o "dist/$$command-$$os-$$arch" ./cmd/$$command; \
			go version -m "dist/$$command-$$os-$$arch" | grep -q vcs.revision= || \
				{ echo "make release: go build stamped no commit: run it in a clone; Go does not see those of git worktrees"; exit 1; }; \
			$(call sbom,dist/$$command-$$os-$$arch); \
		done; \
	done
	@cd dist && if command -v sha256sum >/dev/null; then sha256sum *; else shasum -a 256 *; fi >../SHA256SUMS.tmp && mv ../SHA256SUMS.tmp SHA256SUMS
	@cat dist/SHA256SUMS

.PHONY: sbom
sbom: build $(BIN)/cyclonedx-gomod ## Write what each command in bin/ was built from into bin/COMMAND.cdx.json, as CycloneDX
	@set -e; for command in $(COMMANDS); do $(call sbom,bin/$$command); echo "bin/$$command.cdx.json"; done

# sbom writes PROGRAM.cdx.json without time and serial number, so that the same program gives the same bytes, and fails
# unless it has every module that go version -m has. Their + is %2B in it.
define sbom
$(BIN)/cyclonedx-gomod bin -json -std -noserial -notimestamp -output "$(1).cdx.json" "$(1)" 2>$(BIN)/sbom.log || { cat $(BIN)/sbom.log; exit 1; }; \
go version -m "$(1)" | awk '$$1 == "dep" { gsub("[+]", "%2B", $$3); print $$2 "@" $$3; n++ } END { exit !n }' >$(BIN)/sbom.modules || \
	{ echo "make: go version -m $(1) names no modules"; exit 1; }; \
while read -r module; do grep -qF "\"pkg:golang/$$module?" "$(1).cdx.json" || { echo "make: $(1).cdx.json lacks $$module"; exit 1; }; done <$(BIN)/sbom.modules
endef

# Exit code 3 of govulncheck: it found something; any other but 0: it could not look, which is a failure too.
.PHONY: vuln
vuln: $(BIN)/govulncheck connect-schemas ## Look up what every module of the repository calls in GOVULNDB, the database of known vulnerabilities
	@failed=; for module in $(VULN_MODULES); do \
		if [ $$module = .tools ]; then packages=tool; else packages='-test ./...'; fi; \
		echo "make vuln: $$module"; \
		code=0; $(BIN)/govulncheck -db '$(GOVULNDB)' -C $$module $$packages || code=$$?; \
		case $$code in \
			0) ;; \
			3) failed="$$failed $$module (vulnerable)";; \
			*) failed="$$failed $$module (not checked: can $(GOVULNDB) be reached? else set GOVULNDB to a mirror, or to file:///DIRECTORY)";; \
		esac; \
	done; \
	if [ -n "$$failed" ]; then echo "make vuln:$$failed"; exit 1; fi

.PHONY: test
test: check-race check-generate lint fuzz-live cover race ## Run all that CI runs; ends with the race detector's go test summary

.PHONY: generate
generate: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-connect-go ## Generate gen/ from proto/
	$(BIN)/buf generate

.PHONY: check-generate
check-generate: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-connect-go ## Fail when gen/ is not what proto/ generates
	@rm -rf $(BIN)/generated && mkdir -p $(BIN)/generated gen
	$(BIN)/buf generate -o $(BIN)/generated
	@diff -ru gen $(BIN)/generated/gen || { echo "make check-generate: gen/ is stale: run make generate and commit it"; exit 1; }

.PHONY: lint
lint: lint-proto lint-go ## Lint schemas and Go, with formatting and compatibility of the schemas

.PHONY: lint-proto
lint-proto: $(BIN)/buf
	$(BIN)/buf lint proto
	@$(BIN)/buf format --diff --exit-code proto || { echo "make lint: schemas are not formatted: run make fmt"; exit 1; }
	@against='$(BREAKING_AGAINST)'; \
	if [ -z "$$against" ]; then \
		if git diff --quiet HEAD -- proto 2>/dev/null; then against=HEAD~1; else against=HEAD; fi; \
	fi; \
	if commit=$$(git rev-parse --quiet --verify "$$against^{commit}" 2>/dev/null) && git cat-file -e "$$commit:proto/buf.yaml" 2>/dev/null; then \
		echo "$(BIN)/buf breaking proto --against $$against"; \
		$(BIN)/buf breaking proto --against "$$(git rev-parse --git-common-dir)#ref=$$commit,subdir=proto"; \
	else \
		echo "make lint: no schemas at $$against: compatibility is not checked"; \
	fi

.PHONY: lint-go
lint-go: $(BIN)/golangci-lint
	$(BIN)/golangci-lint run --allow-serial-runners ./...

.PHONY: fmt
fmt: $(BIN)/buf $(BIN)/golangci-lint ## Format Go and schemas
	$(BIN)/golangci-lint fmt ./...
	$(BIN)/buf format -w proto

# FRAY_COVERDIR asks the integration suite to build the commands with -cover and to run them with GOCOVERDIR set to
# it, so that what a child process runs counts too. -count=1 because a cached test would leave it empty.
.PHONY: cover
cover: ## Run every test once and fail below COVER_MIN percent of statements
	@rm -rf $(COVER) && mkdir -p $(COVER)/processes
	FRAY_COVERDIR='$(abspath $(COVER)/processes)' go test -count=1 -shuffle=on -timeout=$(TEST_TIMEOUT) \
		-covermode=atomic -coverpkg='$(subst $(space),$(comma),$(strip $(COVER_PACKAGES)))' -coverprofile=$(COVER)/tests.out $(PACKAGES)
	go tool covdata textfmt -i=$(COVER)/processes -o=$(COVER)/processes.out
	@{ echo 'mode: atomic'; cat $(COVER)/tests.out $(COVER)/processes.out | grep -v -e '^mode:' -e '^$(MODULE)/gen/'; } >$(COVER)/merged.out
	@go tool cover -func=$(COVER)/merged.out | awk '{ total = $$NF } END { sub("%", "", total); \
		print "make cover: " total "% of statements outside gen/ are covered, $(COVER_MIN)% are needed"; exit total < $(COVER_MIN) }'

.PHONY: race
race: check-race ## Run the tests of concurrent packages under the race detector
	go test -race -shuffle=on -timeout=$(TEST_TIMEOUT) $(RACE_PACKAGES)

# With goroutines that follow a seed, and once more with others.
.PHONY: order
order: ## Run the tests of races and of the simulator with goroutines that follow a seed
	@mkdir -p bin && go build -o bin/ ./cmd/fray-sim
	bin/fray-sim test ./sim/order ./sim -timeout=$(TEST_TIMEOUT)
	bin/fray-sim test --seed 7 ./sim -timeout=$(TEST_TIMEOUT)
	bin/fray-sim test -race ./sim/order -timeout=$(TEST_TIMEOUT)
	cd examples/abroad && $(abspath bin)/fray-sim test ./counter -timeout=$(TEST_TIMEOUT) -args -seeds 1..10

ABROAD_SEEDS ?= 1..200

.PHONY: abroad
abroad: check-race ## Run programs that other people wrote under ABROAD_SEEDS, and with a bug planted in each
	@mkdir -p bin && go build -o bin/ ./cmd/fray-sim
	PATH='$(abspath bin)':"$$PATH" go -C examples/abroad run ./table -seeds $(ABROAD_SEEDS)
	PATH='$(abspath bin)':"$$PATH" go -C examples/abroad run ./table -planted -seeds 1..50

.PHONY: check-race
check-race:
	@cc=$$(go env CC); if [ "$$(go env CGO_ENABLED)" != 1 ] || ! command -v "$${cc%% *}" >/dev/null 2>&1; then \
		echo "make race: the race detector needs cgo and a C compiler: install gcc, or set CC and CGO_ENABLED=1"; exit 1; fi

.PHONY: integration
integration: ## Run the end-to-end suite over real TCP and real processes
	go test -count=1 -timeout=$(TEST_TIMEOUT) ./integration/...

.PHONY: integration-postgres
integration-postgres: ## Run the end-to-end suite with each controller's records in a PostgreSQL database of its own
	FRAY_TEST_STORE=postgres FRAY_REQUIRE_POSTGRES=1 go test -count=1 -timeout=20m ./integration

# The table has what go test comes to, also where it does not come to its end.
.PHONY: conformance
conformance: ## Hold every backend to what all of them promise, and print a table of behaviours and backends
	@go test -count=1 -timeout=$(TEST_TIMEOUT) -json -run 'Conforms$$' ./fray | go run ./integration/backends

# A module of its own, so that what the suite needs stays out of go.mod. gen/ in it is made from the suite's schemas.
.PHONY: connect-suite
connect-suite: connect-schemas ## Run Connect's conformance suite through faults and in simulations
	go -C integration/conformance test -count=1 -timeout=$(TEST_TIMEOUT) -v .

.PHONY: connect-schemas
connect-schemas: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-connect-go
	go -C integration/conformance mod download connectrpc.com/conformance
	$(BIN)/buf generate --template integration/conformance/buf.gen.yaml -o integration/conformance \
		"$$(go -C integration/conformance list -m -f '{{.Dir}}' connectrpc.com/conformance)/proto"

.PHONY: sim
sim: ## Run the simulator's tests
	go test -count=1 -timeout=$(TEST_TIMEOUT) ./sim/...

.PHONY: kills
kills: ## Kill a controller KILLS times under load, and print what it kept
	FRAY_KILLS=$(KILLS) go test -count=1 -timeout=0 -v -run='^TestControllerIsKilledUnderLoad$$' ./integration

.PHONY: leaders
leaders: ## Lose the leader LEADER_KILLS times and its database's primary DATABASE_FAILOVERS times under load, and print what was kept and for how long nobody answered
	FRAY_LEADER_KILLS=$(LEADER_KILLS) FRAY_DATABASE_FAILOVERS=$(DATABASE_FAILOVERS) FRAY_LEADER_GAPS='$(if $(LEADER_GAPS),$(abspath $(LEADER_GAPS)))' \
		go test -count=1 -timeout=0 -v -run='^TestLeaderIsKilledUnderLoad$$' ./integration

.PHONY: power-losses
power-losses: ## Cut the power before every operation of a store, and of simulated controllers within commits; print what was kept
	go test -count=1 -v -run='^TestCrash$$' ./fray/store/pebblestore -stride=1
	go build -o bin/ ./cmd/fray-sim
	@for scenario in controller-power-loss crash-before-sync crash-after-sync torn-tail; do \
		bin/fray-sim --scenario $$scenario --seeds 1..50 || exit 1; \
	done

# What to run stands in the page's last column: a package, its tests, and in parentheses subtests of the last one.
.PHONY: attacks
attacks: ## Run what docs/attacks.md lists, and attack a small controller for ATTACK with a bystander
	@awk -F'|' '$$4 ~ /`\.\// { \
			n = split($$4, word, "`"); pkg = word[2]; inside = 0; \
			for (i = 4; i <= n; i += 2) { \
				inside = inside || word[i-1] ~ /\(/; \
				if (!inside) { test = pkg " " word[i]; if (!(test in subtests)) { order[++count] = test; subtests[test] = "" } } \
				else if (!seen[test, word[i]]++) subtests[test] = subtests[test] "|" word[i] \
			} } \
		END { for (i = 1; i <= count; i++) { \
				split(order[i], at, " "); more = subtests[order[i]]; \
				if (more) print at[1], "^" at[2] "$$/^(" substr(more, 2) ")$$"; \
				else if (plain[at[1]]++) tests[at[1]] = tests[at[1]] "|" at[2]; else { packages[++number] = at[1]; tests[at[1]] = at[2] } \
			} \
			for (i = 1; i <= number; i++) print packages[i], "^(" tests[packages[i]] ")$$" }' docs/attacks.md | \
	while read -r package tests; do \
		flags=; [ "$$package" != ./integration ] || flags='-v -timeout=20m -attack=$(ATTACK) -fuzz-live=$(ATTACK)'; \
		echo "go test $$package -run $$tests"; \
		go test -count=1 "$$package" -run "$$tests" $$flags </dev/null || exit 1; \
	done

# The suite runs the library on processes, too.
.PHONY: secure
secure: ## Run the end-to-end suite with TLS, certificates and roles, and SECURE_SEEDS of every scenario with roles
	go test -count=1 -timeout=20m ./integration -mtls -roles
	@mkdir -p bin && go build -o bin/ ./cmd/fray-sim
	bin/fray-sim sweep --roles --seeds '$(SECURE_SEEDS)' --seeds-of 'long-soak=1..1'

.PHONY: planted
planted: ## Build fray-sim with each known bug and show which scenario finds it, also in docs/planted-bugs.md; PLANTED chooses by pattern
	go run ./sim/planted -table docs/planted-bugs.md -run '$(PLANTED)' $(PLANTED_FLAGS)

.PHONY: mutants
mutants: ## Make MUTANTS small mistakes in fray/, one at a time, and show which the scenarios see; what else goes in MUTANTS_FLAGS
	go run ./sim/mutants -sample '$(MUTANTS)' $(MUTANTS_FLAGS)

.PHONY: bounds
bounds: ## Show which scenario reaches each bound of docs/architecture.md; fails if none reaches one
	go run ./sim/mutants -bounds

.PHONY: sweep
sweep: ## Run SEEDS of every scenario, and SOAK_SEEDS of long-soak; a line for each, and the rest in SWEEP_OUT
	@mkdir -p bin && go build -o bin/ ./cmd/fray-sim
	bin/fray-sim sweep --seeds '$(SEEDS)' --seeds-of 'long-soak=$(SOAK_SEEDS)' --out '$(SWEEP_OUT)'

# It is no part of the library: a run takes minutes.
.PHONY: actors-sweep
actors-sweep: ## Run ACTORS_SEEDS of a thousand actors that take a hundred calls each; the rest in SWEEP_OUT
	@mkdir -p bin && go build -o bin/ ./cmd/fray-sim
	bin/fray-sim sweep sim/cluster/scale/thousand-actors.yaml --seeds '$(ACTORS_SEEDS)' --stall 30m --out '$(SWEEP_OUT)'

# What only moves code leaves all of them as they are.
.PHONY: traces
traces: ## Compare the traces of each scenario's first seeds with those in sim/cluster/system/testdata; UPDATE=1 rewrites these
	go test -count=1 -timeout=0 ./sim/cluster/system -run '^(TestLibraryPassesAndRepeats|TestTracesAreAsTheyWere)$$' -all-seeds $(if $(UPDATE),-update)

.PHONY: chaos
chaos: ## Run the random scenarios of CHAOS_SEEDS in virtual time
	@mkdir -p bin && go build -o bin/ ./cmd/fray-sim
	bin/fray-sim chaos --seeds '$(CHAOS_SEEDS)'

.PHONY: soak
soak: ## Run random scenarios on real processes for MINUTES, and print what they came to
	@mkdir -p bin && go build -o bin/ ./cmd/...
	bin/fray-sim chaos --backend process --for '$(MINUTES)m'

.PHONY: bench
bench: ## Run benchmarks: BENCH, BENCH_COUNT, BENCH_PACKAGES; compare two outputs with .bin/benchstat
	go test -run='^$$' -bench='$(BENCH)' -benchmem -count=$(BENCH_COUNT) -timeout=0 $(BENCH_PACKAGES)

# A cluster of its own, whatever the environment says.
.PHONY: bench-report
bench-report: ## Measure tasks beside the limits of this machine, in memory and on BENCH_DISK, and fleets of workers, as fray bench does; text, JSON and benchstat's format in BENCH_OUT
	@mkdir -p bin && go build -buildvcs=auto -o bin/ ./cmd/fray
	FRAY_CONTROLLER_ADDRESS= bin/fray bench --limits --costs $(BENCH_FLAGS) --save '$(BENCH_OUT)/memory'
	FRAY_CONTROLLER_ADDRESS= bin/fray bench --limits --costs $(BENCH_FLAGS) --data-dir '$(BENCH_DISK)' --save '$(BENCH_OUT)/disk'
	FRAY_CONTROLLER_ADDRESS= bin/fray bench fleet idle --costs $(BENCH_FLAGS) --save '$(BENCH_OUT)/fleet'
	@test -z '$(NATS)' || { set -e; mkdir -p '$(BENCH_DISK)'; \
		go -C examples/abroad build -o $(abspath bin)/natsbench ./natsbench; \
		bin/natsbench | tee '$(BENCH_OUT)/memory/jetstream.benchmarks'; \
		bin/natsbench -dir '$(BENCH_DISK)' | tee '$(BENCH_OUT)/disk/jetstream.benchmarks'; }
	@test -z '$(GRPC)' || { set -e; \
		go -C examples/abroad build -o $(abspath bin)/grpcbench ./grpcbench; \
		bin/grpcbench | tee '$(BENCH_OUT)/grpc.benchmarks'; }

# A module of its own, so that what Helm needs stays out of go.mod.
.PHONY: deploy-check
deploy-check: ## Render the chart of examples/deploy, and read its other files, by the libraries of Helm, Kubernetes and Docker; UPDATE=1 rewrites what is rendered
	go -C examples/deploy/render test -count=1 -timeout=$(TEST_TIMEOUT) . $(if $(UPDATE),-update)

# What promtool reads is skipped where it is not installed: this says so, for go test says it with -v alone.
.PHONY: observe-check
observe-check: ## Have promtool read and test the alerts of examples/observe, and read the board; hold the metrics that they name to those that are shown
	@command -v promtool >/dev/null || echo "make observe-check: promtool is NOT INSTALLED, so neither rules nor the board's expressions are read by Prometheus: on Debian it is in the package prometheus"
	go test -count=1 -timeout=$(TEST_TIMEOUT) -v ./examples/observe
	go test -count=1 -timeout=$(TEST_TIMEOUT) -run '^TestAlertsAndBoardNameMetricsThatAreShown$$' ./integration

# A module of its own, so that what River needs stays out of go.mod.
.PHONY: river
river: ## Measure Fray on PostgreSQL beside River, on one server by turns, for about four minutes; flags in RIVER_FLAGS
	go -C integration/river run . $(RIVER_FLAGS)

.PHONY: bench-objects
bench-objects: ## Put one object of 1 GiB on BENCH_DISK, have a task read it and put another, and get that; fails if controller or worker take more than OBJECT_MEMORY bytes above idle
	@mkdir -p bin && go build -o bin/ ./cmd/fray
	FRAY_CONTROLLER_ADDRESS= bin/fray bench objects --repeat 1 --data-dir '$(BENCH_DISK)' --max-memory-bytes '$(OBJECT_MEMORY)' $(BENCH_FLAGS)

# Linux tells what processes and all that they waited for have taken.
.PHONY: bench-map
bench-map: ## Run 2,000 commands that do nothing by xargs and by fray map, in turn, and print their CPU and wall time
	go test -run='^$$' -bench='^BenchmarkMapBesideXargs$$' -benchtime=5x -count=$(BENCH_COUNT) -timeout=0 ./cmd/fray

.PHONY: sim-bench
sim-bench: ## Print how fast this machine simulates: messages, seeds and virtual time a second, up to 1,000 workers
	go run ./cmd/fray-sim bench

# Each target of its package, and the live one, for an equal part. What go test finds it keeps in testdata/fuzz
# beside the target, from where it is a seed of every later go test; what the live one finds it keeps where it says.
.PHONY: fuzz
fuzz: ## Fuzz every parser, and every RPC of live processes, for FUZZ_TOTAL altogether; end with the first finding
	@set -e; \
	targets=$$(grep -r --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' . | sed 's|^\(.*\)/[^/]*:func \(.*\)|\1 \2|' | sort); \
	each=$$(echo '$(FUZZ_TOTAL)' | awk -v n=$$(($$(echo "$$targets" | wc -l) + 1)) \
		'/^[0-9]+[hms]$$/ { print int($$0 * (/h/ ? 3600 : /m/ ? 60 : 1) / n) + 1 "s" }'); \
	if [ -z "$$each" ]; then echo "make fuzz: FUZZ_TOTAL=$(FUZZ_TOTAL) is not like 1h, 10m or 60s"; exit 1; fi; \
	found() { echo "make fuzz: $$1 has found something: the input is kept where it says above"; exit 1; }; \
	$(MAKE) fuzz-live FUZZ_LIVE=$$each || found TestLiveFuzz; \
	echo "$$targets" | while read -r dir target; do \
		echo "fuzz $$dir $$target for $$each"; \
		go test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$$each -fuzzminimizetime=1x $$dir || found $$target; \
	done

.PHONY: fuzz-hour
fuzz-hour: ## Fuzz for an hour
	$(MAKE) fuzz FUZZ_TOTAL=1h

.PHONY: fuzz-live
fuzz-live: ## Send requests that no good client sends to every RPC of live processes for FUZZ_LIVE
	go test -count=1 -timeout=0 -v -run='^TestLiveFuzz$$' ./integration -fuzz-live=$(FUZZ_LIVE)

.PHONY: tools
tools: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-connect-go $(BIN)/golangci-lint $(BIN)/gofumpt $(BIN)/benchstat $(BIN)/govulncheck $(BIN)/cyclonedx-gomod ## Build the pinned tools into .bin/

.PHONY: clean
clean: ## Remove what make built, the tools included
	rm -rf bin dist $(BIN) $(COVER) $(SWEEP_OUT) $(BENCH_OUT) integration/conformance/gen

TOOL_buf := github.com/bufbuild/buf/cmd/buf
TOOL_protoc-gen-go := google.golang.org/protobuf/cmd/protoc-gen-go
TOOL_protoc-gen-connect-go := connectrpc.com/connect/cmd/protoc-gen-connect-go
TOOL_golangci-lint := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
TOOL_gofumpt := mvdan.cc/gofumpt
TOOL_benchstat := golang.org/x/perf/cmd/benchstat
TOOL_govulncheck := golang.org/x/vuln/cmd/govulncheck
TOOL_cyclonedx-gomod := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

# touch, because go build leaves a file alone that is already what it would write.
$(BIN)/%: .tools/go.mod .tools/go.sum
	@mkdir -p $(BIN)
	go -C .tools build -o ../$@ $(TOOL_$*)
	@touch $@
