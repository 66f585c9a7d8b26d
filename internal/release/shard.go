package release

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// Shard is one of several machines that publish a catalogue together: each takes a part of
// the apps. The zero value takes all.
type Shard struct{ Number, Of int } // Number counts from 1

// maxShards is more than any CI service runs in parallel.
const maxShards = 1000

// ParseShard reads NUMBER/OF, such as 3/8.
func ParseShard(text string) (Shard, error) {
	number, of, _ := strings.Cut(text, "/")
	s := Shard{}
	var errs [2]error
	s.Number, errs[0] = strconv.Atoi(number)
	s.Of, errs[1] = strconv.Atoi(of)
	if errs[0] != nil || errs[1] != nil || s.Number < 1 || s.Number > s.Of || s.Of > maxShards {
		return Shard{}, fmt.Errorf("shard %q, expected NUMBER/OF, such as 3/8: NUMBER is from 1 to OF, OF at most %d", text, maxShards)
	}
	return s, nil
}

// Has reports whether the shard takes a group of apps. The answer depends on the group's name
// only, so other apps can be added and removed.
func (s Shard) Has(group string) bool {
	if s.Of == 0 {
		return true
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(group))
	return hash.Sum64()%uint64(s.Of) == uint64(s.Number-1)
}

// Groups returns the group of each app. Apps whose images are built on each other are in one
// group: two machines would build the base image twice, possibly with different results. A
// group has the name of the first of its apps that is built on no other.
func Groups(targets []*Target) map[string]string {
	below := map[string][]string{} // apps, by the app that is built on them
	var apps []string
	for _, target := range targets {
		app := target.ID.App
		if _, known := below[app]; !known {
			below[app] = nil
			apps = append(apps, app)
		}
		for _, spec := range target.Specs {
			for _, base := range spec.Dependencies() {
				if base.App != app && !slices.Contains(below[app], base.App) {
					below[app] = append(below[app], base.App)
				}
			}
		}
	}
	slices.Sort(apps)
	together := map[string][]string{} // neighbours in both directions
	for _, app := range apps {
		for _, base := range below[app] {
			together[app] = append(together[app], base)
			together[base] = append(together[base], app)
		}
	}
	groups := map[string]string{}
	for _, app := range apps {
		if groups[app] != "" {
			continue
		}
		members := reach(app, together)
		name := members[slices.IndexFunc(members, func(member string) bool { return len(below[member]) == 0 })]
		for _, member := range members {
			groups[member] = name
		}
	}
	return groups
}

// reach returns an app and all apps that it is connected with, sorted.
func reach(app string, neighbours map[string][]string) []string {
	found := []string{app}
	for at := 0; at < len(found); at++ {
		for _, next := range neighbours[found[at]] {
			if !slices.Contains(found, next) {
				found = append(found, next)
			}
		}
	}
	slices.Sort(found)
	return found
}
