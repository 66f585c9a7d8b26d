// Package catalog holds libre's words as types: apps, components, variants,
// images, references and selections. It is pure: no I/O.
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

// App is the metadata of one application, as its definition gives it.
type App struct {
	Name           string                     `json:"name"`
	Version        string                     `json:"version"`
	PackageVersion int                        `json:"packageVersion"`
	Source         *Source                    `json:"source"`
	Components     map[string]Component       `json:"components"`
	Variants       []string                   `json:"variants"` // "default" first, then "debug"
	Hashes         map[string]json.RawMessage `json:"hashes"`   // a string, or a map of them by system
	Update         json.RawMessage            `json:"update"`
	Needs          map[string]json.RawMessage `json:"needs"`
	Migration      *Migration                 `json:"migration"`
	Meta           Meta                       `json:"meta"`
	Positions      map[string]*Position       `json:"positions"`      // attribute, such as "source.hash" → its place
	Changes        []SourceChange             `json:"changes"`        // of the source, in order
	VariantChanges map[string][]SourceChange  `json:"variantChanges"` // by variant, on top of these
}

// SourceChange is one change of an app's source: a patch, replacements in a file,
// or a file or folder that is added.
type SourceChange struct {
	Patch   string            `json:"patch,omitempty"`   // file of the catalogue, or URL
	Fixes   []string          `json:"fixes,omitempty"`   // IDs of vulnerabilities that the patch fixes
	Origin  string            `json:"origin,omitempty"`  // URL that the patch comes from
	File    string            `json:"file,omitempty"`    // in the source
	Replace map[string]string `json:"replace,omitempty"` // literal text → text
	Add     string            `json:"add,omitempty"`     // file or folder of the catalogue
}

// Source is where an app's program comes from.
type Source struct {
	Kind     string `json:"kind"`     // github, git, goModule, url or path
	Page     string `json:"page"`     // URL of the project, "" for a path
	Revision string `json:"revision"` // tag, commit or module version
	Hash     string `json:"hash"`     // SRI hash of the unpacked tree's NAR, "" for a path
	Date     string `json:"date"`     // YYYY-MM-DD, of the release
	Commit   string `json:"commit"`   // that a tag pointed to, "" where the definition does not say

	// As the definition has them, by kind.
	GitHub   string `json:"github"` // OWNER/REPO
	Tag      string `json:"tag"`
	Version  string `json:"version"`  // of a module
	Archive  string `json:"archive"`  // URL, instead of the forge's own
	Git      string `json:"git"`      // URL of a repository
	Rev      string `json:"rev"`      // commit
	Forge    string `json:"forge"`    // of a git repository: forgejo or gitea
	GoModule string `json:"goModule"` // module path
}

// Followed tells whether the kind of source lists upstream's versions.
func (s *Source) Followed() bool {
	return s != nil && (s.Kind == "github" || s.Kind == "git" || s.Kind == "goModule")
}

// Component is one image-worth of an app.
type Component struct {
	Kind        string             `json:"kind"` // nix or containerfile
	Description string             `json:"description"`
	Ports       map[string]int     `json:"ports"`                 // by name
	Protocols   map[string]string  `json:"protocols,omitempty"`   // of the ports that are not TCP: udp or sctp
	Health      string             `json:"health"`                // path of the HTTP health check
	HealthCheck *HealthCheck       `json:"healthCheck,omitempty"` // where the definition says more than a path
	Services    map[string]Service `json:"services"`
	Volumes     []string           `json:"volumes"`
	License     string             `json:"license"`
	Systems     []string           `json:"systems"`
	Bases       map[string]string  `json:"bases"`

	Containerfile string `json:"containerfile"` // in the source; "" for a Nix component
	Target        string `json:"target"`        // stage of it; "" for the last

	// What the Containerfile says of the image's configuration: nil where it was not looked at.
	Upstream []Said `json:"upstream,omitempty"`
}

