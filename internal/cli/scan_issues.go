package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/bump/propose"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/scan"
)

// reportIssues keeps one issue per app with the findings that nothing settles.
func (s *scanner) reportIssues(ctx context.Context, report *scan.Report) error {
	repository, err := propose.OpenRepository(ctx, s.ws.dir)
	if err != nil {
		return err
	}
	client, err := s.ws.upstream()
	if err != nil {
		return err
	}
	tracker, err := propose.NewTracker(ctx, repository, propose.ProposerConfig{Client: client, Token: client.Token, Forge: s.ws.settings.Forge, Getenv: os.Getenv})
	if err != nil {
		return err
	}
	byApp := s.reportByApp(report)
	for _, app := range slices.Sorted(maps.Keys(byApp)) {
		outcome, err := tracker.Report(ctx, issueReport(app, byApp[app], len(s.failed) > 0))
		if err != nil {
			return err
		}
		if outcome.Kind != propose.Needless {
			s.Notef("%s", outcome)
		}
	}
	return nil
}

// reportByApp returns the images of each app. The list is empty for an app without
// published images.
func (s *scanner) reportByApp(report *scan.Report) map[string]*scan.Report {
	owner := map[string]string{} // name of an image → app
	byApp := map[string]*scan.Report{}
	for _, id := range catalog.IDs(s.apps) {
		owner[id.Name()] = id.App
		byApp[id.App] = &scan.Report{Database: report.Database}
	}
	for _, image := range report.Images {
		name, _, _ := strings.Cut(image.Name[strings.LastIndex(image.Name, "/")+1:], ":")
		if of := byApp[owner[name]]; of != nil {
			of.Images = append(of.Images, image)
		}
	}
	return byApp
}

// issueReport is what an issue says: the findings, and what to type.
func issueReport(app string, report *scan.Report, partial bool) propose.Report {
	ids := map[string]bool{}
	report.Keep(func(f *scan.Finding) bool { return !f.Settled() })
	for _, image := range report.Images {
		for _, f := range image.Findings {
			if plainID().MatchString(f.ID) {
				ids[f.ID] = true
			}
		}
	}
	open, settled := findingTables(report)
	return propose.Report{
		App: app, Findings: slices.Sorted(maps.Keys(ids)), Partial: partial,
		Body: scanMarkdown(report, open, settled) + "\n" + answerCommands(app, report),
	}
}

// plainID matches the IDs that databases use. Other IDs appear only in the table.
var plainID = lazyregexp.New(`^[0-9A-Za-z._-]+$`)

// answerCommands lists the commands that answer findings, in Markdown. Updates of the
// package set or a base image fix what these contain. Upstream's releases fix everything
// else.
func answerCommands(app string, report *scan.Report) string {
	var lines []string
	add := func(line string) {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	for _, image := range report.Images {
		for _, f := range image.Findings {
			if !plainID().MatchString(f.ID) {
				continue
			}
			switch f.Component.Type {
			case "nix", "deb", "apk", "rpm":
				add("libre bump --inputs   # the package set and base images")
				add("libre bump --repack " + app + "   # if they have the fix already")
			default:
				add("libre bump " + app + "   # if upstream has released a fix")
				add(fmt.Sprintf("libre patch %s COMMIT --fixes %s   # before upstream releases it", app, f.ID))
			}
			add(fmt.Sprintf("libre vex add %s %s --status not_affected --justification …", app, f.ID))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	const most = 30
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Sprintf("# and %d more", more))
	}
	var b strings.Builder
	b.WriteString("What answers a finding:\n\n")
	for _, line := range lines {
		b.WriteString("    " + line + "\n")
	}
	return b.String()
}
