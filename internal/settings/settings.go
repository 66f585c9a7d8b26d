// Package settings reads libre.yaml and the variables LIBRE_…, and checks every value. An
// error has the line, the allowed values and an example. The table of keys is in keys.go.
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/web"
)

// File is the name of a catalogue's settings, next to its flake.nix.
const File = "libre.yaml"

// Settings are the settings of libre.yaml, overridden by the environment. Settings that are not
// set are zero.
type Settings struct {
	Registry   string               // REGISTRY[/NAMESPACE] of the images
	CopyTo     []string             // registries that get copies of releases
	AlsoTag    []string             // moving tags of each release
	Forge      string               // github, forgejo or gitlab, for pull requests; if empty, the URL of origin decides
	Groups     map[string][]string  // @name → selections
	PackageSet string               // nixpkgs or host; empty is nixpkgs
	Engine     containerfile.Choice // of what builds Containerfiles
	Build      Build                // how Containerfiles are built
	Cache      Cache                // receives built outputs
	Layers     Layers               // of all images
	Limits     Limits               // of what libre accepts from others
	Scan       Scan                 // for known vulnerabilities
	CA         *web.Authorities     // for registries and forges, besides the system's; nil for none
	Run        Run                  // how apps are run on this machine
	SBOM       SBOM                 // what the SBOMs of the catalogue contain
	Sign       Sign                 // how images are signed, or none
	Licenses   license.Policy       // of the components of images
}

// Registries returns the registries that the catalogue publishes to. libre reads from the
// first. There are none if no registry is set.
func (s *Settings) Registries() []string {
	if s.Registry == "" {
		return nil
	}
	return append([]string{s.Registry}, s.CopyTo...)
}

// Copies returns the registries where signatures are accepted besides the one that they were
// made for: those of sign.copies and copyTo.
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
// first error is a *fault.Fault with an example as its fix, of kind fault.Usage if it is
// in a variable. If dir is empty, only the variables are read.
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

// readFile reads a regular file. It follows no link, because errors quote the file, and a
// link in a stranger's catalogue could lead to a secret.
func readFile(path string) ([]byte, error) {
	text, err := file.ReadOwn(path)
	if errors.Is(err, file.ErrNoFile) {
		return nil, &fault.Fault{Err: errors.New(File + " is a link, a folder or a device, not a file"), Fix: "replace it with a file"}
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", File, err)
	}
	return text, nil
}

// fromEnvironment takes the variables that are set. LIBRE_REGISTRY replaces all registries
// of the file.
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
		at := location{path: key.variable, expected: key.expected, example: key.variable + "=" + example, kind: fault.Usage}
		if err := key.read(at, textNode(value)); err != nil {
			return err
		}
		if key.name == "registry" {
			s.CopyTo = nil
		}
	}
	return nil
}
