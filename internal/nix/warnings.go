package nix

import (
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// warn reports a warning of Nix, each kind once: Nix repeats the warning about an
// unreachable cache for every path and attempt.
func (n *Nix) warn(text string) {
	if n.Warn == nil || ownWarning().MatchString(text) {
		return
	}
	line := attempt().ReplaceAllString(firstLine(text), "")
	if _, known := n.warned.LoadOrStore(storeName().ReplaceAllString(line, ""), true); !known {
		n.Warn(line)
	}
}

var (
	attempt = lazyregexp.New(`; retrying in \d+ ms.*$`)
	// A path in the store, or its name at a binary cache.
	storeName = lazyregexp.New(`[0-9a-df-np-sv-z]{32}[0-9A-Za-z+._?=-]*`)
	// Warnings that libre itself causes: overridden inputs, and options that a daemon
	// accepts only from trusted users.
	ownWarning = lazyregexp.New(`^(not writing modified lock file|updating lock file|creating lock file|input 'libre' has an override for a non-existent input|` +
		`ignoring the (user|client)-specified setting '(system|warn-dirty|accept-flake-config|build-users-group|connect-timeout|download-attempts|builders-use-substitutes)')`)
)

var warningLine = lazyregexp.New(`^(?:trace: )?(?:evaluation )?warning: (.*)$`)

// warnings reports the warnings in the output of a command.
func (n *Nix) warnings(log string) {
	for line := range strings.Lines(text.Output(log)) {
		if found := warningLine().FindStringSubmatch(strings.TrimRight(line, "\n")); found != nil {
			n.warn(strings.TrimPrefix(found[1], "error: "))
		}
	}
}

// warnOfSandbox warns, once and without running Nix, that the sandbox is off. On Linux it is on
// by default.
func (n *Nix) warnOfSandbox() {
	if value := UserSetting("sandbox"); value == "false" || value == "relaxed" {
		n.warn("sandbox = " + value + ", so what is built can read and change this machine as Nix can: set sandbox = true in nix.conf")
	}
}
