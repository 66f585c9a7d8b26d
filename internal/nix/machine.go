package nix

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
)

const (
	fixStore    = fault.FreeSpace + " and nix-collect-garbage, and run the same command again"
	fixReadOnly = "mount it writable, or wait until its server is back; libre doctor tries Nix"
	fixMemory   = "if memory was full (see dmesg), let Nix do less at once with max-jobs = 1 and cores = 1 in nix.conf; run the same command again"
)

// machineFaults are errors that this machine causes, and no definition. The texts come from the
// C library, from SQLite and from Nix.
var machineFaults = []struct {
	text func() *regexp.Regexp
	fix  string
}{
	{lazyregexp.New(`No space left on device|Disk quota exceeded|database or disk is full`), fixStore},
	{lazyregexp.New(`[Rr]ead-only file system|attempt to write a readonly database`), fixReadOnly},
	{lazyregexp.New(`Input/output error|disk I/O error|database disk image is malformed`), "look for errors of the disk with dmesg, then repair the store with nix-store --verify --check-contents --repair"},
	{lazyregexp.New(`cannot connect to (socket|daemon)|daemon disconnected unexpectedly|unexpected end-of-file|error: reading from file: Connection reset`), "start Nix's daemon with systemctl restart nix-daemon; journalctl -u nix-daemon says why it ended"},
	{lazyregexp.New(`Cannot allocate memory|out of memory|std::bad_alloc`), fixMemory},
	{lazyregexp.New(`Too many open files`), "allow more open files with ulimit -n 4096"},
}

// inDefinition matches the beginning of a message about a file of the catalogue.
var inDefinition = lazyregexp.New(`^(\S*/)?apps/\S+:\d+:\d+: `)

// machineFault explains an error of Nix that this machine causes; nil for other errors.
func machineFault(doing, message string) error {
	if inDefinition().MatchString(message) {
		return nil // a definition may throw any text
	}
	for _, f := range machineFaults {
		if f.text().MatchString(message) {
			return &fault.Fault{Doing: doing, Err: errors.New(message), Fix: f.fix}
		}
	}
	return nil
}

// signalled explains that a signal ended Nix; nil if none did.
func signalled(doing string, err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return nil
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	switch {
	case !ok || !status.Signaled():
		return nil
	case status.Signal() == syscall.SIGKILL:
		return &fault.Fault{Doing: doing, Err: errors.New("nix was killed"), Fix: fixMemory}
	}
	return &fault.Fault{Doing: doing, Err: fmt.Errorf("nix ended by a signal (%s)", status.Signal()), Fix: "run the same command again, and check nix with libre doctor"}
}

var (
	// Nix up to 2.29 uses the first form, later versions the second.
	endedBySignal = lazyregexp.New(`(?:builder for '[^'\n]*'|[Bb]uilder) failed due to signal (\d+)`)
	outOfTime     = lazyregexp.New(`timed out after \d+ seconds(?: of silence)?`)
	fullDisk      = machineFaults[0].text
)

// builderEnd explains the failure of a builder that a signal ended, or whose disk was full: the
// last line of its output does not say so.
func builderEnd(message string, tail []string) (string, bool) {
	if found := endedBySignal().FindStringSubmatch(message); found != nil {
		if found[1] == "9" {
			return "the builder was killed; " + fixMemory, true
		}
		return "the builder ended by signal " + found[1], true
	}
	if found := outOfTime().FindString(message); found != "" {
		return "it " + found + "; raise timeout or max-silent-time in nix.conf if it needs longer", true
	}
	for _, line := range tail {
		if fullDisk().MatchString(line) {
			return strings.TrimSpace(line) + "; " + fixStore, true
		}
	}
	return "", false
}
