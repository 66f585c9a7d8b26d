package settings

import (
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"gopkg.in/yaml.v3"
)

// Run configures how apps are run on this machine.
type Run struct {
	Needs map[string]string // images of servers, by the kind of need; a missing kind has the image of compose
}

// runNeeds are the kinds of needs whose servers have an image.
var runNeeds = []string{"bucket", "mysql", "oidc", "postgres", "redis", "smtp"}

func (r *Run) keys() []key {
	return []key{
		{"needs", "", "images of servers, by the kind of need: " + strings.Join(runNeeds, ", "), "needs: {postgres: \"docker.io/library/postgres:17\"}", r.readNeeds},
	}
}

func (r *Run) readNeeds(at location, node *yaml.Node) error {
	r.Needs = map[string]string{}
	images := map[string]*string{}
	if err := mapping(r.needKeys(images))(at, node); err != nil {
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(images)) {
		if *images[kind] != "" {
			r.Needs[kind] = *images[kind]
		}
	}
	return nil
}

// needKeys returns a key for each kind. The key reads the kind's image into a map.
func (r *Run) needKeys(into map[string]*string) []key {
	var keys []key
	for _, kind := range runNeeds {
		into[kind] = new(string)
		keys = append(keys, key{kind, "", "the reference of an image, with a tag or digest", kind + ": registry.example/" + kind + ":1", text(into[kind], checkImage)})
	}
	return keys
}

// checkImage accepts a reference with a registry and a tag or digest.
func checkImage(word string) error {
	named, err := reference.ParseNormalizedNamed(word)
	if err != nil || reference.IsNameOnly(named) {
		return errWord
	}
	return nil
}
