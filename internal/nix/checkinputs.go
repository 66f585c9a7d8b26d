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
	"github.com/libresh/libre/internal/lazyregexp"
)

// allowedURIs lists prefixes of the URLs that definitions may fetch: remote ones, and the
// world-readable store. With restrict-eval Nix refuses all others, such as local files.
// https://nix.dev/manual/nix/latest/command-ref/conf-file#conf-restrict-eval
var allowedURIs = []string{"https://", "http://", "ssh://", "git://", "git+https://", "git+http://", "git+ssh://", "hg+https://",
	"tarball+https://", "tarball+http://", "file+https://", "file+http://", "github:", "gitlab:", "sourcehut:", "path:/nix/store/"}

// restrictions returns options that deny an evaluation access to local files.
func (n *Nix) restrictions() []string {
	if n.AllowLocalInputs {
		return nil
	}
	return []string{"--option", "restrict-eval", "true", "--option", "allowed-uris", strings.Join(allowedURIs, " ")}
}

// localReference matches a flake reference to a local file.
var localReference = lazyregexp.New(`^(?:(?:path|file|(?:git|hg|tarball|file|path)\+file):|[/.~])`)

// checkInputs refuses inputs that make Nix copy local files to the world-readable store,
// and, with mustBeLocked, inputs that are not locked, as their content can change. It
// skips the inputs in replaced, which Nix does not read, and inputs that are in the store.
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
		for _, ref := range input.Places {
			if localReference().MatchString(ref) && !insideCheckout(dir, ref) {
				return localInput("flake.nix", input.Line, input.Name, ref)
			}
		}
		if mustBeLocked && !isLocked[input.Name] && !input.Follows && !strings.Contains(input.Name, "/") {
			return unlockedInput("flake.nix", input.Line, input.Name)
		}
	}
	return nil
}

// checkLocked checks an input of flake.lock.
func checkLocked(dir, lock, name, node string, locked lockedRef) error {
	local := locked.local()
	switch {
	case locked.Type == "path" && !filepath.IsAbs(local) && strings.Contains(name, "/"): // a folder of another input
	case locked.Type == "path" && insideCheckout(dir, local):
	case local != "":
		return localInput("flake.lock", lineOf(lock, local, ""), name, local)
	case locked.Rev == "" && locked.NarHash == "":
		return unlockedInput("flake.lock", lineOf(lock, node, `\s*:\s*\{`), name)
	}
	return nil
}

func localInput(file string, line int, name, ref string) error {
	return &fault.Fault{
		Err: fmt.Errorf("%s:%d: the input %s is %q, outside of the checkout: Nix would copy it to the world-readable store", file, line, name, ref),
		Fix: "remove it, or allow it with --allow-local-inputs",
	}
}

func unlockedInput(file string, line int, name string) error {
	return &fault.Fault{
		Err: fmt.Errorf("%s:%d: the input %s is not locked, so it can change at any time", file, line, name),
		Fix: "nix --extra-experimental-features 'nix-command flakes' flake lock && git add flake.lock; or allow it with --allow-local-inputs",
	}
}

// checkUsed refuses inputs that Nix used differently than flake.lock locks them, as its
// log says.
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

// lineOfInput returns the line in flake.nix of an input x/y, or of its parent x.
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

// lineOf returns the line of a JSON string in a text, where the regular expression after
// follows it.
func lineOf(text, part, after string) int {
	found := regexp.MustCompile(`"` + regexp.QuoteMeta(part) + `"` + after).FindStringIndex(text)
	if found == nil {
		return 1
	}
	return 1 + strings.Count(text[:found[0]], "\n")
}

// local returns the path of a local input, "" for a remote one.
func (r lockedRef) local() string {
	if r.Type == "path" {
		return r.Path
	}
	if localReference().MatchString(r.URL) {
		return r.URL
	}
	return ""
}

// insideCheckout reports whether a reference is a path in the catalogue's own repository,
// links followed, or in the store.
func insideCheckout(dir, reference string) bool {
	path, _, _ := strings.Cut(strings.TrimPrefix(reference, "path:"), "?")
	if strings.HasPrefix(filepath.Clean(path), storeFolder) {
		return true
	}
	if filepath.IsAbs(path) || localReference().MatchString(path) && !strings.HasPrefix(path, ".") || strings.Contains(path, "%") {
		return false
	}
	top, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	whole, err := filepath.EvalSymlinks(filepath.Join(top, path))
	if err != nil {
		return false
	}
	for !exists(filepath.Join(top, ".git")) && filepath.Dir(top) != top {
		top = filepath.Dir(top)
	}
	if top == "/" {
		top = dir // not in a repository
	}
	relative, err := filepath.Rel(top, whole)
	return err == nil && filepath.IsLocal(relative)
}
