package match

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/scan/scantest"
)

var built = time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)

func write(t *testing.T, records ...scantest.Record) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := scantest.Write(dir, built, records...); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, dir string) *database {
	t.Helper()
	d, err := openDatabase(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

var records = []scantest.Record{
	{ID: "GHSA-aaaa-bbbb-cccc", Aliases: []string{"CVE-2026-1001"}, Severity: "critical", CVSS: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", EPSS: 0.42, KEV: true,
		Ecosystem: "go-module", Package: "golang.org/x/net", Affected: "< 0.40.0", FixedIn: "0.40.0", Description: "reads on"},
	{ID: "CVE-2026-1002", Severity: "low", CPE: "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*", Affected: "< 3.0.18", FixedIn: "3.0.18"},
	{ID: "CVE-2026-1003", Severity: "medium", Ecosystem: "deb", Package: "openssl", Distro: "debian 12", Affected: "< 3.0.17-2", FixedIn: "3.0.17-2"},
	{ID: "GHSA-npm0-npm0-npm0", Ecosystem: "npm", Package: "@babel/core", Affected: "< 7.0.1"},
	{ID: "CVE-2026-1005", CPE: "cpe:2.3:a:haxx:curl:*:*:*:*:*:*:*:*", Affected: ">= 8.0, < 8.9"},
	{ID: "CVE-2026-1006", Ecosystem: "go-module", Package: "stdlib", Affected: "< 1.26.9", FixedIn: "1.26.9"},
	{ID: "GHSA-pyth-pyth-pyth", Ecosystem: "python", Package: "requests", Affected: "< 2.32.0", FixedIn: "2.32.0"},
}

// Each kind of component is found by the keys of its ecosystem.
func TestMatches(t *testing.T) {
	d := open(t, write(t, records...))
	for _, test := range []struct {
		what string
		c    scan.Component
		want string // ID, how, fixed in
	}{
		{"Go module", scan.Component{Name: "golang.org/x/net", Version: "v0.39.0", Type: "go-module", PURL: "pkg:golang/golang.org/x/net@v0.39.0"}, "GHSA-aaaa-bbbb-cccc package 0.40.0"},
		{"Go module, fixed", scan.Component{Name: "golang.org/x/net", Version: "v0.40.0", Type: "go-module", PURL: "pkg:golang/golang.org/x/net@v0.40.0"}, ""},
		{"Go module without a type", scan.Component{Name: "golang.org/x/net", Version: "v0.39.0", PURL: "pkg:golang/golang.org/x/net@v0.39.0"}, "GHSA-aaaa-bbbb-cccc package 0.40.0"},
		{"standard library", scan.Component{Name: "stdlib", Version: "go1.26.8", Type: "go-module", PURL: "pkg:golang/stdlib@1.26.8"}, "CVE-2026-1006 package 1.26.9"},
		{"npm scope", scan.Component{Name: "@babel/core", Version: "7.0.0", Type: "npm", PURL: "pkg:npm/%40babel/core@7.0.0"}, "GHSA-npm0-npm0-npm0 package "},
		{"Python", scan.Component{Name: "requests", Version: "2.31.0", Type: "python", PURL: "pkg:pypi/requests@2.31.0"}, "GHSA-pyth-pyth-pyth package 2.32.0"},
		{"Debian's own name", scan.Component{Name: "openssl", Version: "3.0.17-1", Type: "deb", PURL: "pkg:deb/debian/openssl@3.0.17-1?arch=amd64&distro=debian-12"}, "CVE-2026-1003 package 3.0.17-2"},
		{"Debian's source package", scan.Component{Name: "libssl3", Version: "3.0.17-1", Type: "deb", PURL: "pkg:deb/debian/libssl3@3.0.17-1?arch=amd64&distro=debian-12&upstream=openssl"}, "CVE-2026-1003 package 3.0.17-2"},
		{"another Debian", scan.Component{Name: "openssl", Version: "3.0.17-1", Type: "deb", PURL: "pkg:deb/debian/openssl@3.0.17-1?arch=amd64&distro=debian-11"}, ""},
		{"store path with a CPE", scan.Component{Name: "curl", Version: "8.8.0", Type: "nix", PURL: "pkg:nix/curl@8.8.0", CPEs: []string{"cpe:2.3:a:haxx:curl:8.8.0:*:*:*:*:*:*:*"}}, "CVE-2026-1005 cpe "},
		{"CPE without a version", scan.Component{Name: "curl", Version: "8.8.0", Type: "nix", CPEs: []string{"cpe:2.3:a:haxx:curl:*:*:*:*:*:*:*:*"}}, "CVE-2026-1005 cpe "},
		{"store path without a CPE", scan.Component{Name: "openssl", Version: "3.0.17", Type: "nix", PURL: "pkg:nix/openssl@3.0.17"}, "CVE-2026-1002 name 3.0.18"},
		{"application with a CPE", scan.Component{Name: "curl", Version: "8.8.0", Type: "application", PURL: "pkg:github/curl/curl@8.8.0", CPEs: []string{"cpe:2.3:a:haxx:curl:8.8.0:*:*:*:*:*:*:*"}}, "CVE-2026-1005 cpe "},
		{"Go module with a CPE", scan.Component{Name: "example.org/curl", Version: "v8.8.0", Type: "go-module", PURL: "pkg:golang/example.org/curl@v8.8.0", CPEs: []string{"cpe:2.3:a:haxx:curl:8.8.0:*:*:*:*:*:*:*"}}, "CVE-2026-1005 cpe "},
		{"a CPE of another product", scan.Component{Name: "openssl", Version: "3.0.17", Type: "nix", CPEs: []string{"cpe:2.3:a:other:ssl:3.0.17:*:*:*:*:*:*:*"}}, ""},
	} {
		test.c.ID = "x"
		got, err := d.answer(t.Context(), []scan.Component{test.c})
		if err != nil {
			t.Fatalf("%s: %v", test.what, err)
		}
		var all []string
		for _, m := range got.Matches {
			if m.Component != "x" {
				t.Errorf("%s: found in %q", test.what, m.Component)
			}
			all = append(all, fmt.Sprintf("%s %s %s", m.ID, m.By, strings.Join(m.FixedIn, ",")))
		}
		if found := strings.Join(all, "; "); found != test.want || len(got.Unmatched) > 0 {
			t.Errorf("%s: got %q, want %q; unmatched %v", test.what, found, test.want, got.Unmatched)
		}
	}
}

func TestMatchHasWhatTheDatabaseKnows(t *testing.T) {
	got, err := open(t, write(t, records...)).answer(t.Context(), []scan.Component{{ID: "n", Name: "golang.org/x/net", Version: "v0.1.0", Type: "go-module"}})
	if err != nil || len(got.Matches) != 1 {
		t.Fatal(got, err)
	}
	found := got.Matches[0].Vulnerability
	want := scan.Vulnerability{
		ID: "GHSA-aaaa-bbbb-cccc", Aliases: []string{"CVE-2026-1001"}, Severity: "critical", CVSS: 9.8, EPSS: 0.42, Percentile: 0.84, KEV: true,
		FixState: "fixed", FixedIn: []string{"0.40.0"}, URL: "https://vulnerabilities.example/GHSA-aaaa-bbbb-cccc", Description: "reads on",
	}
	if fmt.Sprintf("%+v", found) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v\nwant %+v", found, want)
	}
	if !got.Database.Built.Equal(built) || !strings.HasPrefix(got.Database.Schema, "6.") {
		t.Errorf("database: %+v", got.Database)
	}
}

// Components that no database can have are named, not ignored.
func TestUnmatchedComponents(t *testing.T) {
	d := open(t, write(t, records...))
	got, err := d.answer(t.Context(), []scan.Component{
		{ID: "no version", Name: "rootfs", Type: "nix"},
		{ID: "no name", Version: "1", Type: "npm"},
		{ID: "no ecosystem", Name: "thing", Version: "1"},
		{ID: "foreign ecosystem", Name: "thing", Version: "1", Type: "moon", PURL: "pkg:moon/thing@1"},
		{ID: "bad CPE", Name: "thing", Type: "nix", CPEs: []string{"cpe:2.3:a"}},
		{ID: "fine", Name: "thing", Version: "1", Type: "nix"},
	})
	want := []string{"no version", "no name", "no ecosystem", "foreign ecosystem", "bad CPE"}
	if err != nil || !slices.Equal(got.Unmatched, want) {
		t.Errorf("got %q, want %q: %v", got.Unmatched, want, err)
	}
}

// Names and versions from strangers break nothing, and do not hide findings in other
// components.
func TestHostileComponents(t *testing.T) {
	d := open(t, write(t, records...))
	components := []scan.Component{{ID: "net", Name: "golang.org/x/net", Version: "v0.1.0", Type: "go-module"}}
	for i, bad := range []string{"'; DROP TABLE packages; --", "\x1b[2J\x00", "%s%n", strings.Repeat("a", 100_000), "../../etc", "\xff\xfe", "🦆", "*", "?", "cpe:2.3:a:*:*:*"} {
		for _, kind := range []string{"nix", "npm", "deb", "go-module", "java-archive", "python", "rpm", "apk", ""} {
			components = append(components, scan.Component{
				ID: fmt.Sprint(i, kind), Name: bad, Version: bad, Type: kind, CPEs: []string{bad, "cpe:2.3:a:" + bad + ":x:*:*:*:*:*:*:*:*"},
				PURL: "pkg:" + kind + "/" + bad + "@" + bad + "?upstream=" + bad + "&distro=" + bad,
			})
		}
		for _, known := range []scan.Component{ // components whose versions are compared
			{Name: "golang.org/x/net", Type: "go-module"}, {Name: "requests", Type: "python"}, {Name: "@babel/core", Type: "npm"},
			{Name: "openssl", Type: "deb", PURL: "pkg:deb/debian/openssl@1?distro=debian-12"}, {Name: "curl", Type: "nix", CPEs: []string{"cpe:2.3:a:haxx:curl:*:*:*:*:*:*:*:*"}},
		} {
			known.ID, known.Version = fmt.Sprint(i, known.Name), bad
			components = append(components, known)
		}
	}
	got, err := d.answer(t.Context(), components)
	if err != nil || !slices.ContainsFunc(got.Matches, func(m scan.Match) bool { return m.Component == "net" }) {
		t.Errorf("got %+v, %v", got.Matches, err)
	}
}

// A database with packages and no CPEs is complete.
func TestDatabaseOfPackagesAlone(t *testing.T) {
	d, err := openDatabase(write(t, scantest.Record{ID: "CVE-2026-1", Ecosystem: "go-module", Package: "golang.org/x/net", Affected: "< 1.0.0"}), false)
	if err != nil {
		t.Fatal(err)
	}
	d.close()
}

// A database that cannot be read is an error, never a scan that finds nothing.
func TestBrokenDatabases(t *testing.T) {
	for _, test := range []struct {
		what  string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		{"missing", func(t *testing.T, dir string) { remove(t, dir) }, "there is no vulnerability.db"},
		{"empty file", func(t *testing.T, dir string) { overwrite(t, dir, "") }, "vulnerability.db is not an SQLite database"},
		{"a web page", func(t *testing.T, dir string) { overwrite(t, dir, "<html>login</html>") }, "vulnerability.db is not an SQLite database"},
		{"only a header", func(t *testing.T, dir string) { overwrite(t, dir, "SQLite format 3\x00") }, "cannot be read"},
		{"cut off", func(t *testing.T, dir string) { cut(t, dir) }, "cannot be read"},
		{"no tables", alter("DROP TABLE db_metadata"), "cannot be read"},
		{"another schema", alter("UPDATE db_metadata SET model = 5"), "not a v6 database"},
		{"a newer schema", alter("UPDATE db_metadata SET model = 7"), "not a v6 database"},
		{"no vulnerability", alter("DELETE FROM affected_package_handles; DELETE FROM affected_cpe_handles; DELETE FROM vulnerability_aliases; DELETE FROM vulnerability_handles"), "the vulnerability database is empty"},
		{"no packages", alter("DELETE FROM affected_package_handles; DELETE FROM affected_cpe_handles"), "its vulnerabilities name no package"},
		{"without packages", alter("DROP TABLE affected_package_handles"), "no such table: affected_package_handles"},
		{"broken record", alter("UPDATE blobs SET value = '{'"), "unable to unmarshal"},
		{"missing record", alter("DELETE FROM blobs"), "cannot be read"},
	} {
		dir := write(t, records...)
		test.spoil(t, dir)
		d, err := openDatabase(dir, false)
		if err == nil {
			_, err = d.answer(t.Context(), []scan.Component{{ID: "n", Name: "golang.org/x/net", Version: "v0.1.0", Type: "go-module"}})
			d.close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line with %q", test.what, err, test.want)
		}
	}
}

func alter(statement string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := scantest.Alter(dir, statement); err != nil {
			t.Fatal(err)
		}
	}
}

func file(dir string) string { return filepath.Join(dir, "vulnerability.db") }

func remove(t *testing.T, dir string) {
	if err := os.Remove(file(dir)); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, dir, content string) {
	if err := os.WriteFile(file(dir), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func cut(t *testing.T, dir string) {
	if err := os.Truncate(file(dir), 20_000); err != nil {
		t.Fatal(err)
	}
}
