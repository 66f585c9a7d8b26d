package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/ui"
	"github.com/libresh/libre/internal/web"
)

type scanOptions struct {
	images      imageOptions // or references
	registry    registryOptions
	published   bool
	every       bool
	database    string
	failOn      string
	onlyFixable bool
	external    bool
	issues      bool
	format      string
	json        bool
}

func (e *env) scanCommand() *cobra.Command {
	var o scanOptions
	cmd := &cobra.Command{
		Use:   "scan SELECTION... | REFERENCE... | --all | --published",
		Short: "Find known vulnerabilities in images",
		Long: `Find the known vulnerabilities of what images contain. libre builds the selected
images that are not built. With --published, or with references, it scans what a
registry has: it reads the attested SBOMs, and fetches no layer. It does not
scan an image whose signature does not verify, but names it.

The database is grype's. libre keeps it in its cache, and asks for a newer one
every two hours. A database that is older than five days, or broken, is an
error. --db, or scan.database in libre.yaml, names a mirror, a file or a
folder.

The table has: severity, vulnerability, component, fixed in, EPSS (how probable
it is that it is exploited within 30 days; KEV says that it is exploited
already), the path from the image to the component, and the statement that
answers it. "by name" marks a component that was found by its name alone: the
vulnerability may be one of another program with this name. Findings that
patches or statements in apps/APP/vex.yaml settle come last.

--issues opens an issue for each app in which something is found, with the
commands that answer it. A later scan updates it, names new findings in a
comment, and closes it when nothing is left. Tokens are those of bump.

Exit code 1 if --fail-on is met, or if an image or the database could not be
read, 3 if images could not be built, 4 if a registry refuses access.`,
		Example: "  libre scan docs\n  libre scan --published --fail-on high\n  libre scan registry.example/lasuite/docs-default:5.4.1-1 --key cosign.pub\n  libre scan --all --only-fixable --db /srv/vulnerability.db -o sarif > scan.sarif",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.images.selection = args
			return e.runScan(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.images.all, "all", false, "select every image")
	addOutputFlag(cmd, &o.images.output)
	o.registry.addFlags(cmd)
	o.registry.signer.addFlags(cmd)
	flags.BoolVar(&o.published, "published", false, "scan the newest published release of each app and variant, of all or of the selected ones")
	flags.BoolVar(&o.every, "every-release", false, "with --published: scan older releases too")
	flags.StringVar(&o.database, "db", "", "use the vulnerability database in `DIR|FILE|URL` (default: scan.database in libre.yaml, else grype's)")
	flags.StringVar(&o.failOn, "fail-on", "", "exit 1 if a finding that is not settled has this `SEVERITY` or a worse one: critical, high, medium, low or negligible")
	flags.BoolVar(&o.onlyFixable, "only-fixable", false, "leave out vulnerabilities that no version fixes")
	flags.BoolVar(&o.external, "external", false, "scan with the program that scan.command in libre.yaml names; its output is the result")
	flags.BoolVar(&o.issues, "issues", false, "with --published: keep an issue for each app at the forge of origin, with what is found")
	flags.StringVarP(&o.format, "output-format", "o", "table", "print as `FORMAT`: table, sarif, cyclonedx-vdr or markdown")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	e.addSummary(cmd)
	return cmd
}

func (o *scanOptions) check() (failOn scan.Severity, err error) {
	switch o.format {
	case "table", "sarif", "cyclonedx-vdr", "markdown":
	default:
		return "", usageError{fmt.Errorf("format %q, expected table, sarif, cyclonedx-vdr or markdown", o.format)}
	}
	if o.json && o.format != "table" {
		return "", usageError{fmt.Errorf("--json and -o %s: give one of them", o.format)}
	}
	if o.every && !o.published {
		return "", usageError{errors.New("--every-release needs --published")}
	}
	if o.issues && (!o.published || o.external) {
		return "", usageError{errors.New("--issues needs --published, and libre's own scanner")}
	}
	if part := slices.IndexFunc(o.images.selection, func(word string) bool { return strings.Contains(word, "/") }); o.issues && part >= 0 {
		return "", usageError{fmt.Errorf("--issues is for whole apps, not %s: an issue has all findings of an app", o.images.selection[part])}
	}
	if o.issues && o.onlyFixable {
		return "", usageError{errors.New("--issues and --only-fixable: give one of them, because an issue has all findings of an app")}
	}
	if o.failOn != "" {
		if failOn, err = scan.ParseSeverity(o.failOn); err != nil {
			return "", usageError{fmt.Errorf("--fail-on: %w", err)}
		}
	}
	return failOn, nil
}

func (e *env) runScan(ctx context.Context, o scanOptions) error {
	failOn, err := o.check()
	if err != nil {
		return err
	}
	s := &scanner{env: e, options: o}
	defer s.close()
	if s.ws, err = e.scanWorkspace(o); err != nil {
		return err
	}
	if o.external {
		return s.runCommand(ctx)
	}
	if s.matcher, s.database, err = e.vulnerabilities(ctx, s.ws, o.database); err != nil { // before minutes of building
		return err
	}
	if err := s.collect(ctx); err != nil {
		return err
	}
	report := &scan.Report{Database: s.database.Database, Images: []scan.Image{}}
	s.read(ctx, func(image scanned, read contents) {
		found, err := s.matcher.Scan(ctx, s.database, image.Image, read.document, read.answers)
		if err != nil {
			s.failed = append(s.failed, err)
			return
		}
		report.Images = append(report.Images, found)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, err := range s.failed {
		report.Failed = append(report.Failed, text.Line(err.Error()))
	}
	if o.onlyFixable {
		report.Keep((*scan.Finding).Fixable)
	}
	if err := s.print(report); err != nil {
		return err
	}
	if o.issues {
		if err := s.reportIssues(ctx, report); err != nil {
			return err
		}
	}
	return s.verdict(report, failOn)
}

// vulnerabilities opens the vulnerability database: the one that is named, else that of the
// settings. Close the matcher after use.
func (e *env) vulnerabilities(ctx context.Context, ws *workspace, database string) (*scan.Matcher, *scan.Opened, error) {
	matcher, err := scan.NewMatcher(ws.settings.Limits.Memory)
	if err != nil {
		return nil, nil, err
	}
	store := &scan.Store{
		Dir: filepath.Join(ws.cacheDir, "vulnerabilities"), Matcher: matcher, MaxAge: ws.settings.Scan.MaxAge,
		Transport: web.NewTransport(web.Options{Authorities: ws.settings.CA}), Now: time.Now, Note: e.Notef,
	}
	opened, err := store.Open(ctx, cmp.Or(database, ws.settings.Scan.Database))
	if err != nil {
		matcher.Close()
		return nil, nil, err
	}
	return matcher, opened, nil
}

// verdict returns the error of a scan, which is already printed.
func (s *scanner) verdict(report *scan.Report, failOn scan.Severity) error {
	s.printFailed()
	if err := credentialsError(s.failed); err != nil {
		return err
	}
	if failOn != "" {
		bad := report.Tally(func(f *scan.Finding) bool { return !f.Settled() && f.Severity.AtLeast(failOn) }).Vulnerabilities
		if bad > 0 {
			return fmt.Errorf("%s with severity %s or worse", countVulnerabilities(bad), failOn)
		}
	}
	switch {
	case len(s.failed) == 0:
		return nil
	case s.unbuilt == len(s.failed):
		return someFailed(failedOf(s.unbuilt, s.unbuilt+len(report.Images), "image"))
	}
	return fmt.Errorf("some images could not be scanned (%s above), so findings may be missing", ui.Count(len(s.failed), "error"))
}

func (s *scanner) printFailed() {
	for _, err := range s.failed {
		s.Errorf("%s", err)
	}
}

func countVulnerabilities(n int) string {
	if n == 1 {
		return "1 vulnerability"
	}
	return fmt.Sprintf("%d vulnerabilities", n)
}
