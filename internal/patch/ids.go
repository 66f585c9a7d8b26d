package patch

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// databases matches the IDs of each database, by their prefix. Other IDs must have the form of
// https://ossf.github.io/osv-schema/#id-modified-fields
var databases = map[string]func() *regexp.Regexp{
	"CVE":     lazyregexp.New(`\ACVE-[0-9]{4}-[0-9]{4,19}\z`), // https://cveproject.github.io/cve-schema
	"GHSA":    lazyregexp.New(`\AGHSA(?:-[23456789cfghjmpqrvwx]{4}){3}\z`),
	"GO":      lazyregexp.New(`\AGO-[0-9]{4}-[0-9]{4,}\z`),
	"PYSEC":   lazyregexp.New(`\APYSEC-[0-9]{4}-[0-9]+\z`),
	"RUSTSEC": lazyregexp.New(`\ARUSTSEC-[0-9]{4}-[0-9]{4}\z`),
}

var (
	anyID      = lazyregexp.New(`\A[A-Z][0-9A-Za-z]*(?:-[0-9A-Za-z]+)+\z`)
	mentionsID = lazyregexp.New(`(?i)\b(?:CVE-[0-9]{4}-[0-9]{4,19}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|(?:GO|PYSEC|RUSTSEC)-[0-9]{4}-[0-9]{4,})\b`)
)

// mostID is the length of the longest ID. IDs become names of files.
const mostID = 99

// ParseIDs reads the IDs of vulnerabilities, at least one. The result has no duplicates.
func ParseIDs(given []string) ([]string, error) {
	var ids []string
	for _, id := range given {
		id = strings.TrimSpace(id)
		likely := Normal(id)
		switch {
		case !isID(id) && likely != id && isID(likely):
			return nil, fmt.Errorf("vulnerability %q: expected an ID like CVE-2026-1234; did you mean %s?", text.Name(id), likely)
		case !isID(id):
			return nil, fmt.Errorf("vulnerability %q: expected an ID like CVE-2026-1234, GHSA-4xqx-pqpj-9fqw or GO-2026-1234", text.Name(id))
		case !slices.Contains(ids, id):
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, errors.New("no vulnerability given: name what the patch fixes with --fixes, such as CVE-2026-1234")
	}
	return ids, nil
}

func isID(id string) bool {
	prefix, _, _ := strings.Cut(id, "-")
	form := databases[prefix]
	return anyID().MatchString(id) && len(id) <= mostID && (form == nil || form().MatchString(id))
}

// Normal returns an ID of a known database in the case that the database uses.
func Normal(id string) string {
	prefix, rest, _ := strings.Cut(id, "-")
	prefix = strings.ToUpper(prefix)
	if databases[prefix] == nil {
		return id
	}
	return prefix + "-" + strings.ToLower(rest)
}

// mentioned returns the IDs in a text, sorted.
func mentioned(content []byte) []string {
	const most = 20
	var ids []string
	for _, found := range mentionsID().FindAll(content, -1) {
		if id := Normal(string(found)); !slices.Contains(ids, id) && len(ids) < most {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
