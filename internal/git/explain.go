package git

import (
	"errors"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
)

// ErrNoRepository means that a folder is not in a git repository.
var ErrNoRepository = errors.New("not in a git repository")

// ErrMissing means that git is not installed.
var ErrMissing = errors.New("git is not installed")

func missing() error { return &fault.Fault{Err: ErrMissing, Fix: "apt-get install git"} }

var (
	// Git's message about a repository of another user, up to its end; the folder is
	// quoted for a shell. https://git-scm.com/docs/git-config#Documentation/git-config.txt-safedirectory
	dubious = lazyregexp.New(`(?s)detected dubious ownership in repository at .*?safe\.directory ([^\n]+)`)
	// The same from libgit2, which newer versions of Nix use.
	notOwned = lazyregexp.New(`repository path '([^'\n]+?)/*' is not owned by current user`)
	// The lock of an index or a reference, held or left behind by another git.
	locked = lazyregexp.New(`'([^'\n]+\.lock)': File exists`)
)

// Explain finds a known problem in the output of git, or of a program that runs git,
// and returns it with its fix; nil if there is none.
func Explain(output string) *fault.Fault {
	if found := dubious().FindStringSubmatch(output); found != nil {
		return ownerFault(strings.TrimSpace(found[1]))
	}
	if found := notOwned().FindStringSubmatch(output); found != nil {
		return ownerFault(quoted(found[1]))
	}
	if found := locked().FindStringSubmatch(output); found != nil {
		return &fault.Fault{Err: errors.New("the git repository is locked: " + found[1] + " exists"),
			Fix: "wait until the other git command ends; if none runs: rm " + quoted(found[1])}
	}
	return nil
}

// ownerFault reports a repository of another user; dir is quoted for a shell.
func ownerFault(dir string) *fault.Fault {
	return &fault.Fault{Err: errors.New("the repository " + dir + " belongs to another user: git does not trust it"),
		Fix: "git config --global --add safe.directory " + dir}
}

// explain replaces the text of a known failure, and adds the fix.
func explain(output string, failure *Error) error {
	if strings.Contains(output, "not a git repository (or any") {
		return &fault.Fault{Kind: fault.NotFound, Err: &explained{ErrNoRepository.Error(), ErrNoRepository}, Fix: "git init && git add --all"}
	}
	if known := Explain(output); known != nil {
		known.Err = &explained{known.Err.Error(), failure}
		return known
	}
	return failure
}

// explained is an error with a clearer text.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// plain matches words that a shell needs no quotes for.
var plain = lazyregexp.New(`^[\pL\pN_./:@%+,=-]+$`)

// quoted quotes a word for a shell, if it must be.
func quoted(word string) string {
	if plain().MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
