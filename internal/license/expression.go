// Package license knows SPDX license expressions, and which of them a policy allows.
// https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/
package license

import (
	"fmt"
	"slices"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Check reports why a text is no SPDX license expression. A license is one of SPDX's list,
// or a LicenseRef.
func Check(expression string) error {
	if _, err := IDs(expression); err != nil {
		return err
	}
	return nil
}

// IDs lists the licenses of an expression, sorted, each once: those of SPDX's list, spelled
// as there, and LicenseRefs.
func IDs(expression string) (ids []string, err error) {
	// The parser may panic: https://github.com/anchore/syft/issues/1837
	defer func() {
		if recover() != nil {
			err = invalid(expression)
		}
	}()
	if strings.TrimSpace(expression) == "" || len(expression) > maxLength {
		return nil, invalid(expression)
	}
	if ids, err = spdxexp.ExtractLicenses(expression); err != nil {
		return nil, invalid(expression)
	}
	slices.Sort(ids)
	return ids, nil
}

// maxLength is far more than any real expression has: the time to parse one grows with it.
const maxLength = 10_000

func invalid(expression string) error {
	return fmt.Errorf("%q is not an SPDX license expression", shortened(expression))
}

// shortened is an expression for an error: packages may have any text.
func shortened(expression string) string {
	if len(expression) > 80 {
		return strings.ToValidUTF8(expression[:80], "") + "…"
	}
	return expression
}

// And is an expression of several that all apply; empty ones count for nothing. It is ""
// if there is none.
func And(expressions ...string) string {
	var all []string
	for _, expression := range expressions {
		expression = strings.TrimSpace(expression)
		if expression != "" && !slices.Contains(all, expression) {
			all = append(all, expression)
		}
	}
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	for i, expression := range all {
		if alternative().MatchString(expression) {
			all[i] = "(" + expression + ")"
		}
	}
	return strings.Join(all, " AND ")
}

var alternative = lazyregexp.New(`(?i)\bOR\b`)

// Refs lists the LicenseRefs of an expression, sorted.
func Refs(expression string) []string {
	refs := reference().FindAllString(expression, -1)
	slices.Sort(refs)
	return slices.Compact(refs)
}

var reference = lazyregexp.New(`(?:DocumentRef-[0-9A-Za-z.-]+:)?LicenseRef-[0-9A-Za-z.-]+`)

// Ref makes a LicenseRef of a license's name that SPDX does not list. space says whose name
// it is.
func Ref(space, name string) string {
	name = strings.Trim(other().ReplaceAllString(name, "-"), "-")
	if name == "" {
		return ""
	}
	return "LicenseRef-" + space + "-" + name
}

var other = lazyregexp.New(`[^0-9A-Za-z.]+`)
