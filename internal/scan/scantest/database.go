// Package scantest writes vulnerability databases for tests. It uses grype's own writer, so
// both libre and grype can read them.
package scantest

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/syft/syft/cpe"
)

// Record is a vulnerability of one package.
type Record struct {
	ID       string
	Aliases  []string
	Severity string // critical, high, medium, low, negligible; high if empty
	CVSS     string // vector, such as CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H
	EPSS     float64
	KEV      bool

	Ecosystem string // of the package, in syft's words: go-module, npm, python, deb; empty if the record is by CPE
	Package   string
	CPE       string // cpe:2.3:a:VENDOR:PRODUCT:*:…
	Distro    string // of a deb or apk package: debian 12

	Affected    string // range of versions: < 1.2.3, or >= 1.0, < 1.2
	FixedIn     string // version; empty if there is none
	Format      string // of versions; if it is empty, found from the ecosystem
	Description string
}

// Write writes a database of records into a folder. built is the time at which it was made.
func Write(dir string, built time.Time, records ...Record) error {
	w, err := v6.NewWriter(v6.Config{DBDirPath: dir})
	if err != nil {
		return err
	}
	for _, record := range records {
		if err := add(w, record); err != nil {
			w.Close()
			return fmt.Errorf("writing %s: %w", record.ID, err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := Alter(dir, "UPDATE db_metadata SET build_timestamp = ?", built.UTC().Round(time.Second)); err != nil {
		return err
	}
	return v6.Hydrater()(dir)
}

// Alter runs a statement on the database in a folder, to break it or to make it old.
func Alter(dir, statement string, values ...any) error {
	db, err := v6.NewLowLevelDB(filepath.Join(dir, v6.VulnerabilityDBFileName), false, true, false)
	if err != nil {
		return err
	}
	if err := db.Exec(statement, values...).Error; err != nil {
		return err
	}
	connections, err := db.DB()
	if err != nil {
		return err
	}
	return connections.Close()
}

func add(w v6.ReadWriter, record Record) error {
	vulnerability := record.vulnerability()
	if err := w.AddVulnerabilities(vulnerability); err != nil {
		return err
	}
	if err := record.affect(w, vulnerability); err != nil {
		return err
	}
	return record.decorate(w)
}

func (r Record) vulnerability() *v6.VulnerabilityHandle {
	published := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	severities := []v6.Severity{{Scheme: v6.SeveritySchemeCHMLN, Value: cmp.Or(r.Severity, "high"), Rank: 1}}
	if r.CVSS != "" {
		version, _, _ := strings.Cut(strings.TrimPrefix(r.CVSS, "CVSS:"), "/")
		severities = append(severities, v6.Severity{Scheme: v6.SeveritySchemeCVSS, Value: v6.CVSSSeverity{Vector: r.CVSS, Version: version}, Rank: 2})
	}
	return &v6.VulnerabilityHandle{
		Name: r.ID, Status: v6.VulnerabilityActive, PublishedDate: &published, ModifiedDate: &published,
		Provider: r.provider(),
		BlobValue: &v6.VulnerabilityBlob{
			ID: r.ID, Aliases: r.Aliases, Severities: severities, Description: r.Description,
			References: []v6.Reference{{URL: "https://vulnerabilities.example/" + r.ID}},
		},
	}
}

// provider returns the origin of a record, which names the data of a distribution.
func (r Record) provider() *v6.Provider {
	captured := time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)
	name := "github"
	if r.Ecosystem == "" {
		name = "nvd"
	} else if distro, _, ok := strings.Cut(r.Distro, " "); ok {
		name = distro
	}
	return &v6.Provider{ID: name, Version: "1", Processor: "scantest", DateCaptured: &captured, InputDigest: "xxh64:0"}
}

func (r Record) affect(w v6.ReadWriter, vulnerability *v6.VulnerabilityHandle) error {
	fix := &v6.Fix{State: v6.NotFixedStatus}
	if r.FixedIn != "" {
		fix = &v6.Fix{State: v6.FixedStatus, Version: r.FixedIn}
	}
	blob := &v6.PackageBlob{Ranges: []v6.Range{{Version: v6.Version{Type: r.format(), Constraint: r.Affected}, Fix: fix}}}
	for _, id := range append([]string{r.ID}, r.Aliases...) {
		if strings.HasPrefix(id, "CVE-") {
			blob.CVEs = append(blob.CVEs, id)
		}
	}
	if r.Ecosystem == "" {
		name, err := cpe.NewAttributes(r.CPE)
		if err != nil {
			return err
		}
		return w.AddAffectedCPEs(&v6.AffectedCPEHandle{Vulnerability: vulnerability, BlobValue: blob, CPE: &v6.Cpe{
			Part: name.Part, Vendor: name.Vendor, Product: name.Product, Edition: name.Edition, Language: name.Language,
			SoftwareEdition: name.SWEdition, TargetHardware: name.TargetHW, TargetSoftware: name.TargetSW, Other: name.Other,
		}})
	}
	affected := &v6.AffectedPackageHandle{Vulnerability: vulnerability, BlobValue: blob, Package: &v6.Package{Ecosystem: r.Ecosystem, Name: r.Package}}
	if distro, version, ok := strings.Cut(r.Distro, " "); ok {
		major, minor, _ := strings.Cut(version, ".")
		affected.OperatingSystem = &v6.OperatingSystem{Name: distro, ReleaseID: distro, MajorVersion: major, MinorVersion: minor}
	}
	return w.AddAffectedPackages(affected)
}

func (r Record) format() string {
	switch {
	case r.Format != "":
		return r.Format
	case r.Ecosystem == "go-module":
		return "go"
	case r.Ecosystem == "deb":
		return "dpkg"
	case r.Ecosystem == "apk", r.Ecosystem == "python", r.Ecosystem == "rpm":
		return r.Ecosystem
	case r.Ecosystem == "":
		return ""
	}
	return "semantic"
}

func (r Record) decorate(w v6.ReadWriter) error {
	day := time.Date(2026, 1, 4, 0, 0, 0, 0, time.UTC)
	for _, id := range append([]string{r.ID}, r.Aliases...) {
		if !strings.HasPrefix(id, "CVE-") {
			continue
		}
		if r.EPSS > 0 {
			if err := w.AddEpss(&v6.EpssHandle{Cve: id, Epss: r.EPSS, Percentile: min(r.EPSS*2, 1), Date: day}); err != nil {
				return err
			}
		}
		if r.KEV {
			blob := &v6.KnownExploitedVulnerabilityBlob{Cve: id, DateAdded: &day}
			if err := w.AddKnownExploitedVulnerabilities(&v6.KnownExploitedVulnerabilityHandle{Cve: id, BlobValue: blob}); err != nil {
				return err
			}
		}
	}
	return nil
}
