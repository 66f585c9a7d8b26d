package bump

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What is higher and not taken is named, and nothing else is.
func TestHigherVersionsAreNamed(t *testing.T) {
	const another, prefix = " has another shape than CURRENT: set update.tags", " has another prefix than CURRENT: set update.tags"
	const later = " is a later tag of the same version than CURRENT: set source.tag to it, and increase packageVersion"
	tests := []struct {
		name, update, current, tags string
		want                        string // the tag that is taken, "" for none
		held                        string // "" for up to date
	}{
		{"a range", `{"range": "minor"}`, "v5.2.0", "v5.2.0 v6.0.0", "", "6.0.0 outside of update.range minor"},
		{"a range, and one that is taken", `{"range": "minor"}`, "v5.2.0", "v5.3.0 v6.0.0", "v5.3.0", "6.0.0 outside of update.range minor"},
		{"ignored", `{"ignore": ["5.*"]}`, "v5.2.0", "v5.3.0", "", "5.3.0 ignored by update.ignore"},
		{"ignored prerelease", `{"ignore": ["5.*"]}`, "v5.2.0", "v5.3.0-rc1", "", ""},
		{"sequence", `{"sequence": "minor"}`, "v5.2.0", "v5.3.0 v5.4.0", "v5.3.0", "5.4.0 after 5.3 (update.sequence)"},
		{"delay without a date", `{"delay": 3}`, "v5.2.0", "v5.3.0", "", "5.3.0 update.delay needs its date, which is unknown"},
		{"prereleases are no releases", ``, "v5.2.0", "v5.3.0-rc1 v5.3.0-preprod", "", ""},

		{"a patch level, the next of it", ``, "1.2.3-2", "1.2.3 1.2.3-2 1.2.3-3", "1.2.3-3", ""},
		{"a patch level, the next version", ``, "1.2.3-2", "1.2.3 1.2.3-2 1.2.4", "1.2.4", ""},
		{"a patch level, the next version has one", ``, "1.2.3-2", "1.2.4 1.2.4-1 1.2.4-rc1", "1.2.4-1", ""},
		{"a patch level, never down", ``, "1.2.3-2", "1.2.3 1.2.3-1 1.2.2", "", ""},
		{"a patch level of two numbers", ``, "v2024.1-1", "v2024.1 v2024.1-1 v2024.2 v2024.2-rc1", "v2024.2", ""},
		{"a patch level of four numbers", ``, "28.0.4.1-2", "28.0.4.1 28.0.4.1-2 28.0.4.2 28.0.4.3-rc.1", "28.0.4.2", ""},
		{"a patch level with a letter", ``, "1.2.3-r1", "1.2.3-r1 1.2.3-r2 1.2.4", "1.2.4", ""},
		{"a patch level that is a letter", ``, "1.0.2u", "1.0.2u 1.0.2t 1.1.0", "1.1.0", ""},
		{"the next letter", ``, "1.0.2t", "1.0.2t 1.0.2u 1.0.2", "1.0.2u", ""},
		{"a patch level by pattern", `{"tags": "v([0-9.]+(?:-[0-9]+)?)"}`, "v1.2.3-2", "v1.2.3 v1.2.3-2", "", ""},
		{"a patch level of the tag alone", ``, "v1.2.3+ds1", "v1.2.3 v1.2.3+ds1 v1.2.4", "v1.2.4", ""},
		{"a patch level of the tag alone, and the next", ``, "v1.2.3+ds1", "v1.2.4 v1.2.4+ds1 v1.2.4+ds2", "v1.2.4+ds1", ""},

		{"a patch level of two digits", ``, "1.2.3-r9", "1.2.3-r9 1.2.3-r10", "1.2.3-r10", ""},
		{"the same behind words", ``, "1.2.3-debian-12-r9", "1.2.3-debian-12-r9 1.2.3-debian-12-r10 1.2.3-debian-11-r99", "1.2.3-debian-12-r10", ""},
		{"the same of a distribution", ``, "2.0-1ubuntu9", "2.0-1ubuntu9 2.0-1ubuntu10", "2.0-1ubuntu10", ""},
		{"the same of an edition", ``, "16.1.0-ce.9", "16.1.0-ce.9 16.1.0-ce.10 16.3.0-ee.0", "16.1.0-ce.10", ""},
		{"the same of a prerelease", `{"prereleases": true}`, "v2.0.0-rc9", "v2.0.0-rc9 v2.0.0-rc10", "v2.0.0-rc10", ""},
		{"a count of builds", ``, "2.0-ls12", "2.0-ls9 2.0-ls12 2.1", "2.1", ""},
		{"a service pack", ``, "1.2.3.SP9", "1.2.3.SP9 1.2.3.SP10", "1.2.3.SP10", ""},
		{"a letter after z", ``, "1.0.2z", "1.0.2y 1.0.2z 1.0.2za", "1.0.2za", ""},
		{"a later tag of the version", ``, "v1.2.3+ds1", "v1.2.3+ds1 v1.2.3+ds2 v1.2.3+ds10", "", "v1.2.3+ds10" + later},
		{"a later build of the version", ``, "17.0.1+12", "17.0.1+9 17.0.1+12 17.0.1+13", "", "17.0.1+13" + later},
		{"a later tag by pattern", `{"tags": "([0-9.]+)(?:[+]ls[0-9]+)"}`, "1.2.3+ls9", "1.2.3+ls9 1.2.3+ls10 1.2.3+x11", "", "1.2.3+ls10" + later},
		{"a later tag, ignored", `{"ignore": ["v1.2.3+ds2"]}`, "v1.2.3+ds1", "v1.2.3+ds1 v1.2.3+ds2", "", ""},
		{"a correction", ``, "1.2.3", "1.2.3 1.2.3-hotfix1 1.2.3-hotfix2", "", "1.2.3-hotfix2" + another},
		{"a correction as Python's", ``, "v1.2.3", "v1.2.3 v1.2.3.post1", "", "v1.2.3.post1" + another},
		{"a correction that is a letter", ``, "1.2.3", "1.2.3 1.2.3a", "", "1.2.3a" + another},
		{"a correction as Java's", ``, "1.2.3.Final", "1.2.3.Final 1.2.3.SP1", "", "1.2.3.SP1" + another},
		{"a correction of the next", ``, "1.2.3", "1.2.3 1.3.0 1.3.0-p1", "1.3.0", "1.3.0-p1" + another},
		{"a correction, ignored", `{"ignore": ["*-hotfix*"]}`, "1.2.3", "1.2.3 1.2.3-hotfix1", "", ""},
		{"what is no correction", ``, "1.2.3", "1.2.3 1.2.3-1 1.2.3+build5 1.2.3-alpine3 1.2.2-p1", "", ""},
		{"of characters that no version has", ``, "1.2.3", "1.2.3 1.2.4+build5", "", "1.2.4+build5" + another},
		{"a date of more", ``, "20260115", "20260115 20260201-1 4711", "", "20260201-1" + another},
		{"a date with hyphens", ``, "2026-01-15", "2026-01-15 2026-02-01", "2026-02-01", ""},

		{"an edition", ``, "1.2.3-lts", "1.2.3-lts 1.2.3 1.3.0", "", "1.3.0" + another},
		{"an edition that goes on", ``, "1.2.3-lts", "1.2.3 1.3.0 1.3.0-lts", "1.3.0-lts", ""},
		{"an edition that is behind", ``, "1.2.3-lts", "1.3.0-lts 1.4.0", "1.3.0-lts", "1.4.0" + another},
		{"other editions", ``, "1.0-ce", "1.0-ce 1.1-ee 1.1-alpine", "", ""},
		{"a suffix that means released", ``, "1.2.3", "1.2.3 1.3.0.Final", "", "1.3.0.Final" + another},
		{"a suffix that is a number", ``, "1.2.3", "1.2.3 1.2.3-1 1.3.0-1", "", "1.3.0-1" + another},
		{"other variants", ``, "v5.3.0", "v5.4.0-preprod v5.4.0-psycopgpool v5.5.0-demo", "", ""},
		{"more parts", ``, "26", "26 26.1", "", "26.1" + another},
		{"fewer parts", ``, "v5.4.1", "v5.4.1 v5.4 v6", "", "v6" + another},
		{"an alias of fewer parts", ``, "v5.4.1", "v6 v6.0.0", "v6.0.0", ""},
		{"a year", ``, "5.4.1", "2026 5.4.1", "", "2026" + another},
		{"dates and numbers of builds", ``, "5.4.1", "5.4.1 20260101 4711", "", ""},
		{"a pattern that is out of date", `{"tags": "v([0-9]+[.][0-9]+)"}`, "v1.9", "v1.9 v1.10.0 v2.0.1", "", "v2.0.1" + another},

		{"another prefix", ``, "v1.9.0", "v1.9.0 v1.8.0 release-2.0.0 release-2.1.0", "", "release-2.1.0" + prefix},
		{"another prefix, in a folder", ``, "v1.9.0", "v1.9.0 release/2.0.0", "", "release/2.0.0" + prefix},
		{"no prefix any more", ``, "app-1.9.0", "app-1.9.0 v2.0.0", "", "v2.0.0" + prefix},
		{"a prefix for a while", ``, "app-1.9.0", "v1.0.0 app-1.1.0 app-1.9.0 v2.0.0", "", "v2.0.0" + prefix},
		{"a part of something larger", ``, "app-1.9.0", "v1.0.0 app-0.9.0 app-1.9.0 v2.0.0", "", ""},
		{"charts", ``, "v1.9.0", "chart-0.1.0 chart-2.0.0 charts-2.1.0 helm-v9.0.0", "", ""},
		{"another series", ``, "v1.9.0", "other-0.1.0 other-2.0.0", "", ""},
		{"packages", ``, "v1.9.0", "@scope/pkg@2.0.0 pkg/v2.0.0 sdk-2.0.0", "", ""},
		{"the program of a package", ``, "@scope/pkg@1.0.0", "@scope/pkg@1.0.0 v2.0.0", "", ""},
		{"refused", ``, "v1.9.0", "v2.0.0$(x) v2.0.0..1", "", ""},
		{"ignored, of another shape", `{"ignore": ["6"]}`, "v5.4.1", "v5.4.1 v6", "", ""},
	}
	for _, test := range tests {
		version := strings.TrimPrefix(regexp.MustCompile(`[+].*`).ReplaceAllString(test.current, ""), "v")
		for _, prefix := range []string{"app-", "@scope/pkg@"} {
			version = strings.TrimPrefix(version, prefix)
		}
		for range 2 {
			got := decide(t, Input{Rule: mustRule(t, test.update), Version: version, Tag: test.current, Tags: tags(test.tags)})
			tag := got.Tag
			if got.Kind != NewVersion {
				tag = ""
			}
			held := strings.ReplaceAll(test.held, "CURRENT", test.current)
			if tag != test.want || got.HeldBack != held || (got.Kind == Held) != (test.want == "" && held != "") {
				t.Errorf("%s: %s %q, held %q; expected %q, %q", test.name, got.Kind, tag, got.HeldBack, test.want, held)
			}
		}
	}
}

