package nix

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/fault"
	nixcode "github.com/libresh/libre/nix"
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

// checkLocalInputs refuses inputs that have Nix copy files of this machine into the
// store, where everybody reads them: those of the user in a stranger's catalogue.
// Inputs that this run replaces are not read, folders of the checkout are read
// anyway, and what is in the store under its locked hash is not copied again.
func checkLocalInputs(flake Flake) error {
	text, err := os.ReadFile(filepath.Join(flake.Dir, "flake.nix"))
	if err != nil {
		return nil // Nix says so
	}
	lock, err := os.ReadFile(filepath.Join(flake.Dir, "flake.lock"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	replaced := func(name string) bool {
		return slices.ContainsFunc(flake.Overrides, func(o Override) bool { return o.Input == name })
	}
	inStore := map[string]bool{} // an input's name
	if len(lock) > 0 {
		var refused error
		err := eachLocked(lock, func(name, _ string, locked lockedRef) bool {
			if replaced(name) {
				return false
			}
			place := locked.local()
			switch {
			case place == "", strings.Contains(name, "/") && !filepath.IsAbs(place) && locked.Type == "path": // below another input's folder
			case locked.Type == "path" && insideCheckout(flake.Dir, place):
			case locked.Type == "path" && isInStore(locked):
				inStore[name] = true
			case refused == nil:
				refused = localInput("flake.lock", lineOf(string(lock), place), name, place)
			}
			return true
		})
		if err != nil || refused != nil {
			return errors.Join(err, refused)
		}
	}
	for _, value := range flakeInputs(string(text)) {
		attribute := value.path[len(value.path)-1]
		if len(value.path) < 3 || value.path[0] != "inputs" || replaced(value.path[1]) || inStore[value.path[1]] || !slices.Contains([]string{"url", "path"}, attribute) {
			continue
		}
		place := value.text
		if attribute == "path" && !strings.HasPrefix(place, "/") {
			place = "./" + place
		}
		if localReference.MatchString(place) && !insideCheckout(flake.Dir, place) {
			return localInput("flake.nix", value.line, value.path[1], value.text)
		}
	}
	return nil
}

// copying are the builtins that copy a path into the store before they compare it with
// a hash; what Nix's own restrictions let through in versions before 2.20.
var copying = []string{"fetchTree", "getFlake"}

var reads = regexp.MustCompile(`fetchTree|getFlake|builtins`)

// checkCopying refuses definitions that use them.
func checkCopying(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "dist") {
			return cmp.Or(err, fs.SkipDir)
		}
		if filepath.Ext(path) != ".nix" || !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil // Nix says so
		}
		if !reads.Match(text) || isOwnCode(filepath.Base(path), text) {
			return nil
		}
		tokens := allTokens(flakeTokens(string(text)))
		for i, token := range tokens {
			hashed := token.text == "path" && i > 1 && tokens[i-2].text == "builtins" && slices.ContainsFunc(tokens[i:min(i+40, len(tokens))], func(t flakeToken) bool { return t.text == "sha256" })
			if slices.Contains(copying, token.text) || hashed {
				name, err := filepath.Rel(dir, path)
				return cmp.Or(err, error(&fault.Fault{
					Err: fmt.Errorf("%s:%d: %s may copy files of this machine to where everybody reads them", name, token.line, token.text),
					Fix: "remove it, or allow it with --allow-local-inputs",
				}))
			}
		}
		return nil
	})
}

// allTokens has those that are in strings, too.
func allTokens(tokens []flakeToken) (all []flakeToken) {
	for _, token := range tokens {
		all = append(append(all, token), allTokens(token.inside)...)
	}
	return all
}

// isOwnCode tells libre's own code, which a catalogue may have in its folder nix.
func isOwnCode(name string, text []byte) bool {
	for _, code := range []fs.FS{nixcode.Library(), nixcode.HostPackages()} {
		found := false
		_ = fs.WalkDir(code, ".", func(path string, _ fs.DirEntry, err error) error {
			if err == nil && filepath.Base(path) == name {
				own, err := fs.ReadFile(code, path)
				found = found || err == nil && bytes.Equal(own, text)
			}
			return err
		})
		if found {
			return true
		}
	}
	return false
}

func localInput(file string, line int, name, place string) error {
	return &fault.Fault{
		Err: fmt.Errorf("%s:%d: the input %s is %q, outside of the checkout: Nix would copy it to where everybody reads it", file, line, name, place),
		Fix: "remove it, or allow it with --allow-local-inputs",
	}
}

func lineOf(text, part string) int {
	before, _, _ := strings.Cut(text, `"`+part+`"`)
	return 1 + strings.Count(before, "\n")
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

// isInStore tells whether the locked content is in the store already.
func isInStore(locked lockedRef) bool {
	path, err := SourcePath(locked.NarHash)
	return err == nil && exists(path) || strings.HasPrefix(filepath.Clean(locked.Path), storeFolder)
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
