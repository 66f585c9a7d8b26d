package operator

import (
	"fmt"
	"strings"
)

// mostLabel is the length limit of a DNS label, in characters. The names of a resource type
// must be DNS labels.
const mostLabel = 63

// names are the names of a resource type.
type names struct {
	Kind       string   `yaml:"kind"`
	ListKind   string   `yaml:"listKind"`
	Singular   string   `yaml:"singular"`
	Plural     string   `yaml:"plural"`
	Categories []string `yaml:"categories"`
}

func namesOf(kind string) names {
	singular := strings.ToLower(kind)
	return names{Kind: kind, ListKind: kind + "List", Singular: singular, Plural: plural(singular), Categories: []string{"libre"}}
}

// appKind returns the kind of an app's instances: YProvider for y-provider. A kind begins with
// a letter, so 2fauth becomes App2fauth.
func appKind(app string) (string, error) {
	var kind strings.Builder
	for _, word := range strings.FieldsFunc(app, func(r rune) bool { return strings.ContainsRune("._-", r) }) {
		kind.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	name := kind.String()
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		name = "App" + name
	}
	if n := namesOf(name); max(len(n.ListKind), len(n.Plural)) > mostLabel {
		return "", fmt.Errorf("the name %s is too long: its kind %s would have more than the %d characters that Kubernetes allows; choose a shorter name, or use --format plain", app, n.ListKind, mostLabel)
	}
	return name, nil
}

// plural returns the English plural of a word in lower case. A word that ends in s, such as
// docs or redis, stays as it is.
func plural(word string) string {
	ends := func(endings ...string) bool {
		for _, ending := range endings {
			if strings.HasSuffix(word, ending) {
				return true
			}
		}
		return false
	}
	switch {
	case ends("ss", "x", "z", "ch", "sh"):
		return word + "es"
	case ends("s"):
		return word
	case ends("y") && !ends("ay", "ey", "iy", "oy", "uy"):
		return strings.TrimSuffix(word, "y") + "ies"
	}
	return word + "s"
}

// checkDistinct returns an error if two apps share a kind, the kind of a list, or the name of a
// resource.
func checkDistinct(kinds map[string]string, apps []string) error {
	taken := map[string]string{}
	for _, app := range apps {
		n := namesOf(kinds[app])
		for _, name := range []string{"kind " + n.Kind, "kind " + n.ListKind, "resource " + n.Plural, "resource " + n.Singular} {
			if other := taken[name]; other != "" && other != app {
				return fmt.Errorf("the apps %s and %s would both have the %s in %s, and a cluster can have only one: select one of the apps", other, app, name, AppsGroup)
			}
			taken[name] = app
		}
	}
	return nil
}
