package bump

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustRule(t *testing.T, update string) *Rule {
	t.Helper()
	rule, err := ParseRule(json.RawMessage(update))
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// tags makes tags of words; name=commit gives one its commit.
func tags(words string) []Tag {
	var all []Tag
	for _, word := range strings.Fields(words) {
		name, commit, _ := strings.Cut(word, "=")
		all = append(all, Tag{name, commit})
	}
	return all
}

var now = time.Date(2026, 7, 20, 12, 0, 0, 0, time.UTC)

func daysAgo(n int) time.Time { return now.AddDate(0, 0, -n) }

func decide(t *testing.T, in Input) *Decision {
	t.Helper()
	if in.Rule == nil {
		in.Rule = mustRule(t, "")
	}
	in.Now = now
	if in.PackageVersion == 0 {
		in.PackageVersion = 3
	}
	decision, err := Decide(in)
	if err != nil {
		t.Fatal(err)
	}
	return decision
}

func verdicts(d *Decision) map[string]string {
	all := map[string]string{}
	for _, c := range d.Candidates {
		all[c.Tag] = c.Verdict
	}
	return all
}

// TestRules: the tag that is chosen by each rule, "" for none.
func TestRules(t *testing.T) {
	const lines = "v5.2.0 v5.2.5 v5.3.0 v5.3.2 v5.4.1 v6.0.0 v6.0.3 v6.1.0 v7.0.0"
	tests := []struct {
		name, update, current, tags, want string
	}{
		{"newest", ``, "v5.2.1", lines, "v7.0.0"},
		{"nothing newer", ``, "v7.0.0", lines, ""},
		{"never down", ``, "v8.0.0", lines, ""},
		{"order is numeric", ``, "1.9.0", "1.9.0 1.10.0 1.9.9", "1.10.0"},

		{"v or not", ``, "1.0", "1.0 v1.1", "v1.1"},
		{"not or v", ``, "v1.0", "v1.0 1.1", "1.1"},
		{"v behind a prefix", ``, "app-v1.0", "app-v1.0 app-1.1 v1.2", "app-1.1"},
		{"a prefix that ends in v", ``, "dev1.0", "dev1.0 de1.2 dev1.1", "dev1.1"},
		{"same version twice, like ours", ``, "2.3.0", "v2.3.3 2.3.3", "2.3.3"},
		{"same version twice, like ours with v", ``, "v2.3.0", "v2.3.3 2.3.3", "v2.3.3"},
		{"an alias of fewer numbers", ``, "v5.4.1", "v6 v6.0 v6.0.0 v5", "v6.0.0"},
		{"more numbers", ``, "1.10", "1.10 1.10.1", "1.10.1"},
		{"fewer numbers", ``, "28.0.4.1", "28.0.4.1 28.1", "28.1"},
		{"a date is no version", ``, "1.10", "1.10 20260101 1.11", "1.11"},
		{"a date is", ``, "20250101", "20260101 1.11", "20260101"},
		{"suffix", ``, "1.0-ce", "1.0-ce 1.1 1.1-ee 1.1-ce 1.2-ce-rc1", "1.1-ce"},
		{"sibling components", ``, "v1.0.0", "v1.0.0 chart-1.2.3 @scope/pkg@2.0.0 pkg/v3.0.0 v1.1.0-preprod v.4.0.0 v1.0.1", "v1.0.1"},
		{"sibling of a component", ``, "chart-1.0.0", "v3.0.0 chart-1.0.1 charts-1.0.2 chart-1.0.3-preprod", "chart-1.0.1"},
		{"scoped package", ``, "@scope/pkg@1.0.0", "@scope/pkg@1.1.0 @scope/other@1.2.0 v1.3.0", "@scope/pkg@1.1.0"},
		{"package below a folder", ``, "sdk/v1.0.0", "sdk/v1.1.0 sdk/sub/v1.2.0", "sdk/v1.1.0"},

		{"pattern", `{"tags": "^release-([0-9.]+)$"}`, "release-1.0", "v2.0 release-1.1 release-1.2x", "release-1.1"},
		{"pattern is anchored", `{"tags": "v([0-9]+[.][0-9]+)"}`, "v1.0", "v1.1.5 xv1.2 v1.1", "v1.1"},
		{"pattern with another shape", `{"tags": "v(1|2.x)|n([0-9.]+)"}`, "v1", "n3 v2.x", "v2.x"},

		{"transform", `{"transform": {"_": ".", "REL.": "", "REL_": ""}}`, "REL_16_1", "REL_16_1 REL_16_2 REL_17_BETA1", "REL_16_2"},
		{"transform, the longest first", `{"transform": {"+": "-", "+build": ""}, "tags": "([0-9.]+)"}`, "1.0+build", "1.1+build 1.2+b", "1.1+build"},
		{"version alphabet", ``, "v1.0", "v1.1+build", ""},
		{"transformed to the alphabet", `{"transform": {"+incompatible": ""}}`, "v1.0", "v1.1+incompatible", "v1.1+incompatible"},

		{"candidate after final", ``, "v30.0.0", "v31.0.0-rc1 v31.0.0 v31.0.0-rc2", "v31.0.0"},
		{"no candidates", ``, "v31.0.0", "v32.0.0-rc1 v32.0.0rc1 v32.0.0.beta2 v32.0.0-alpha.1 v31.0.0", ""},
		{"from a candidate to the final", ``, "v31.0.0-rc1", "v31.0.0-rc1 v31.0.0-rc2 v31.0.0", "v31.0.0"},
		{"from a candidate, not to a candidate", ``, "v31.0.0-rc1", "v31.0.0-rc1 v31.0.0-rc2", ""},
		{"candidates", `{"prereleases": true}`, "v31.0.0", "v32.0.0-rc.2 v32.0.0-rc.10 v33.0.0-preprod", "v32.0.0-rc.10"},
		{"candidate below final", `{"prereleases": true}`, "v31.0.0", "v32.0.0-rc.2 v32.0.0", "v32.0.0"},

		{"patch", `{"range": "patch"}`, "v5.2.0", lines, "v5.2.5"},
		{"minor", `{"range": "minor"}`, "v5.2.0", lines, "v5.4.1"},
		{"major", `{"range": "major"}`, "v5.2.0", lines, "v7.0.0"},
		{"minor below 1", `{"range": "minor"}`, "0.5.0", "0.5.0 0.6.0 1.0.0", "0.6.0"},
		{"patch of no semver", `{"range": "patch"}`, "28.0.4.1", "28.0.4.2 28.0.5 28.1.0", "28.0.5"},
		{"minor with candidates", `{"range": "minor", "prereleases": true}`, "5.0.0", "5.1.0-rc1 6.0.0-rc1", "5.1.0-rc1"},
		{"caret", `{"range": "^5.2"}`, "v5.2.0", lines, "v5.4.1"},
		{"caret below 1", `{"range": "^0.5.0"}`, "0.5.0", "0.5.0 0.5.1 0.6.0", "0.5.1"},
		{"tilde", `{"range": "~6.0"}`, "v5.2.0", lines, "v6.0.3"},
		{"or", `{"range": "5.x || 6.0.x"}`, "v5.2.0", lines, "v6.0.3"},
		{"constraint without candidates", `{"range": ">=1.0"}`, "1.0.0", "2.0.0-rc1 1.1.0", "1.1.0"},
		{"constraint with candidates", `{"range": ">=1.0, <2", "prereleases": true}`, "1.0.0", "2.0.0-rc1 1.2.0-rc1", "1.2.0-rc1"},
		{"constraint with odd candidates", `{"range": ">=1.0, <2", "prereleases": true}`, "1.0.0", "2.0.0.beta1 1.2.0.beta1", "1.2.0.beta1"},
		{"constraint and no semver", `{"range": "<29"}`, "28.0.4.1", "28.0.4.2 29.0.0.1", "28.0.4.2"},
		{"constraint and a suffix", `{"range": "<2"}`, "1.0-ce", "1.1-ce 2.0-ce", "1.1-ce"},

		{"sequence of minors", `{"sequence": "minor"}`, "v5.2.0", lines, "v5.3.2"},
		{"sequence over a major", `{"sequence": "minor"}`, "v5.4.1", lines, "v6.0.3"},
		{"sequence with a gap", `{"sequence": "minor"}`, "5.2.0", "5.2.1 5.4.0 5.4.1 5.5.0", "5.4.1"},
		{"sequence at the newest line", `{"sequence": "minor"}`, "5.2.0", "5.2.0 5.2.1", "5.2.1"},
		{"sequence, candidates are no step", `{"sequence": "minor"}`, "5.2.0", "5.3.0-rc1 5.4.0", "5.4.0"},
		{"sequence of majors", `{"sequence": "major"}`, "v5.2.0", lines, "v6.1.0"},
		{"sequence without semver", `{"sequence": "major"}`, "28.0.4.1", "28.0.4.2 29.0.1.2 30.0.0.1", "29.0.1.2"},
		{"sequence, ignored line", `{"sequence": "minor", "ignore": ["5.3.*"]}`, "v5.2.0", lines, "v5.4.1"},
		{"sequence, ignored patch", `{"sequence": "minor", "ignore": ["5.3.2"]}`, "v5.2.0", lines, "v5.3.0"},
		{"sequence and range", `{"sequence": "minor", "range": "minor"}`, "v5.4.1", lines, ""},

		{"ignore a version", `{"ignore": ["7.0.0"]}`, "v5.2.0", lines, "v6.1.0"},
		{"ignore a tag", `{"ignore": ["v7.0.0"]}`, "v5.2.0", lines, "v6.1.0"},
		{"ignore globs", `{"ignore": ["7.*", "?.1.0"]}`, "v5.2.0", lines, "v6.0.3"},
		{"ignore whole versions", `{"ignore": ["7", "0.0", "7.0+0"]}`, "v5.2.0", lines, "v7.0.0"},
		{"hold", `{"hold": "no time"}`, "v5.2.0", lines, ""},
	}
	for _, test := range tests {
		version := test.current
		for _, prefix := range []string{"app-", "dev", "chart-", "@scope/pkg@", "sdk/", "release-", "v"} {
			version = strings.TrimPrefix(version, prefix)
		}
		version = strings.TrimSuffix(version, "+build")
		if version == "REL_16_1" {
			version = "16.1"
		}
		got := decide(t, Input{Rule: mustRule(t, test.update), Version: version, Tag: test.current, Tags: tags(test.tags)})
		tag := got.Tag
		if got.Kind != NewVersion {
			tag = ""
		}
		if tag != test.want {
			t.Errorf("%s: %s %q, expected %q\n%v", test.name, got.Kind, tag, test.want, verdicts(got))
		}
		if got.Kind == NewVersion && got.PackageVersion != 1 || got.Kind != NewVersion && got.PackageVersion != 3 {
			t.Errorf("%s: package version %d", test.name, got.PackageVersion)
		}
		for _, c := range got.Candidates {
			if c.Verdict == "" {
				t.Errorf("%s: no verdict on %s", test.name, c.Tag)
			}
		}
	}
}

func TestReleases(t *testing.T) {
	releases := map[string]*Release{
		"v2.0.0": {Draft: true, Date: daysAgo(30)},
		"v1.9.0": {Prerelease: true, Date: daysAgo(30)},
		"v1.8.0": {Unfit: "retracted: broken", Date: daysAgo(30)},
		"v1.7.0": {Date: daysAgo(2)},
		"v1.6.0": {Date: daysAgo(3), Notes: "Fixes CVE-2026-12345."},
		"v1.5.0": {Date: daysAgo(5), Notes: "See GHSA-abcd-2345-wxyz."},
		"v1.4.0": {Date: daysAgo(7)},
		"v1.2.9": {Date: daysAgo(1)}, // a backport, published last
	}
	all := tags("v1.2.9 v1.0.0 v2.0.0 v1.9.0 v1.8.0 v1.7.0 v1.6.0 v1.5.0 v1.4.0 v1.3.0")
	tests := []struct{ update, want, asked string }{
		{``, "v1.7.0", "v2.0.0 v1.9.0 v1.8.0 v1.7.0"},
		{`{"prereleases": true}`, "v1.9.0", "v2.0.0 v1.9.0"},
		{`{"delay": 7}`, "v1.6.0", "v2.0.0 v1.9.0 v1.8.0 v1.7.0 v1.6.0"},
		{`{"delay": 7, "range": "<1.6"}`, "v1.5.0", "v1.5.0"},
		{`{"delay": 7, "range": "<1.5"}`, "v1.4.0", "v1.4.0"},
		{`{"delay": 8, "range": "<1.5"}`, "", "v1.4.0 v1.3.0 v1.2.9"},
		{`{"range": "<1.3"}`, "v1.2.9", "v1.2.9"},
		{`{"sequence": "minor"}`, "v1.2.9", "v1.2.9"},
		{`{"sequence": "minor", "delay": 3}`, "", "v1.2.9"}, // 1.3 does not come before 1.2
		{`{"hold": "no time"}`, "", ""},
	}
	for _, test := range tests {
		var asked []string
		got := decide(t, Input{Rule: mustRule(t, test.update), Version: "1.0.0", Tag: "v1.0.0", Tags: all,
			Release: func(tag string) (*Release, error) {
				asked = append(asked, tag)
				return releases[tag], nil
			}})
		tag := got.Tag
		if got.Kind != NewVersion {
			tag = ""
		}
		if tag != test.want || strings.Join(asked, " ") != test.asked {
			t.Errorf("%s: %q, asked for %s\n%v", test.update, tag, strings.Join(asked, " "), verdicts(got))
		}
		if tag != "" && got.Release != releases[tag] {
			t.Errorf("%s: release %+v", test.update, got.Release)
		}
	}
}

func TestExplain(t *testing.T) {
	releases := map[string]*Release{
		"v5.5.0": {Date: daysAgo(1)},
		"v5.4.2": {Date: daysAgo(30)},
	}
	got := decide(t, Input{
		Rule:    mustRule(t, `{"delay": 7, "ignore": ["5.4.3"], "range": "minor"}`),
		Version: "5.4.1", Tag: "v5.4.1", Commit: "aaa",
		Tags: tags("chart-9.0.0=h v5.4.0=b v5.4.1=aaa v5.4.2=c 5.4.2=x v5.4.3=d v5.5.0=e v5.6.0-rc1=f v6.0.0=g 5.4.1=aaa"),
		Release: func(tag string) (*Release, error) {
			return releases[tag], nil
		},
	})
	header, rows := got.Table()
	text := strings.Join(header, "|")
	for _, row := range rows {
		text += "\n" + strings.Join(row, "|")
	}
	want := `TAG|VERSION|RELEASED|VERDICT
v6.0.0|6.0.0||outside of update.range minor
v5.6.0-rc1|5.6.0-rc1||prerelease
v5.5.0|5.5.0|2026-07-19|waits until 2026-07-26 (update.delay)
v5.4.3|5.4.3||ignored by update.ignore
v5.4.2|5.4.2|2026-06-20|chosen
5.4.2|5.4.2|2026-06-20|same version as v5.4.2
v5.4.1|5.4.1||current
5.4.1|5.4.1||current version
v5.4.0|5.4.0||older
chart-9.0.0|||another shape than v5.4.1`
	if diff := cmp.Diff(want, text); diff != "" {
		t.Error(diff)
	}
	got.Candidates = got.Candidates[4:5]
	encoded, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"kind":"version","version":"5.4.2","packageVersion":1,"tag":"v5.4.2","commit":"c","newest":"6.0.0","heldBack":"6.0.0 outside of update.range minor",`+
		`"warnings":["v5.4.2 and 5.4.2 have the same version, but different commits"],`+
		`"candidates":[{"tag":"v5.4.2","version":"5.4.2","commit":"c","date":"2026-06-20","verdict":"chosen"}]}`, string(encoded)); diff != "" {
		t.Error(diff)
	}
}

func TestWaiting(t *testing.T) {
	young := func(tag string) (*Release, error) {
		if strings.HasPrefix(tag, "v5.3") {
			return &Release{Date: daysAgo(1)}, nil
		}
		return &Release{Date: daysAgo(9)}, nil
	}
	in := Input{Rule: mustRule(t, `{"sequence": "minor", "delay": 7}`), Version: "5.2.0", Tag: "v5.2.0", Release: young,
		Tags: tags("v5.2.0 v5.3.0 v5.3.1 v5.4.0")}
	got := decide(t, in)
	if got.Kind != Held || got.Newest != "5.4.0" || got.Reason != "5.4.0 after 5.3 (update.sequence)" {
		t.Errorf("%+v", got)
	}
	// The current line moves on meanwhile.
	in.Tags = append(in.Tags, Tag{Name: "v5.2.1"})
	if got := decide(t, in); got.Tag != "v5.2.1" || got.Kind != NewVersion {
		t.Errorf("%+v", got)
	}
	// A line of prereleases, by their releases, is no step.
	in.Release = func(tag string) (*Release, error) {
		return &Release{Prerelease: strings.HasPrefix(tag, "v5.3"), Date: daysAgo(9)}, nil
	}
	if got := decide(t, in); got.Tag != "v5.4.0" {
		t.Errorf("%+v", got)
	}
	// No date, no judgement.
	in.Release = nil
	if got := decide(t, in); got.Kind != Held || verdicts(got)["v5.3.1"] != "update.delay needs its date, which is unknown" {
		t.Errorf("%+v", got)
	}
}

func TestFollow(t *testing.T) {
	rule := `{"follow": "keycloak", "ignore": ["26.4.0"]}`
	draft := func(tag string) (*Release, error) { return &Release{Draft: tag == "26.3.0", Prerelease: true}, nil }
	all := tags("26.4.0 26.3.0 25.0.0 26.0.0 26.1.0=b v26.1.0=b 26.2.0 27.0.0-rc1")
	tests := []struct{ version, followed, want, reason string }{
		{"26.0.0", "26.1.0", "26.1.0", ""},
		{"26.0.0", "27.0.0-rc1", "27.0.0-rc1", ""},
		{"26.0.0", "26.0.0", "", "at the version of keycloak"},
		{"26.0.0", "25.0.0", "", "25.0.0, the version of keycloak, is older"},
		{"26.0.0", "26.3.0", "", "26.3.0: draft"},
		{"26.0.0", "26.4.0", "", "26.4.0: ignored by update.ignore"},
		{"26.0.0", "26.1.5", "", "upstream has no 26.1.5, the version of keycloak"},
	}
	for _, test := range tests {
		got := decide(t, Input{Rule: mustRule(t, rule), Version: test.version, Tag: test.version, Followed: test.followed, Tags: all, Release: draft})
		tag := got.Tag
		if got.Kind != NewVersion {
			tag = ""
		}
		if tag != test.want || got.Reason != test.reason {
			t.Errorf("%s at %s: %+v", test.version, test.followed, got)
		}
	}
	if _, err := Decide(Input{Rule: mustRule(t, rule), Version: "1", Tag: "1"}); err == nil || err.Error() != "update.follow: the version of keycloak is not known" {
		t.Errorf("error %v", err)
	}
}

func TestCurrentVersion(t *testing.T) {
	tests := []struct {
		name, update, tag, commit, tags string
		kind                            Kind
		packageVersion                  int
		reason, warnings                string
	}{
		{"unchanged", ``, "v1.0", "a", "v1.0=a", None, 3, "nothing newer", ""},
		{"moved", ``, "v1.0", "a", "v1.0=b v0.9=c", Moved, 4, "upstream moved the tag v1.0 from commit a to b", "upstream moved the tag v1.0 from commit a to b"},
		{"moved beside a newer one", ``, "v1.0", "a", "v1.0=b v1.1=c", NewVersion, 1, "", "upstream moved the tag v1.0 from commit a to b"},
		{"moved and held", `{"hold": "no time"}`, "v1.0", "a", "v1.0=b v1.1=c", Held, 3, "no time", "upstream moved the tag v1.0 from commit a to b"},
		{"its twin moved", ``, "v1.0", "a", "v1.0=a 1.0=b", None, 3, "nothing newer", ""},
		{"commit unknown", ``, "v1.0", "", "v1.0=b", None, 3, "nothing newer", ""},
		{"vanished", ``, "v1.0", "a", "v0.9=c", None, 3, "nothing newer", "upstream no longer has a tag of the current version 1.0"},
		{"vanished, all of them", ``, "v1.0", "a", "", None, 3, "nothing newer", "upstream no longer has a tag of the current version 1.0"},
		{"vanished, its twin is there", ``, "v1.0", "a", "1.0=a", None, 3, "nothing newer", "upstream no longer has the current tag v1.0, only 1.0"},
		{"pattern of other tags", `{"tags": "r([0-9.]+)"}`, "v1.0", "a", "v1.0=a r1.1=b", NewVersion, 1, "", "the current tag v1.0: update.tags does not match"},
		{"pattern of other versions", `{"tags": "v([0-9])[.]0"}`, "v1.0", "a", "v1.0=a", None, 3, "nothing newer", "the current tag v1.0 reads as version 1, the app's is 1.0"},
		{"no tag", ``, "", "a", "v1.1=b", NewVersion, 1, "", ""},
	}
	for _, test := range tests {
		got := decide(t, Input{Rule: mustRule(t, test.update), Version: "1.0", Tag: test.tag, Commit: test.commit, Tags: tags(test.tags)})
		if got.Kind != test.kind || got.PackageVersion != test.packageVersion || got.Reason != test.reason || strings.Join(got.Warnings, "; ") != test.warnings {
			t.Errorf("%s: %+v", test.name, got)
		}
		if got.Kind == Moved && (got.Version != "1.0" || got.Tag != "v1.0" || got.Commit != "b") {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// The stable release stands behind 300 candidates, and no release is asked for
// to find that out.
func TestManyCandidates(t *testing.T) {
	all := tags("v2.9.0 v3.0.0")
	for i := range 300 {
		all = append(all, Tag{Name: fmt.Sprintf("v3.1.0-rc.%d", i)})
	}
	var asked []string
	got := decide(t, Input{Version: "2.9.0", Tag: "v2.9.0", Tags: all, Release: func(tag string) (*Release, error) {
		asked = append(asked, tag)
		return nil, nil
	}})
	if got.Tag != "v3.0.0" || len(asked) != 1 || got.Newest != "3.0.0" || len(got.Candidates) != 302 {
		t.Errorf("%s %s, asked for %v", got.Kind, got.Tag, asked)
	}
}

func TestReleaseErrors(t *testing.T) {
	limit := errors.New("rate limit")
	_, err := Decide(Input{Rule: mustRule(t, ""), Version: "1.0", Tag: "v1.0", Tags: tags("v1.1"),
		Release: func(string) (*Release, error) { return nil, limit }})
	if !errors.Is(err, limit) || err.Error() != "release of v1.1: rate limit" {
		t.Errorf("error %v", err)
	}
}

func TestNoTemplate(t *testing.T) {
	for _, tag := range []string{"REL_1_0", "stable"} {
		_, err := Decide(Input{Rule: mustRule(t, ""), Version: "1.0", Tag: tag})
		if want := fmt.Sprintf("the version 1.0 is not found in the tag %q: set update.tags, or update.transform", tag); err == nil || err.Error() != want {
			t.Errorf("error %v", err)
		}
	}
	got := decide(t, Input{Rule: mustRule(t, `{"hold": "no time", "follow": "keycloak"}`), Version: "1.0", Tag: "stable"})
	if got.Kind != Held || got.Reason != "no time" || got.PackageVersion != 3 {
		t.Errorf("%+v", got)
	}
}
