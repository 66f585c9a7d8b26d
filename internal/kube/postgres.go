package kube

import (
	"fmt"

	"github.com/Masterminds/semver/v3"
)

// knownPostgres are the major versions that both CloudNativePG and the charts have images of,
// newest first: https://www.postgresql.org/support/versioning/
var knownPostgres = []uint64{18, 17, 16, 15, 14}

// A postgresRange is the range of PostgreSQL versions that an app works with.
type postgresRange struct {
	constraint *semver.Constraints // nil allows all
	newest     uint64              // the newest of knownPostgres in the range
}

// postgresVersions reads the versions of a need. It is an error if no known version is among
// them.
func postgresVersions(need, text string) (postgresRange, error) {
	var versions postgresRange
	if text != "" {
		constraint, err := semver.NewConstraint(text)
		if err != nil {
			return versions, fmt.Errorf("need %s: the version %q is not a constraint such as \">=14, <18\"", need, text)
		}
		versions.constraint = constraint
	}
	for _, major := range knownPostgres {
		if versions.has(major) {
			versions.newest = major
			return versions, nil
		}
	}
	return versions, fmt.Errorf("need %s: no version of PostgreSQL from %d to %d is %s: give --needs secret", need, knownPostgres[len(knownPostgres)-1], knownPostgres[0], text)
}

// has reports whether a late minor version of a major version is in the range.
func (v postgresRange) has(major uint64) bool {
	return v.constraint == nil || v.constraint.Check(semver.New(major, 99, 0, "", ""))
}

// allFrom reports whether a major version and all later ones are in the range.
func (v postgresRange) allFrom(major uint64) bool {
	for next := major; next <= knownPostgres[0]+1; next++ {
		if !v.has(next) {
			return false
		}
	}
	const future = 1000
	return v.has(future)
}
