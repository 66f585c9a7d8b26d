package git

import (
	"errors"
	"regexp"
	"strings"

	"github.com/libresh/libre/internal/fault"
)

// ErrNoRepository says that a folder is in no git repository.
var ErrNoRepository = errors.New("not in a git repository")

// ErrMissing says that there is no git.
var ErrMissing = errors.New("git is not installed")

func missing() error { return &fault.Fault{Err: ErrMissing, Fix: "apt-get install git"} }

var (
	// What git says of a repository that another user owns, up to its end; the folder
	// is quoted for a shell. https://git-scm.com/docs/git-config#Documentation/git-config.txt-safedirectory
	dubious = regexp.MustCompile(`(?s)detected dubious ownership in repository at .*?safe\.directory ([^\n]+)`)
	// What libgit2 says, by which newer versions of Nix read repositories.
	notOwned = regexp.MustCompile(`repository path '([^'\n]+?)/*' is not owned by current user`)
	// A lock that another git holds, or left behind: of the index, of a reference.
	locked = regexp.MustCompile(`'([^'\n]+\.lock)': File exists`)
)

// Explain finds in what git said, or a program that runs git, a complaint that has a
// fix: a *fault.Fault, nil where there is none.
func Explain(said string) *fault.Fault {
	if found := dubious.FindStringSubmatch(said); found != nil {
		return ownerFault(strings.TrimSpace(found[1]))
	}
	if found := notOwned.FindStringSubmatch(said); found != nil {
		return ownerFault(quoted(found[1]))
	}
	if found := locked.FindStringSubmatch(said); found != nil {
		return &fault.Fault{Err: errors.New("git has locked the repository: " + found[1] + " is there"),
			Fix: "try again when the git that runs has ended; where none runs: rm " + quoted(found[1])}
	}
	return nil
}

// ownerFault is about a folder, quoted for a shell.
func ownerFault(dir string) *fault.Fault {
	return &fault.Fault{Err: errors.New("the repository " + dir + " belongs to another user: git does not trust it"),
		Fix: "git config --global --add safe.directory " + dir}
}

// explain adds to a failure what is known of it.
func explain(said string, failure *Error) error {
	if strings.Contains(said, "not a git repository (or any") {
		return &fault.Fault{Kind: fault.NotFound, Err: &explained{ErrNoRepository.Error(), ErrNoRepository}, Fix: "git init && git add --all"}
	}
	if known := Explain(said); known != nil {
		known.Err = &explained{known.Err.Error(), failure}
		return known
	}
	return failure
}

// explained says in other words what an error means.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// plain are the characters that mean nothing to a shell.
var plain = regexp.MustCompile(`^[\pL\pN_./:@%+,=-]+$`)

// quoted writes a word as a person types it into a shell.
func quoted(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