// Said is what upstream says of an image's configuration by one instruction of a
// Containerfile.
type Said struct {
	Instruction string `json:"instruction"`       // EXPOSE, VOLUME, USER, HEALTHCHECK, STOPSIGNAL, ENTRYPOINT, CMD, WORKDIR or LABEL NAME
	Value       string `json:"value"`             // of all such instructions together
	From        string `json:"from"`              // FILE:LINE in the source, or which image in dist has it
	Instead     string `json:"instead,omitempty"` // what the image has in its place, by the definition or as it is libre's to say
}

// HealthCheck says how to find out whether a container works: exactly one of Path,
// Command, TCP and GRPC is set. What is 0 is for the runtime to choose.
type HealthCheck struct {
	Path    string   `json:"path,omitempty"`    // asked by HTTP
	Command []string `json:"command,omitempty"` // run in the container: exit code 0 is healthy
	TCP     string   `json:"tcp,omitempty"`     // name of a port that takes connections
	GRPC    string   `json:"grpc,omitempty"`    // name of a port that answers grpc.health.v1
	Port    string   `json:"port,omitempty"`    // name of the port that Path is asked at

	Interval    int `json:"interval,omitempty"` // seconds
	Timeout     int `json:"timeout,omitempty"`
	StartPeriod int `json:"startPeriod,omitempty"` // failures do not count before
	Retries     int `json:"retries,omitempty"`     // failures in a row that make it unhealthy
}

// Service is one way to run a component's image.
type Service struct {
	Command []string `json:"command,omitempty"` // instead of the image's command; its entrypoint stays
	Job     string   `json:"job,omitempty"`     // when it runs, if it ends: "before-upgrade"
}

// Migration says what an upgrade does to an app's data.
type Migration struct {
	Kind    string `json:"kind,omitempty"`    // automatic, manual or none
	MinFrom string `json:"minFrom,omitempty"` // oldest app version to upgrade from
	Notes   string `json:"notes,omitempty"`   // URL
}

// Meta describes an app to people.
type Meta struct {
	Description string   `json:"description,omitempty"`
	Homepage    string   `json:"homepage,omitempty"`
	License     string   `json:"license,omitempty"` // SPDX expression
	Changelog   string   `json:"changelog,omitempty"`
	Maintainers []string `json:"maintainers,omitempty"`
}

// Position is a place in a file; Line and Column count from 1.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// ID names an image within its catalogue: app/component/variant.
type ID struct{ App, Component, Variant string }

// String leaves out what is empty: an app as a whole is its name.
func (id ID) String() string {
	return strings.TrimRight(id.App+"/"+id.Component+"/"+id.Variant, "/")
}

// Name is the last part of the image's repository: app-component-variant.
func (id ID) Name() string { return id.App + "-" + id.Component + "-" + id.Variant }

// Compare orders images by app, component and variant; default and debug come
// first among the variants of a component.
func (id ID) Compare(other ID) int {
	rank := func(variant string) string {
		return map[string]string{"default": "0", "debug": "1"}[variant] + variant
	}
	return slices.Compare(
		[]string{id.App, id.Component, rank(id.Variant)},
		[]string{other.App, other.Component, rank(other.Variant)})
}

// Tag is the tag of an app's images: appver-pkgver. The package version is what
// follows the last hyphen.
func Tag(version string, packageVersion int) string {
	return fmt.Sprintf("%s-%d", version, packageVersion)
}

// ParseTag reads what Tag makes. Other tags, such as latest, are none of a release.
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

// CheckNames reports the first two images, or image and release record, that
// would share one repository: docs-x/web and docs/x-web are both docs-x-web.
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

// Platform is the OCI platform (os/architecture) of a Nix system, such as
// linux/amd64 of x86_64-linux.
func Platform(system string) (string, error) {
	if platform, known := platforms[system]; known {
		return platform, nil
	}
	return "", fmt.Errorf("unknown system %q, expected one of %s",
		system, strings.Join(slices.Sorted(maps.Keys(platforms)), ", "))
}
