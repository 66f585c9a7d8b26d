// Package find answers which images have a component, from an index of their SBOMs.
package find

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/anchore/packageurl-go"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/sbom"
)

// Query selects components. The zero value selects all.
type Query struct {
	Vulnerability string // upper case: CVE-2026-1234; selects what has a patch for it
	License       string // SPDX identifier

	name    *regexp.Regexp // of the whole name
	purl    *packageurl.PackageURL
	version catalog.Range
	literal string // lower case; every component that the query selects has it in its key
}

// Vulnerability IDs, as in the databases of OSV: https://ossf.github.io/osv-schema/#id-modified-fields
var vulnerabilityID = lazyregexp.New(`(?i)^(CVE-[0-9]{4}-[0-9]{4,}|(GHSA|GO|PYSEC|RUSTSEC|OSV|MAL|DSA|DLA|DTSA|USN|ALPINE|RHSA|GMS|SNYK|TEMP)-[0-9A-Z-]+)$`)

// ParseQuery reads what to find: the ID of a vulnerability; a package URL, with a range of
// versions after @; or the name of a component, one of its words, or a pattern of the whole
// name with * and ?.
func ParseQuery(text string) (Query, error) {
	switch {
	case text == "" || !utf8.ValidString(text):
		return Query{}, fmt.Errorf("cannot find %q: give a name, a package URL or the ID of a vulnerability", text)
	case vulnerabilityID().MatchString(text):
		id := strings.ToUpper(text)
		return Query{Vulnerability: id, literal: strings.ToLower(id)}, nil
	case strings.HasPrefix(text, "pkg:"):
		return parsePURL(text)
	case strings.ContainsAny(text, "*?"):
		return Query{name: regexp.MustCompile("(?is)^(?:" + catalog.Regexp(text) + ")$"), literal: longestWord(text)}, nil
	}
	return Query{
		name:    regexp.MustCompile(`(?is)(^|[^0-9a-z])` + regexp.QuoteMeta(text) + `($|[^0-9a-z])`),
		literal: longestWord(text),
	}, nil
}

// LicenseQuery selects the components whose licence expression has an SPDX identifier, with an
// exception or without.
func LicenseQuery(id string) (Query, error) {
	ids, err := license.IDs(id)
	if err != nil || len(ids) != 1 {
		return Query{}, fmt.Errorf("%q is not an SPDX license identifier, expected one such as AGPL-3.0-only", id)
	}
	return Query{License: ids[0], literal: strings.ToLower(ids[0])}, nil
}

// parsePURL reads a package URL. What follows its @ may be a range: <0.40, or
// >=1.0,<1.4. Qualifiers and subpath select nothing.
func parsePURL(text string) (Query, error) {
	base, versions, ranged := text, "", false
	if at := strings.LastIndex(text, "@"); at > strings.LastIndex(text, "/") {
		base, versions, ranged = text[:at], text[at+1:], true
	}
	purl, err := packageurl.FromString(base)
	if err != nil {
		return Query{}, fmt.Errorf("reading %q as a package URL: %w", text, err)
	}
	q := Query{purl: &purl, literal: longestWord(purl.Name)}
	if ranged {
		if versions, err = url.PathUnescape(versions); err == nil {
			q.version, err = catalog.ParseRange(versions)
		}
	}
	if err != nil {
		return Query{}, fmt.Errorf("reading %q as a package URL: %w", text, err)
	}
	return q, nil
}

var words = lazyregexp.New(`[0-9a-z]+`)

// longestWord is the longest run of letters and digits, in lower case.
func longestWord(text string) (longest string) {
	for _, word := range words().FindAllString(strings.ToLower(text), -1) {
		if len(word) > len(longest) {
			longest = word
		}
	}
	return longest
}

// Selects reports whether the query selects a component.
func (q *Query) Selects(c *sbom.Component) bool {
	switch {
	case q.Vulnerability != "":
		return len(patchesFor(c, q.Vulnerability)) > 0
	case q.License != "":
		return slices.ContainsFunc(licenses(c), func(id string) bool { return id == q.License || strings.HasPrefix(id, q.License+" WITH ") })
	case q.purl != nil:
		return q.selectsPURL(c.PURL)
	case q.name != nil:
		return q.name.MatchString(c.Name)
	}
	return true
}

func (q *Query) selectsPURL(text string) bool {
	purl, err := packageurl.FromString(text)
	return err == nil && purl.Type == q.purl.Type && purl.Namespace == q.purl.Namespace &&
		purl.Name == q.purl.Name && q.version.HasBy(comparison(purl.Type), purl.Version)
}

// patchesFor names the patches of a component that fix a vulnerability.
func patchesFor(c *sbom.Component, id string) (names []string) {
	for _, patch := range c.Patches {
		if slices.ContainsFunc(patch.Resolves, func(fixed string) bool { return strings.EqualFold(fixed, id) }) {
			names = append(names, patch.Name)
		}
	}
	return names
}

// licenses lists the licences of a component, spelled as in SPDX's list.
func licenses(c *sbom.Component) []string {
	ids, err := license.IDs(c.License.Expression)
	if err != nil {
		return nil // none is known
	}
	return ids
}
