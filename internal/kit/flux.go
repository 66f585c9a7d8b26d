package kit

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
)

// fluxAPI is the version of ImageRepository and ImagePolicy.
// https://fluxcd.io/flux/components/image/imagepolicies/
const fluxAPI = "image.toolkit.fluxcd.io/v1"

// fluxEvery is the range of all semantic versions, prereleases included.
const fluxEvery = ">=0.0.0-0"

type fluxRepository struct {
	Image     string   `yaml:"image"`
	Interval  string   `yaml:"interval"`
	Insecure  bool     `yaml:"insecure,omitempty"`
	Exclusion []string `yaml:"exclusionList"`
}

type fluxPolicy struct {
	Repository       metadata    `yaml:"imageRepositoryRef"`
	FilterTags       fluxFilter  `yaml:"filterTags"`
	Policy           fluxChoices `yaml:"policy"`
	DigestReflection string      `yaml:"digestReflectionPolicy"`
}

type fluxFilter struct {
	Pattern string `yaml:"pattern"`
	Extract string `yaml:"extract"`
}

type fluxChoices struct {
	Semver fluxRange `yaml:"semver"`
}

type fluxRange struct {
	Range string `yaml:"range"`
}

// Flux writes an ImageRepository and an ImagePolicy for each image, which select its newest
// tag and tell its digest. It is an error if Flux cannot order the tags of an app.
func Flux(registry string, apps map[string]catalog.App, images []catalog.ID) ([]File, error) {
	registry = strings.TrimSuffix(registry, "/")
	var files []File
	var wrong []error
	seen := map[string]bool{}
	for _, id := range images {
		app := apps[id.App]
		filter, err := fluxTags(app.Version)
		if err != nil {
			if !seen[app.Name] {
				wrong = append(wrong, &fault.Fault{Doing: app.Name, Err: err, Fix: "select other apps, and follow this one with Renovate"})
			}
			seen[app.Name] = true
			continue
		}
		file, err := YAML("flux/"+id.Name()+".yaml", "",
			object{fluxAPI, "ImageRepository", metadata{id.Name()}, fluxRepository{
				Image: registry + "/" + id.Name(), Interval: "1h", Insecure: isLoopback(registry), Exclusion: []string{"^sha256-"},
			}},
			object{fluxAPI, "ImagePolicy", metadata{id.Name()}, fluxPolicy{
				Repository: metadata{id.Name()}, FilterTags: filter,
				Policy: fluxChoices{fluxRange{fluxEvery}}, DigestReflection: "IfNotPresent",
			}})
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, errors.Join(wrong...)
}

// fluxTags says which tags have the form of an app version, and which semantic version
// stands for each. A version's first three numbers are the version's; further numbers and
// the package version become its prerelease, whose numbers semver compares one by one:
// 28.0.4.1-2 is 28.0.4-1.2.
func fluxTags(version string) (fluxFilter, error) {
	numbers := catalog.VersionNumbers(version)
	shape, prerelease := catalog.VersionShape(version)
	switch {
	case prerelease:
		return fluxFilter{}, fmt.Errorf("version %s is a prerelease, so Flux would select the newest release instead, which may be older", version)
	case len(numbers) == 0:
		return fluxFilter{}, fmt.Errorf("version %s does not begin with a number, and Flux orders semantic versions only", version)
	}
	const number = `0*(?P<%s>\d+)`
	var pattern strings.Builder
	if strings.HasPrefix(version, "v") {
		pattern.WriteString("v")
	}
	var captured []string
	capture := func() {
		name := fmt.Sprintf("n%d", len(captured)+1)
		fmt.Fprintf(&pattern, number, name)
		captured = append(captured, "${"+name+"}")
	}
	for i := range numbers {
		if i > 0 {
			pattern.WriteString(`\.`)
		}
		capture()
	}
	for part := range strings.SplitAfterSeq(shape, "0") {
		literal, hasNumber := strings.CutSuffix(part, "0")
		pattern.WriteString(regexp.QuoteMeta(literal))
		if hasNumber {
			capture()
		}
	}
	core := append(captured[:min(len(numbers), 3):min(len(numbers), 3)], "0", "0")[:3]
	rest := append(captured[min(len(numbers), 3):], "${package}")
	return fluxFilter{
		Pattern: "^" + pattern.String() + `-(?P<package>[1-9]\d*)$`,
		Extract: strings.Join(core, ".") + "-" + strings.Join(rest, "."),
	}, nil
}

// isLoopback reports whether libre uses plain HTTP for a registry.
func isLoopback(registry string) bool {
	host, _, _ := strings.Cut(registry, "/")
	if bare, _, err := net.SplitHostPort(host); err == nil {
		host = bare
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
