package compare

import (
	"cmp"
	"fmt"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
)

// Upgrade describes what the step from one release to the other does to an app's data.
type Upgrade struct {
	Direction string  `json:"direction"`         // upgrade, downgrade or same, by app version
	Migration string  `json:"migration"`         // automatic, manual or none; "" if the definition does not say
	MinFrom   string  `json:"minFrom,omitempty"` // oldest app version to upgrade from
	Verdict   Verdict `json:"verdict"`
	Reason    string  `json:"reason,omitempty"`
	Notes     string  `json:"notes,omitempty"` // URL
}

// Verdict says whether an upgrade or a downgrade is allowed.
type Verdict string

// The verdicts.
const (
	Allowed Verdict = "allowed"
	Refused Verdict = "refused"
	Unknown Verdict = "unknown" // the definition does not say
)

// NewUpgrade judges the step from one release to another. For an upgrade it uses minFrom of the
// newer release, for a downgrade the migration of the newer one.
func NewUpgrade(from, to *Release) Upgrade {
	u := Upgrade{Direction: "same", Migration: "none", Verdict: Allowed}
	order := catalog.CompareVersions(from.Version, to.Version)
	if order == 0 {
		return u
	}
	of := to.Migration
	if u.Direction = "upgrade"; order > 0 {
		u.Direction, of = "downgrade", from.Migration
	}
	if of == nil {
		of = &describe.Migration{}
	}
	u.Migration, u.Notes = of.Kind, of.Notes
	if order > 0 {
		return u.back(from, to, of.Reversible != nil && *of.Reversible)
	}
	u.MinFrom = of.MinFrom
	if u.MinFrom != "" && catalog.CompareVersions(from.Version, u.MinFrom) < 0 {
		u.Verdict = Refused
		u.Reason = fmt.Sprintf("%s upgrades from %s or later: upgrade to a release of %[2]s or later first", to.Version, u.MinFrom)
	}
	return u
}

func (u Upgrade) back(from, to *Release, reversible bool) Upgrade {
	switch {
	case u.Migration == "none" || reversible:
	case u.Migration == "":
		u.Verdict, u.Reason = Unknown, fmt.Sprintf("%s does not say how it changes its data", from.Version)
	default:
		u.Verdict = Refused
		u.Reason = fmt.Sprintf("%s may have changed the data: restore a backup of %s", from.Version, to.Version)
	}
	return u
}

// Text returns the upgrade in one line.
func (u Upgrade) Text() string {
	if u.Direction == "same" {
		return "same app version: no migration"
	}
	text := fmt.Sprintf("%s %s", u.Direction, u.Verdict)
	if u.Reason != "" {
		text += ": " + u.Reason
	} else if u.MinFrom != "" {
		text += " from " + u.MinFrom + " or later"
	}
	return text + "; migration: " + cmp.Or(u.Migration, "not described")
}
