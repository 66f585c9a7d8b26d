# Two commands for a newcomer: make demo, make test. Both install what is missing
# on Debian, and say what to install elsewhere.

SHELL := /bin/bash

# The same for build, vet and test: what one of them compiled, the others find. What
# only debuggers read is not made.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath -gcflags=all=-dwarf=false

# A compiler lives for a second: collecting garbage would be a fifth of its work. Tests
# inherit what `go test` has, so they have libre's own default.
export GOGC := 400
COMPILE := GOGC=1000 go build

# command:Debian package
DEMO_TOOLS := nix:nix-bin buildah:buildah runc:runc slirp4netns:slirp4netns newuidmap:uidmap busybox:busybox-static git:git \
	podman:podman /usr/lib/postgresql/15/bin/postgres:postgresql-15
TEST_TOOLS := $(DEMO_TOOLS) ip:iproute2 skopeo:skopeo docker-registry:docker-registry patch:patch zstd:zstd mmdebstrap:mmdebstrap node:nodejs npm:npm python3:python3 redis-server:redis-server aws:awscli mariadbd:mariadb-server sshd:openssh-server

# The race detector is written in C.
RACE_TOOLS := $(TEST_TOOLS) gcc:gcc gencat:libc6-dev

# Besides, what is large and needed by `make interop` alone.
INTEROP_TOOLS := $(TEST_TOOLS) chromium:chromium /usr/lib/cni/loopback:containernetworking-plugins

DEMO_PORT := 5077
# What decides which images the demo has: with another of it, its registry's tags are taken.
DEMO_DIR = $${XDG_CACHE_HOME:-$$HOME/.cache}/libre-demo/$$(git rev-parse HEAD:nix HEAD:internal/catalog/spec.go | git hash-object --stdin | cut -c1-7)

.PHONY: all build demo demo-folder picture test lint interop fuzz race bench fmt demo-tools test-tools race-tools interop-tools

all: build

build:
	$(COMPILE) -o bin/ ./cmd/...

