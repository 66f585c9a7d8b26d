// Package vex has our statements about vulnerabilities in images, from an app's vex.yaml and
// from the patches of its components. It finds the statement that answers a finding in one
// image, and writes OpenVEX and CycloneDX documents.
package vex

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/sbom"
)

// Status is the effect of a vulnerability on an image, in the words of OpenVEX.
// https://github.com/openvex/spec/blob/v0.2.0/OPENVEX-SPEC.md#status-labels
type Status string

const (
	NotAffected        Status = "not_affected"
	Affected           Status = "affected"
	UnderInvestigation Status = "under_investigation"
	Fixed              Status = "fixed"
)

// Statuses lists all statuses.
var Statuses = []Status{NotAffected, Affected, UnderInvestigation, Fixed}

// Settles reports whether a finding with this status needs nothing more.
func (s Status) Settles() bool { return s == NotAffected || s == Fixed }

// Justifications are the reasons why an image is not affected.
// https://github.com/openvex/spec/blob/v0.2.0/OPENVEX-SPEC.md#status-justifications
var Justifications = []string{
	"component_not_present",
	"vulnerable_code_not_present",
	"vulnerable_code_not_in_execute_path",
	"vulnerable_code_cannot_be_controlled_by_adversary",
	"inline_mitigations_already_exist",
}

// Statement is our statement about one vulnerability. The fields from Package to Versions limit
// its subject. Empty fields do not.
type Statement struct {
	Vulnerability string   // ID, such as CVE-2026-1234
	Aliases       []string // other IDs of the same vulnerability, such as GHSA-xxxx-xxxx-xxxx
	Status        Status
	Justification string // of NotAffected: one of Justifications
	Action        string // of Affected: what users should do
	Notes         string // may be empty

	Package    string // package URL in the SBOM; without a version it means all versions
	Components []string
	Variants   []string
	Versions   catalog.Range // of the app

	Date    time.Time // day on which it was made
	Expires time.Time // last day on which it is valid; zero for no end

	Patch sbom.Patch // patch that fixes the vulnerability; zero for a statement from a file
	Place string     // FILE:LINE, or "patch NAME of COMPONENT"; empty if it was read from a registry
}

// IDs returns all IDs of the vulnerability. The ID that the statement names is the first.
func (s *Statement) IDs() []string { return append([]string{s.Vulnerability}, s.Aliases...) }

// concerns reports whether a statement is about the vulnerability with any of the IDs.
func (s *Statement) concerns(ids []string) bool {
	return slices.ContainsFunc(s.IDs(), func(id string) bool { return slices.Contains(ids, id) })
}

// isAbout reports whether a statement is about an image of an app, in a version.
func (s *Statement) isAbout(id catalog.ID, version string) bool {
	return (len(s.Components) == 0 || slices.Contains(s.Components, id.Component)) &&
		(len(s.Variants) == 0 || slices.Contains(s.Variants, id.Variant)) &&
		s.Versions.Has(version)
}

// expired reports whether a statement is not valid any more on a day.
func (s *Statement) expired(now time.Time) bool {
	return !s.Expires.IsZero() && !now.Before(s.Expires.AddDate(0, 0, 1))
}

// isFix reports whether a statement follows from a patch.
func (s *Statement) isFix() bool {
	return s.Patch.Name != "" || s.Patch.Hash != "" || len(s.Patch.Resolves) > 0
}

// String describes a statement in one line, such as "not_affected
// (vulnerable_code_not_present)".
func (s *Statement) String() string {
	switch {
	case s.Justification != "":
		return fmt.Sprintf("%s (%s)", s.Status, s.Justification)
	case s.isFix():
		return fmt.Sprintf("%s by %s", s.Status, s.Patch.Name)
	}
	return string(s.Status)
}

// vulnerabilityID matches IDs such as CVE-2026-1234, GHSA-jfh8-c2jp-5v3q and GO-2024-2687.
var vulnerabilityID = lazyregexp.New(`^[A-Z][0-9A-Za-z]*(-[0-9A-Za-z]+)+$`)

// CheckID returns an error if an ID of a vulnerability is not valid.
func CheckID(id string) error {
	if len(id) > 64 || !vulnerabilityID().MatchString(id) {
		return fmt.Errorf("%q is not the ID of a vulnerability, expected one such as CVE-2026-1234", id)
	}
	return nil
}

func joined[T ~string](words []T) string {
	text := make([]string, len(words))
	for i, word := range words {
		text[i] = string(word)
	}
	last := len(text) - 1
	if last < 1 {
		return strings.Join(text, "")
	}
	return strings.Join(text[:last], ", ") + " or " + text[last]
}
