// Package match compares components with grype's database. Only the program libre-inspect
// imports it, because grype is slow to load.
package match

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/anchore/grype/grype"
	"github.com/anchore/grype/grype/match"
	"github.com/anchore/grype/grype/matcher"
	"github.com/anchore/grype/grype/matcher/dpkg"
	"github.com/anchore/grype/grype/matcher/rpm"
	"github.com/anchore/grype/grype/matcher/stock"
	"github.com/anchore/grype/grype/pkg"
	"github.com/anchore/grype/grype/version"
	"github.com/anchore/grype/grype/vulnerability"

	"github.com/libresh/libre/internal/inspect"
	"github.com/libresh/libre/internal/scan"
)

// Serve answers questions about components until the input ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var open *database
	defer func() { open.close() }()
	return inspect.Serve(in, out, func(question scan.Question, end func(error)) (scan.Reply, error) {
		stop := inspect.WatchMemory(question.Memory, end)
		defer stop()
		if open == nil || open.dir != question.Database || question.Index {
			open.close()
			open = nil
			opened, err := openDatabase(question.Database, question.Index)
			if err != nil {
				return scan.Reply{}, err
			}
			open = opened
		}
		return open.answer(ctx, question.Components)
	})
}

// matchers are configured as grype's own command configures them.
var matchers = matcher.NewDefaultMatchers(matcher.Config{
	Stock: stock.MatcherConfig{UseCPEs: true},
	Dpkg:  dpkg.MatcherConfig{MissingEpochStrategy: version.MissingEpochStrategyZero},
	Rpm:   rpm.MatcherConfig{MissingEpochStrategy: version.MissingEpochStrategyAuto},
})

func (d *database) answer(ctx context.Context, components []scan.Component) (scan.Reply, error) {
	answer := scan.Reply{Database: d.is}
	var packages []pkg.Package
	guessed := map[pkg.ID]bool{}
	for _, c := range components {
		found, guess := packagesOf(c)
		if len(found) == 0 {
			answer.Unmatched = append(answer.Unmatched, c.ID)
		}
		packages = append(packages, found...)
		guessed[pkg.ID(c.ID)] = guess
	}
	d.provider.err = nil
	found, _, err := (&grype.VulnerabilityMatcher{VulnerabilityProvider: d.provider, Matchers: matchers}).
		FindMatchesContext(ctx, packages, pkg.Context{})
	if err = cmp.Or(d.provider.err, err); err != nil { // grype logs most errors and continues
		return answer, d.broken(err)
	}
	for _, m := range found.Sorted() {
		answer.Matches = append(answer.Matches, scan.Match{
			Component: string(m.Package.ID), By: by(m.Details, guessed[m.Package.ID]), Vulnerability: read(&m.Vulnerability),
		})
	}
	return answer, nil
}

// by returns how a match was made.
func by(details match.Details, guessed bool) scan.By {
	isCPE := func(d match.Detail) bool { return d.Type == match.CPEMatch }
	switch {
	case !slices.ContainsFunc(details, isCPE):
		return scan.ByPackage
	case guessed:
		return scan.ByName
	}
	return scan.ByCPE
}

func read(v *vulnerability.Vulnerability) scan.Vulnerability {
	found := scan.Vulnerability{ID: v.ID, FixState: fixState(v.Fix.State), FixedIn: v.Fix.Versions, Severity: "unknown"}
	for _, related := range v.RelatedVulnerabilities {
		if related.ID != v.ID {
			found.Aliases = append(found.Aliases, related.ID)
		}
	}
	slices.Sort(found.Aliases)
	found.Aliases = slices.Compact(found.Aliases)
	about := v.Metadata
	if about == nil {
		return found
	}
	if about.Severity != "" {
		found.Severity = scan.Severity(strings.ToLower(about.Severity))
	}
	for _, cvss := range about.Cvss {
		found.CVSS = max(found.CVSS, cvss.Metrics.BaseScore)
	}
	for _, epss := range about.EPSS {
		if epss.EPSS > found.EPSS {
			found.EPSS, found.Percentile = epss.EPSS, epss.Percentile
		}
	}
	found.KEV = len(about.KnownExploited) > 0
	found.URL, found.Description = about.DataSource, about.Description
	return found
}

func fixState(state vulnerability.FixState) string {
	if state == "" {
		return string(vulnerability.FixStateUnknown)
	}
	return string(state)
}
