package kube

import (
	"fmt"
	"maps"
	"slices"
)

// A provision says how objects beside the app provide a need.
type provision struct {
	by     string            // what provides it, for people
	secret string            // the name of the Secret that it makes
	keys   map[string]string // part of the need → key of the Secret
	fixed  map[string]string // part → its value, which may be a template of parts in the Secret
	pods   map[string]string // labels of the pods that answer
	port   int
}

func (p provision) value(part string) (string, bool) {
	template, known := p.fixed[part]
	return template, known
}

// CloudPirates is the provider that uses charts. Values of charts are not objects, so one
// stream cannot contain both.
const CloudPirates = "cloudpirates"

// providers lists what can provide needs, by the provider's name and the kind of need. For all
// other needs a Secret must exist.
var providers = map[string]map[string]func(r *renderer, need string) error{
	"secret":     nil,
	"cnpg":       {"postgres": (*renderer).addCluster},
	CloudPirates: {"postgres": (*renderer).addPostgresChart, "mysql": (*renderer).addMariaDBChart, "redis": (*renderer).addValkeyChart, "bucket": (*renderer).addMinIOChart},
}

// Providers returns the names of what can provide needs, sorted.
func Providers() []string { return slices.Sorted(maps.Keys(providers)) }

// databaseName is the name of each database, of its owner, and of each bucket. Each is on its
// own server, so names do not collide.
const databaseName = "app"

// dataSize is the size of a server's volume.
const dataSize = "8Gi"

// addNeeds writes what provides the instance's needs.
func (r *renderer) addNeeds() error {
	for _, name := range slices.Sorted(maps.Keys(r.Needs)) {
		add, can := providers[r.o.Needs][r.Needs[name].Kind]
		if !can {
			continue
		}
		if _, taken := r.Service(name); taken {
			return fmt.Errorf("the need %s and a service would both have objects with the name %s: name one of them otherwise, or give --needs secret", name, r.ObjectName(name))
		}
		if err := add(r, name); err != nil {
			return err
		}
	}
	return nil
}
