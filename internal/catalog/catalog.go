// Package catalog defines the types of a catalogue: apps, components, variants, images,
// references and selections. It is pure: it does no I/O.
package catalog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Schema is the version of the flake output `libre` that this program reads.
const Schema = 1

// App is the metadata of one application, from its definition.
type App struct {
	Name           string                     `json:"name"` // as in apps/NAME
	Version        string                     `json:"version"`
	PackageVersion int                        `json:"packageVersion"`
	Source         *Source                    `json:"source"`     // null if the app has none
	Components     map[string]Component       `json:"components"` // by name
	Variants       []string                   `json:"variants"`   // "default" first, then "debug"
	Hashes         map[string]json.RawMessage `json:"hashes"`     // a string, or a map of strings by system
	Update         json.RawMessage            `json:"update"`     // the rule for new versions
	Needs          map[string]json.RawMessage `json:"needs"`      // by name: what the app needs to run
	Migration      *Migration                 `json:"migration"`
	Meta           Meta                       `json:"meta"`           // for people
	Positions      map[string]*Position       `json:"positions"`      // attribute, such as "source.hash" → its position
	Changes        []SourceChange             `json:"changes"`        // to the source, in order
	VariantChanges map[string][]SourceChange  `json:"variantChanges"` // by variant, applied after changes

	Described map[string]json.RawMessage `json:"described,omitempty"` // by variant: what the definition says for the application document; see package describe; absent if it was not asked for
}

// SourceChange is one change to an app's source: a patch, replacements in a file, or an
// added file or folder.
type SourceChange struct {
	Patch   string            `json:"patch,omitempty"`   // file in the catalogue, or URL
	Fixes   []string          `json:"fixes,omitempty"`   // IDs of vulnerabilities that the patch fixes
	Origin  string            `json:"origin,omitempty"`  // URL that the patch comes from
	File    string            `json:"file,omitempty"`    // path in the source
	Replace map[string]string `json:"replace,omitempty"` // literal text → text
	Add     string            `json:"add,omitempty"`     // file or folder in the catalogue
}

// Source is the source of an app's program.
type Source struct {
	Kind     string `json:"kind"`     // github, git, goModule, url or path
	Page     string `json:"page"`     // URL of the project, "" for a path
	Revision string `json:"revision"` // tag, commit or module version
	Hash     string `json:"hash"`     // SRI hash of the unpacked tree's NAR, "" for a path
	Date     string `json:"date"`     // YYYY-MM-DD, of the release
	Commit   string `json:"commit"`   // commit of the tag; "" if the definition does not give it

	// From the definition; which are set depends on the kind.
	GitHub   string `json:"github"`   // OWNER/REPO
	Tag      string `json:"tag"`      // of the repository
	Version  string `json:"version"`  // of a Go module
	Archive  string `json:"archive"`  // URL that replaces the forge's archive
	Git      string `json:"git"`      // URL of a repository
	Rev      string `json:"rev"`      // commit
	Forge    string `json:"forge"`    // of a git repository: forgejo, gitea or gitlab
	GoModule string `json:"goModule"` // module path
	Path     string `json:"path"`     // folder in the catalogue
}

// Followed reports whether libre can list the versions of this kind of source.
func (s *Source) Followed() bool {
	return s != nil && (s.Kind == "github" || s.Kind == "git" || s.Kind == "goModule")
}

// Component is a part of an app that has an image of its own.
type Component struct {
	Kind        string             `json:"kind"` // nix or containerfile
	Description string             `json:"description"`
	Ports       map[string]int     `json:"ports"`                 // by name
	Protocols   map[string]string  `json:"protocols,omitempty"`   // of the ports that do not use TCP: udp or sctp
	Health      string             `json:"health"`                // path of the HTTP health check
	HealthCheck *HealthCheck       `json:"healthCheck,omitempty"` // if the definition gives more than a path
	Services    map[string]Service `json:"services"`              // ways to run the image, by name
	Volumes     []string           `json:"volumes"`               // paths in the image
	License     string             `json:"license"`
	Systems     []string           `json:"systems"` // Nix systems it is built for
	Bases       map[string]string  `json:"bases"`   // image of the Containerfile → digest, or APP/COMPONENT

	Containerfile string `json:"containerfile"` // path in the source; "" for a Nix component
	Target        string `json:"target"`        // stage of the Containerfile; "" for the last

	Upstream []UpstreamInstruction `json:"upstream,omitempty"` // instructions of upstream's Containerfile and its base that configure the image; absent if they were not read
}

// UpstreamInstruction is an instruction of upstream's Containerfile, or of its base, that
// configures the image.
type UpstreamInstruction struct {
	Instruction string `json:"instruction"`       // EXPOSE, VOLUME, USER, HEALTHCHECK, STOPSIGNAL, ENTRYPOINT, CMD, WORKDIR or LABEL NAME
	Value       string `json:"value"`             // the joint value of all such instructions
	From        string `json:"from"`              // FILE:LINE in the source, or the image in the layout
	Instead     string `json:"instead,omitempty"` // the image's value, if the definition or libre sets another
}

