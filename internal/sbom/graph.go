package sbom

import (
	"maps"
	"slices"
)

// entries returns, sorted, the IDs from which all given IDs can be reached. These are the IDs
// that no other depends on, and the first of each cycle that only its own members depend on.
func entries(ids []string, dependsOn func(id string) []string) []string {
	waiting := map[string]bool{}
	needed := map[string]bool{}
	for _, id := range ids {
		waiting[id] = true
	}
	for id := range waiting {
		for _, other := range dependsOn(id) {
			needed[other] = needed[other] || other != id
		}
	}
	var visit func(id string)
	visit = func(id string) {
		if waiting[id] {
			delete(waiting, id)
			for _, other := range dependsOn(id) {
				visit(other)
			}
		}
	}
	var found []string
	enter := func(id string) {
		if waiting[id] {
			found = append(found, id)
			visit(id)
		}
	}
	all := slices.Sorted(maps.Keys(waiting))
	for _, id := range all {
		if !needed[id] {
			enter(id)
		}
	}
	for _, id := range all { // only cycles are left
		enter(id)
	}
	slices.Sort(found)
	return found
}
