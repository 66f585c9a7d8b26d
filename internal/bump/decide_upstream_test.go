package bump

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

var hostile = []string{
	`1.0";`, `v9.0.0";`, `$(x)`, `v9.0.0$(touch x)`, `${builtins.readFile "/etc/passwd"}`, "v9.0.0`id`", `../..`, `v9.0.0/../..`, `v9.0.0..1`,
	"v9.0.0\n", "v9.0.0\x1b[31m", "v9.0.0\u202e", "v\u200b9.0.0", "v9.0.0\x00", "v9.0.0\xff", "-v9.0.0", "v９.0.0", "v9.0.0 ", "v9.0.0+x",
	"v9." + strings.Repeat("9", 10_000), "v9.0." + strings.Repeat("0", 200), "v9.0.0-rc." + strings.Repeat("1", 120), "",
}

func TestHostileTags(t *testing.T) {
	var all []Tag
	for _, name := range append(hostile, "v1.0.0", "v1.0.1") {
		all = append(all, Tag{name, name})
	}
	for _, update := range []string{``, `{"tags": ".*?([0-9][^ ]*)(?s:.*)", "prereleases": true}`} {
		got := decide(t, Input{Rule: mustRule(t, update), Version: "1.0.0", Tag: "v1.0.0", Tags: all})
		if got.Tag != "v1.0.1" {
			t.Errorf("%s: chose %q", update, got.Tag)
		}
		for _, c := range got.Candidates {
			if len(c.Tag) > 4*80 || len(c.Commit) > 4*80 {
				t.Errorf("%d and %d bytes are shown of %.20q", len(c.Tag), len(c.Commit), c.Tag)
			}
			if !strings.HasPrefix(c.Verdict, "refused: ") && c.Tag[:4] != "v1.0" {
				t.Errorf("%q: %s", c.Tag, c.Verdict)
			}
		}
	}
}

// upstreamTags reads the tags of a real repository: name, commit, date.
func upstreamTags(t *testing.T, repository string) []Tag {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "tags", repository+".tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var all []Tag
	for row := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSpace(row), "\t")
		all = append(all, Tag{fields[0], fields[1]})
	}
	return all
}

func TestRealRepositories(t *testing.T) {
	const pattern = `"tags": "^v([0-9]+\\.[0-9]+\\.[0-9]+)$"`
	tests := []struct{ repository, update, current, want string }{
		{"suitenumerique_docs", ``, "v5.2.0", "v5.4.1"},
		{"suitenumerique_docs", `{` + pattern + `}`, "v5.2.0", "v5.4.1"},
		{"suitenumerique_docs", `{` + pattern + `, "sequence": "minor"}`, "v5.2.0", "v5.3.0"},
		{"suitenumerique_docs", `{` + pattern + `, "sequence": "minor"}`, "v4.8.0", "v5.0.0"},
		{"suitenumerique_docs", `{"sequence": "minor"}`, "v3.3.0", "v3.4.2"}, // v.3.4.2 is malformed
		{"suitenumerique_docs", `{"sequence": "minor"}`, "v3.7.0", "v3.8.21"},
		{"suitenumerique_docs", `{"range": "minor", "prereleases": true}`, "v4.1.0", "v4.8.6"}, // no -preprod, no -psycopgpool
		{"suitenumerique_docs", ``, "v5.4.1", ""},
		{"suitenumerique_docs", `{"prereleases": true}`, "v5.4.1", ""},
		{"suitenumerique_docs", ``, "docs-0.0.1", ""},
		{"suitenumerique_drive", ``, "v0.12.0", "v0.21.1"},
		{"suitenumerique_drive", `{"range": "~0.13"}`, "v0.12.0", "v0.13.0"},
		{"suitenumerique_drive", `{"range": "~0.13", "prereleases": true}`, "v0.12.0", "v0.13.1-beta.1"},
		{"suitenumerique_drive", ``, "@gouvfr-lasuite/drive-sdk@0.0.1", "@gouvfr-lasuite/drive-sdk@0.0.2"},
		{"suitenumerique_meet", ``, "v0.1.9", "v1.27.0"},
		{"suitenumerique_meet", `{"range": "patch"}`, "v0.1.9", "v0.1.43"},
		{"miniflux_v2", ``, "2.2.9", "2.3.3"},
		{"miniflux_v2", ``, "v2.2.10", "v2.3.3"},
		{"miniflux_v2", `{"range": "minor"}`, "v2.2.10", "v2.3.3"},
		{"miniflux_v2", `{"range": "patch"}`, "2.2.9", "2.2.19"},
	}
	for _, test := range tests {
		all := upstreamTags(t, test.repository)
		for range 3 { // in any order
			got := decide(t, Input{Rule: mustRule(t, test.update), Version: test.current[strings.IndexAny(test.current, "0123456789"):], Tag: test.current, Tags: all})
			tag := got.Tag
			if got.Kind != NewVersion {
				tag = ""
			}
			if tag != test.want {
				t.Errorf("%s %s from %s: %q, expected %q (%s)", test.repository, test.update, test.current, tag, test.want, got.Reason)
			}
			rand.New(rand.NewPCG(1, 1)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
	}
}

func FuzzDecide(f *testing.F) {
	f.Add("", "v1.0.0", "", strings.Join(hostile, "\n"))
	f.Add(`{"tags": "(.*)"}`, "v1.0.0", "", "v1.0.1\nv2.0.0-rc1\nv1.0.1+x")
	f.Add(`{"transform": {"+": "$(x)", "v": "\""}}`, "1.0.0", "2", "v1.0.1\n1.0.1+2")
	f.Add(`{"sequence": "minor", "range": "<3", "prereleases": true, "ignore": ["1.?"], "delay": 3}`, "app-1.2", "", "app-1.3\napp-2.0.0.beta2\napp-3.0")
	f.Add(`{"follow": "x"}`, "1.0", "1.1", "1.1\nv1.1\n1.2")
	f.Fuzz(func(t *testing.T, update, current, followed, upstream string) {
		rule, err := ParseRule(json.RawMessage(update))
		if err != nil {
			return
		}
		in := Input{Rule: rule, Version: strings.TrimPrefix(current, "v"), PackageVersion: 1, Tag: current, Commit: "a", Followed: followed, Now: now}
		for name := range strings.SplitSeq(upstream, "\n") {
			in.Tags = append(in.Tags, Tag{name, "a"})
		}
		in.Release = func(tag string) (*Release, error) {
			return &Release{Prerelease: strings.Contains(tag, "3"), Date: daysAgo(len(tag))}, nil
		}
		got, err := Decide(in)
		if err != nil {
			return
		}
		if len(got.Candidates) != len(in.Tags) && rule.Hold == "" { // a held tag need not be a version
			t.Errorf("%d candidates of %d tags", len(got.Candidates), len(in.Tags))
		}
		for _, c := range got.Candidates {
			if c.Verdict == "" {
				t.Errorf("no verdict on %q", c.Tag)
			}
		}
		if _, err := json.Marshal(got); err != nil {
			t.Error(err)
		}
		if got.Kind != NewVersion {
			return
		}
		if catalog.CompareVersions(got.Version, in.Version) <= 0 {
			t.Errorf("down from %q to %q", in.Version, got.Version)
		}
		const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-"
		if strings.Trim(got.Version, alphabet) != "" || got.Version == "" || len(got.Version) > maxVersion {
			t.Errorf("version %q", got.Version)
		}
		if strings.Trim(got.Tag, alphabet+"/@+") != "" || len(got.Tag) > maxTag || strings.Contains(got.Tag, "..") {
			t.Errorf("tag %q", got.Tag)
		}
	})
}