// HealthCheck describes how to check that a container works. Exactly one of Path, Command,
// TCP and GRPC is set. The runtime chooses a value for numbers that are 0.
type HealthCheck struct {
	Path    string   `json:"path,omitempty"`    // requested with HTTP
	Command []string `json:"command,omitempty"` // run in the container: exit code 0 is healthy
	TCP     string   `json:"tcp,omitempty"`     // name of a port that accepts connections
	GRPC    string   `json:"grpc,omitempty"`    // name of a port that serves grpc.health.v1
	Port    string   `json:"port,omitempty"`    // name of the port for path

	Interval    int `json:"interval,omitempty"`    // seconds
	Timeout     int `json:"timeout,omitempty"`     // seconds
	StartPeriod int `json:"startPeriod,omitempty"` // failures before it do not count
	Retries     int `json:"retries,omitempty"`     // consecutive failures after which the container is unhealthy
}

// Service is one way to run a component's image.
type Service struct {
	Command []string `json:"command,omitempty"` // replaces the image's command; the entrypoint stays
	Job     string   `json:"job,omitempty"`     // when it runs, if it is a job: "before-upgrade"
}

// Migration describes the effect of an upgrade on an app's data.
type Migration struct {
	Kind    string `json:"kind,omitempty"`    // automatic, manual or none
	MinFrom string `json:"minFrom,omitempty"` // oldest app version to upgrade from
	Notes   string `json:"notes,omitempty"`   // URL
}

// Meta describes an app to people.
type Meta struct {
	Description string   `json:"description,omitempty"`
	Homepage    string   `json:"homepage,omitempty"`
	License     string   `json:"license,omitempty"`     // SPDX expression
	Changelog   string   `json:"changelog,omitempty"`   // URL
	Maintainers []string `json:"maintainers,omitempty"` // names
}

// Position is a position in a file. Line and Column count from 1.
type Position struct {
	File   string `json:"file"`   // in the catalogue
	Line   int    `json:"line"`   // from 1
	Column int    `json:"column"` // from 1
}

// ID identifies an image within its catalogue: app/component/variant.
type ID struct{ App, Component, Variant string }

// String joins the parts that are not empty with slashes. An app as a whole has only a
// name.
func (id ID) String() string {
	return strings.TrimRight(id.App+"/"+id.Component+"/"+id.Variant, "/")
}

// Name returns the last part of the image's repository: app-component-variant.
func (id ID) Name() string { return id.App + "-" + id.Component + "-" + id.Variant }

// Compare orders images by app, component and variant. Among the variants of a component,
// default and debug come first.
func (id ID) Compare(other ID) int {
	rank := func(variant string) string {
		return map[string]string{"default": "0", "debug": "1"}[variant] + variant
	}
	return slices.Compare(
		[]string{id.App, id.Component, rank(id.Variant)},
		[]string{other.App, other.Component, rank(other.Variant)})
}

// Tag returns the tag of an app's images: appver-pkgver. The package version is the part
// after the last hyphen.
func Tag(version string, packageVersion int) string {
	return fmt.Sprintf("%s-%d", version, packageVersion)
}

// ParseTag parses the result of Tag. It returns false for other tags, such as latest.
func ParseTag(tag string) (version string, packageVersion int, ok bool) {
	at := max(strings.LastIndex(tag, "-"), 0)
	version, number := tag[:at], strings.TrimPrefix(tag[at:], "-")
	packageVersion, err := strconv.Atoi(number)
	return version, packageVersion, err == nil && version != "" && packageVersion > 0 && Tag(version, packageVersion) == tag
}

// IDs lists the images of apps, in order.
func IDs(apps map[string]App) []ID {
	var ids []ID
	for _, app := range apps {
		for component := range app.Components {
			for _, variant := range app.Variants {
				ids = append(ids, ID{app.Name, component, variant})
			}
		}
	}
	slices.SortFunc(ids, ID.Compare)
	return ids
}

// CheckNames returns an error if two images, or an image and a release record, would share
// a repository: docs-x/web and docs/x-web are both docs-x-web.
func CheckNames(apps map[string]App) error {
	owner := map[string]string{}
	claim := func(name, what string) error {
		if other, taken := owner[name]; taken {
			return fmt.Errorf("duplicate image name %s: %s and %s, rename one of them", name, other, what)
		}
		owner[name] = what
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		for _, variant := range apps[name].Variants {
			if err := claim(name+"-"+variant, "the release record of "+name+"/"+variant); err != nil {
				return err
			}
		}
	}
	for _, id := range IDs(apps) {
		if err := claim(id.Name(), id.String()); err != nil {
			return err
		}
	}
	return nil
}

// platforms maps Nix systems to OCI platforms.
var platforms = map[string]string{
	"x86_64-linux":  "linux/amd64",
	"aarch64-linux": "linux/arm64",
}

// Platform returns the OCI platform (os/architecture) of a Nix system: linux/amd64 for
// x86_64-linux.
func Platform(system string) (string, error) {
	if platform, known := platforms[system]; known {
		return platform, nil
	}
	return "", fmt.Errorf("unknown system %q, expected one of %s",
		system, strings.Join(slices.Sorted(maps.Keys(platforms)), ", "))
}
