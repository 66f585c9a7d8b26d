package nix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
)

// allowedURIs are what definitions may fetch, as prefixes: what is elsewhere, and what
// everybody can read in the store. With restrict-eval Nix refuses the rest, files of
// this machine above all.
// https://nix.dev/manual/nix/latest/command-ref/conf-file#conf-restrict-eval
var allowedURIs = []string{"https://", "http://", "ssh://", "git://", "git+https://", "git+http://", "git+ssh://", "hg+https://",
	"tarball+https://", "tarball+http://", "file+https://", "file+http://", "github:", "gitlab:", "sourcehut:", "path:/nix/store/"}

// restrictions are options that keep an evaluation from the files of this machine.
func (n *Nix) restrictions() []string {
	if n.AllowLocalInputs {
		return nil
	}
	return []string{"--option", "restrict-eval", "true", "--option", "allowed-uris", strings.Join(allowedURIs, " ")}
}

// localReference is a flake reference of this machine.
var localReference = regexp.MustCompile(`^(?:(?:path|file|(?:git|hg|tarball|file|path)\+file):|[/.~])`)

// checkInputs refuses, in a stranger's catalogue, inputs that have Nix copy files of
// this machine into the store, where everybody reads them, and, where they must be
// locked, those that are not: what these are, somebody else decides. What replaced names
// is not looked at, since Nix does not read it; what is in the store under its locked
// hash is not copied again.
func (n *Nix) checkInputs(ctx context.Context, dir string, replaced []Override, mustBeLocked bool) error {
	lock, err := file.ReadOwn(filepath.Join(dir, "flake.lock"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		lock = []byte("{}")
	case err != nil:
		return err
	}
	isReplaced := func(name string) bool {
		return slices.ContainsFunc(replaced, func(o Override) bool { return o.Input == name })
	}
	isLocked := map[string]bool{} // an input's name
	var refused error
	err = eachLocked(lock, func(name, node string, locked lockedRef) bool {
		if isReplaced(name) {
			return false
		}
		isLocked[name] = true
		if refused == nil {
			refused = checkLocked(dir, string(lock), name, node, locked)
		}
		return true
	})
	if err != nil || refused != nil {
		return errors.Join(err, refused)
	}
	declared, err := n.declaredInputs(ctx, dir)
	if err != nil {
		return err
	}
	for _, input := range declared {
		if isReplaced(input.Name) {
			continue
		}
		for _, place := range input.Places {
			if localReference.MatchString(place) && !insideCheckout(dir, place) {
				return localInput("flake.nix", input.Line, input.Name, place)
			}
		}
		if mustBeLocked && !isLocked[input.Name] && !input.Follows && !strings.Contains(input.Name, "/") {
			return unlockedInput("flake.nix", input.Line, input.Name)
		}
	}
	return nil
}

// checkLocked looks at an input as flake.lock has it.
func checkLocked(dir, lock, name, node string, locked lockedRef) error {
	place := locked.local()
	switch {
	case locked.Type == "path" && !filepath.IsAbs(place) && strings.Contains(name, "/"): // a folder of another input
	case locked.Type == "path" && insideCheckout(dir, place):
	case place != "":
		return localInput("flake.lock", lineOf(lock, place, ""), name, place)
	case locked.Rev == "" && locked.NarHash == "":
		return unlockedInput("flake.lock", lineOf(lock, node, `\s*:\s*\{`), name)
	}
	return nil
}

func localInput(file string, line int, name, place string) error {
	return &fault.Fault{
		Err: fmt.Errorf("%s:%d: the input %s is %q, outside of the checkout: Nix would copy it to the world-readable store", file, line, name, place),
		Fix: "remove it, or allow it with --allow-local-inputs",
	}
}

func unlockedInput(file string, line int, name string) error {
	return &fault.Fault{
		Err: fmt.Errorf("%s:%d: the input %s is not locked, so it can change at any time", file, line, name),
		Fix: "nix --extra-experimental-features 'nix-command flakes' flake lock && git add flake.lock; or allow it with --allow-local-inputs",
	}
}

// checkUsed refuses what Nix itself says of the inputs that it used: those that it
// took otherwise than flake.lock has them.
func (n *Nix) checkUsed(ctx context.Context, flake Flake, log string) error {
	if n.AllowLocalInputs {
		return nil
	}
	for _, change := range lockChanges(log, flake.Overrides) {
		if change[0] != "Removed" {
			return unlockedInput("flake.nix", n.lineOfInput(ctx, flake.Dir, change[1]), change[1])
		}
	}
	return nil
}

// lineOfInput is where in flake.nix an input x/y, or the input x that has it, is.
func (n *Nix) lineOfInput(ctx context.Context, dir, name string) int {
	line := 1
	declared, _ := n.declaredInputs(ctx, dir)
	for _, input := range declared {
		if name == input.Name || strings.HasPrefix(name, input.Name+"/") {
			line = input.Line
		}
	}
	return line
}

// lineOf is the line of a JSON string in a text, or of the node of that name.
func lineOf(text, part, behind string) int {
	found := regexp.MustCompile(`"` + regexp.QuoteMeta(part) + `"` + behind).FindStringIndex(text)
	if found == nil {
		return 1
	}
	return 1 + strings.Count(text[:found[0]], "\n")
}

// local is where on this machine an input is, "" for one that is elsewhere.
func (r lockedRef) local() string {
	if r.Type == "path" {
		return r.Path
	}
	if localReference.MatchString(r.URL) {
		return r.URL
	}
	return ""
}

// insideCheckout tells whether a reference is of a folder of the catalogue's own
// repository, links followed, or of the store.
func insideCheckout(dir, reference string) bool {
	place, _, _ := strings.Cut(strings.TrimPrefix(reference, "path:"), "?")
	if strings.HasPrefix(filepath.Clean(place), storeFolder) {
		return true
	}
	if filepath.IsAbs(place) || localReference.MatchString(place) && !strings.HasPrefix(place, ".") || strings.Contains(place, "%") {
		return false
	}
	top, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	whole, err := filepath.EvalSymlinks(filepath.Join(top, place))
	if err != nil {
		return false
	}
	for !exists(filepath.Join(top, ".git")) && filepath.Dir(top) != top {
		top = filepath.Dir(top)
	}
	if top == "/" {
		top = dir // in no repository
	}
	relative, err := filepath.Rel(top, whole)
	return err == nil && filepath.IsLocal(relative)
}
