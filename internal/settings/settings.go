// Package settings reads libre.yaml and the variables LIBRE_…, and checks every value
// when it is read: where it stands, what it may be, and an example. What there is to
// set is one table, in keys.go.
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/web"
)

// File is the name of a catalogue's settings, next to its flake.nix.
const File = "libre.yaml"

// Settings are libre.yaml's, and what the environment says instead. What is not set
// is zero.
type Settings struct {
	Registry   string              // REGISTRY[/NAMESPACE] that images are named after
	CopyTo     []string            // further registries that get what is published
	AlsoTag    []string            // moving tags of each release
	Forge      string              // github or forgejo, where pull requests go; told from origin where empty
	Groups     map[string][]string // @name → selections
	PackageSet string              // nixpkgs or host; nixpkgs where empty
	Engine     string              // buildah, podman, docker or none; found automatically where empty
	Build      Build               // how Containerfiles are built
	Limits     Limits              // of what upstreams and images may take of this machine
	CA         *web.Authorities    // that sign for registries and forges, beside the system's; nil is none
	Sign       Sign                // how images are signed, or none
}

// Registries are where the catalogue publishes, the first is where it reads, too;
// none where no registry is set.
func (s *Settings) Registries() []string {
	if s.Registry == "" {
		return nil
	}
	return append([]string{s.Registry}, s.CopyTo...)
}

// Copies are where signatures are accepted beside the registry that they were made for:
// where sign.copies says so, and where libre itself copies to.
func (s *Settings) Copies() []sign.Copy {
	all := slices.Clone(s.Sign.Copies)
	for _, to := range s.CopyTo {
		all = append(all, sign.Copy{Of: s.Registry, In: to})
	}
	return all
}

// Sign is "none", or a configuration of package sign.
type Sign struct {
	None        bool
	sign.Config // its files have absolute paths
}

// Unset reports whether the settings do not say how images are signed.
func (s Sign) Unset() bool {
	return !s.None && s.Key == "" && len(s.PublicKeys) == 0 && s.Keyless == nil
}

// Read reads libre.yaml in a directory, if it has one, and then the variables. The
// first thing that is wrong is a *fault.Fault, whose fix is an example; what is wrong
// in a variable is of kind fault.Usage. For the directory "" there are only variables.
func Read(dir string, getenv func(string) string) (*Settings, error) {
	s := &Settings{}
	if dir != "" {
		text, err := readFile(filepath.Join(dir, File))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err := s.parse(text, dir); err != nil {
			return nil, err
		}
	}
	return s, s.fromEnvironment(getenv)
}

// readFile reads a file that is one: errors quote it, and so would they the file that
// a link in a stranger's catalogue leads to.
func readFile(path string) ([]byte, error) {
	text, err := file.ReadOwn(path)
	if errors.Is(err, file.ErrNoFile) {
		return nil, &fault.Fault{Err: errors.New(File + " is no file, but a link, a folder or a device"), Fix: "put the settings themselves there"}
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", File, err)
	}
	return text, nil
}

// fromEnvironment takes the variables that are set. That of the registry stands for
// all registries of the file.
func (s *Settings) fromEnvironment(getenv func(string) string) error {
	for _, key := range s.keys("") {
		value := ""
		if key.variable != "" {
			value = getenv(key.variable)
		}
		if value == "" {
			continue
		}
		_, example, _ := strings.Cut(key.example, ": ")
		at := place{path: key.variable, expected: key.expected, example: key.variable + "=" + example, kind: fault.Usage}
		if err := key.read(at, textNode(value)); err != nil {
			return err
		}
		if key.name == "registry" {
			s.CopyTo = nil
		}
	}
	return nil
}