# Installs the packages of missing commands: $(call install,TOOLS)
define install
	@missing=; \
	for tool in $(1); do \
	  PATH=$$PATH:/usr/sbin:/sbin command -v "$${tool%%:*}" >/dev/null || missing="$$missing $${tool#*:}"; \
	done; \
	[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$$missing ca-certificates"; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	if [ -n "$$missing" ]; then \
	  command -v apt-get >/dev/null || { echo "install these (named as Debian's packages):$$missing" >&2; exit 1; }; \
	  echo "installing$$missing"; \
	  $$sudo apt-get update -q && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing || exit 1; \
	fi; \
	if [ "$$(id -u)" != 0 ] && [ ! -w /nix ] && [ ! -S /nix/var/nix/daemon-socket/socket ]; then \
	  echo "making /nix yours"; $$sudo install -d -o "$$(id -u)" -g "$$(id -g)" /nix; \
	fi
endef

demo-tools:
	$(call install,$(DEMO_TOOLS))

test-tools:
	$(call install,$(TEST_TOOLS))

race-tools:
	$(call install,$(RACE_TOOLS))

interop-tools:
	$(call install,$(INTEROP_TOOLS))

# In the user's own cache, where nobody else can have put a link or a folder.
demo-folder:
	@dir=$(DEMO_DIR); above=$${dir%/*}; umask 077; mkdir -p "$${above%/*}"; \
	for folder in "$$above" "$$dir"; do \
	  [ -e "$$folder" ] || mkdir "$$folder" || exit 1; \
	  [ -d "$$folder" ] && [ ! -L "$$folder" ] && [ -O "$$folder" ] && chmod go-rwx "$$folder" || { echo "$$folder is a link or somebody else's: remove it" >&2; exit 1; }; \
	done

# The helper is needed to publish only, so it is compiled while images are built.
demo: demo-tools demo-folder
	@echo 'compiling libre; then, while it builds images, its helper libre-inspect with the recogniser syft'
	$(COMPILE) -o bin/ ./cmd/libre
	@$(COMPILE) -o bin/ ./cmd/libre-inspect & helper=$$!; \
	root=$$PWD; cd $(DEMO_DIR) && exec $$root/scripts/demo.sh $$root/bin/libre $$helper $(DEMO_PORT)

# The picture of README: a real run, on a terminal of 116 columns. Look at it before you commit it.
picture: demo-tools build
	@work=$$(mktemp -d) && root=$$PWD && (cd scripts/picture && go build -o "$$work/picture" .) && mkdir "$$work/here" && cd "$$work/here" && \
	PATH=$$root/bin:$$PATH "$$work/picture" 116 $$root/scripts/picture.sh 5000 >"$$work/terminal.svg" && \
	mv "$$work/terminal.svg" $$root/docs/terminal.svg && rm -r "$$work"

# Every tool is there, so no test may skip for want of one. go vet has looked at
# all of it, so go test need not. The tests of publishing take longest: they go
# last, with nothing beside them, under a limit of their own.
TEST = LIBRE_TEST_ALL=1 PATH=$$PATH:/usr/sbin:/sbin go test -vet=off
PUBLISHING := ./internal/acceptance/publish

test: test-tools build
	@test -z "$$(gofmt -l cmd internal nix)" || { echo "not formatted:"; gofmt -l cmd internal nix; exit 1; }
	go vet -tags interop ./...
	$(TEST) -timeout 60m $$(go list ./... | grep -v $(PUBLISHING:.%=%)); first=$$?; \
	$(TEST) -timeout 50m $(PUBLISHING) && exit $$first

# What needs other people's programs compiled, which takes minutes: first these,
# under no limit of a test, then the tests, which a build tag keeps apart.
INTEROP = $$(git grep -l '^//go:build interop' -- '*_test.go' | xargs -n 1 dirname | sort -u | sed 's|^|./|')

interop: interop-tools build
	$(TEST) -tags interop -v -timeout 60m -run '^TestInteropToolsStart$$' ./internal/sign/signtest ./internal/testkit
	$(TEST) -tags interop -timeout 30m -run '^TestInterop' $(INTEROP)

# The linter is kept beside the other tools that tests compile, one a version.
GOLANGCI_LINT := v2.15.0
LINTER = $${XDG_CACHE_HOME:-$$HOME/.cache}/libre-tools/golangci-lint-$(GOLANGCI_LINT)-$$(go env GOVERSION)

lint: test-tools
	@linter=$(LINTER); [ -x $$linter ] || { \
	  echo 'compiling golangci-lint $(GOLANGCI_LINT), once'; mkdir -p "$${linter%/*}"; work=$$(mktemp -d -p "$${linter%/*}") && \
	  (cd "$$work" && GOBIN="$$work" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)) && \
	  mv "$$work/golangci-lint" "$$linter" && rmdir "$$work"; }
	$(LINTER) run ./...
	go test -vet=off -run '^Test(SharedConcernsHaveOneHome|BlobsAreRememberedByTheRegistryClientAlone)$$' ./docs
	@git ls-files '*.nix' | while read -r file; do nix-instantiate --parse "$$file" >/dev/null || exit 1; done

# Each fuzz test for a while, one after another: here for long, in CI for a second each. `make
# test` runs their kept corpora only.
# An input that fails is written below testdata/fuzz of its package: mend, and commit it.
FUZZTIME := 20s
FUZZ = # packages such as ./internal/web; all, if empty

fuzz: test-tools
	@scripts/fuzz.sh $(FUZZTIME) $(FUZZ)

# The race detector: in all packages, and in libre itself, whose true runs some tests watch. A
# race ends the program, and so the test. Tests are linked statically, because some run their own
# program in an image, which lacks the C library that the race detector needs.
RACE = $(TEST) -timeout 90m -tags netgo,osusergo -ldflags '-linkmode external -extldflags -static'
race: export CGO_ENABLED := 1
race: export GORACE := halt_on_error=1
race: GOFLAGS += -race
race: race-tools
	$(RACE) $$(go list ./... | grep -v /acceptance/)
	$(RACE) ./internal/acceptance/build -run '^(TestImagesAreDescribedByOneEvaluation|TestNextRunCompletesWhatNixFailed)$$'
	$(RACE) ./internal/acceptance/publish -run '^(TestPublishedIsWhatWasPrintedAndIsNotPublishedAgain|TestReleasesArePublishedWhileOthersAreBuilt)$$'
	$(RACE) ./internal/acceptance/bump -run '^(TestNewVersionChangesItsLiteralsOnly|TestPullRequestsAreOpenedUpdatedAndClosed)$$'

# libre and other programs, in the same run; nothing here fails for being slow. Run it on a machine
# that does nothing else, and look at docs/performance.md before you commit it. To try some rows
# only: make bench BENCH=Layers
BENCH := .
BENCHED = $$(git grep -l '^func Benchmark' -- '*_test.go' | xargs -n 1 dirname | sort -u | sed 's|^|./|')
bench: test-tools build
	rows=$$(mktemp -d) && LIBRE_BENCH_ROWS=$$rows LIBRE_TEST_ALL=1 PATH=$$PATH:/usr/sbin:/sbin go test -vet=off -timeout 90m -p 1 -run '^$$' -bench '$(BENCH)' -benchtime 1x $(BENCHED) && \
	{ [ '$(BENCH)' != . ] || go run ./scripts/bench $$rows; } && rm -r $$rows

fmt:
	gofmt -w cmd internal nix