func TestHeldByWhatIsMissingHere(t *testing.T) {
	in := Input{Version: "0.22.0", Tag: "v0.22.0", Tags: tags("v0.22.0 v0.40.4 v0.40.3"), Release: func(tag string) (*Release, error) {
		return map[string]*Release{"v0.40.4": {Needs: "needs go 1.27, this machine has 1.26.8"}, "v0.40.3": {Unfit: "retracted: leaks"}}[tag], nil
	}}
	got := decide(t, in)
	if got.Kind != Held || got.Reason != "0.40.4 needs go 1.27, this machine has 1.26.8" || got.Newest != "0.40.4" {
		t.Errorf("%+v", got)
	}
	// What is retracted is for nobody.
	in.Tags = tags("v0.22.0 v0.40.3")
	if got := decide(t, in); got.Kind != None || got.HeldBack != "" || got.Newest != "0.22.0" {
		t.Errorf("%+v", got)
	}
}

// In real repositories, at the newest version there is nothing else to name.
func TestNothingIsNamedBesideTheNewestOfRealRepositories(t *testing.T) {
	for repository, current := range map[string]string{
		"suitenumerique_docs": "v5.4.1", "suitenumerique_drive": "v0.21.1", "suitenumerique_meet": "v1.27.0", "miniflux_v2": "2.3.3",
	} {
		for _, update := range []string{``, `{"tags": "^v?([0-9]+\\.[0-9]+\\.[0-9]+)$"}`} {
			got := decide(t, Input{Rule: mustRule(t, update), Version: strings.TrimPrefix(current, "v"), Tag: current, Tags: upstreamTags(t, repository)})
			if got.Kind != None || got.HeldBack != "" {
				t.Errorf("%s %s: %s %q", repository, update, got.Kind, got.HeldBack)
			}
		}
	}
	got := decide(t, Input{Version: "0.0.2", Tag: "@gouvfr-lasuite/drive-sdk@0.0.2", Tags: upstreamTags(t, "suitenumerique_drive")})
	if got.HeldBack != "" {
		t.Errorf("a package: %q", got.HeldBack)
	}
}

// A repository may have thousands of tags that the rule does not read.
func TestManyTagsOfOtherShapes(t *testing.T) {
	all := tags("app-1.0.0 app-2.0.0")
	for i := range 20000 {
		all = append(all, Tag{Name: fmt.Sprintf("v0.%d.0", i)}, Tag{Name: fmt.Sprintf("app-%d-x", i)})
	}
	began := time.Now()
	decide(t, Input{Version: "2.0.0", Tag: "app-2.0.0", Tags: all})
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}
