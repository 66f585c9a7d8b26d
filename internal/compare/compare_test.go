package compare

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/sbom"
)

// The renderings of one comparison are stable.
func TestRenderings(t *testing.T) {
	from, to := docs()
	c := Compare(from, to)
	c.Notes = []Note{{"5.4.1", "https://example.org/releases/5.4.1", "Fixes #12, thanks @ada\n\n<b>careful</b>"}}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "docs.json", string(text)+"\n")
	golden(t, "docs.md", strings.ReplaceAll(c.Markdown(inBytes, 0), "\u200b", "^"))
	rows := c.Summary(inBytes)
	for _, r := range c.Rows(inBytes) {
		rows = append(rows, strings.Join([]string{string(r.Section), r.Component, r.Change, r.Name, r.From, r.To}, "\t"))
	}
	golden(t, "docs.txt", strings.Join(rows, "\n")+"\n")
}

// A release does not differ from itself.
func TestSameRelease(t *testing.T) {
	from, to := docs()
	for _, release := range []*Release{from, to, {App: "a", Variant: "default", Version: "1", PackageVersion: 1}} {
		c := Compare(release, release)
		if c.Different || c.Kind != SameVersion || len(c.Rows(inBytes)) > 0 || !strings.HasSuffix(c.Summary(inBytes)[0], "no difference") {
			t.Errorf("%s differs from itself: %+v", release.Name, c)
		}
	}
}

func TestUpgrade(t *testing.T) {
	at := func(version string, migration *describe.Migration) *Release {
		return &Release{Version: version, Migration: migration}
	}
	automatic := func(minFrom string) *describe.Migration {
		return &describe.Migration{Kind: "automatic", MinFrom: minFrom}
	}
	for _, test := range []struct {
		name     string
		from, to *Release
		want     Verdict
		reason   string
	}{
		{"from the oldest", at("5.0.0", nil), at("5.4.1", automatic("5.0.0")), Allowed, ""},
		{"from one that is too old", at("4.9.10", nil), at("5.4.1", automatic("5.0.0")), Refused, "5.4.1 upgrades from 5.0.0 or later: upgrade to a release of 5.0.0 or later first"},
		{"9 is older than 10", at("1.9.0", nil), at("1.11.0", automatic("1.10.0")), Refused, "1.11.0 upgrades from 1.10.0 or later: upgrade to a release of 1.10.0 or later first"},
		{"a prerelease of the oldest", at("5.0.0-rc1", nil), at("5.4.1", automatic("5.0.0")), Refused, "5.4.1 upgrades from 5.0.0 or later: upgrade to a release of 5.0.0 or later first"},
		{"no oldest", at("1", nil), at("2", automatic("")), Allowed, ""},
		{"nothing said", at("1", nil), at("2", nil), Allowed, ""},
		{"the same", at("1", automatic("9")), at("1", automatic("9")), Allowed, ""},
		{"what the old release says does not count", at("1", automatic("3")), at("2", automatic("1")), Allowed, ""},
		{"back", at("2", automatic("")), at("1", nil), Refused, "2 may have changed the data: restore a backup of 1"},
		{"back by hand", at("2", &describe.Migration{Kind: "manual"}), at("1", nil), Refused, "2 may have changed the data: restore a backup of 1"},
		{"back without a migration", at("2", &describe.Migration{Kind: "none"}), at("1", nil), Allowed, ""},
		{"back, reversibly", at("2", &describe.Migration{Kind: "automatic", Reversible: new(true)}), at("1", nil), Allowed, ""},
		{"back, and said to be irreversible", at("2", &describe.Migration{Kind: "automatic", Reversible: new(false)}), at("1", nil), Refused, "2 may have changed the data: restore a backup of 1"},
		{"back, and nothing said", at("2", nil), at("1", automatic("")), Unknown, "2 does not say how it changes its data"},
	} {
		if got := NewUpgrade(test.from, test.to); got.Verdict != test.want || got.Reason != test.reason {
			t.Errorf("%s: %s %q, expected %s %q", test.name, got.Verdict, got.Reason, test.want, test.reason)
		}
	}
}

func TestJSONChanges(t *testing.T) {
	for _, test := range []struct{ name, from, to, want string }{
		{"equal, in another order", `{"a":1,"b":[1,2]}`, `{"b":[1,2],"a":1}`, `[]`},
		{"nested", `{"needs":{"postgres":{"version":"15"}}}`, `{"needs":{"postgres":{"version":"16"}}}`, `[{"path":"needs.postgres.version","change":"changed","from":"15","to":"16"}]`},
		{"a need more", `{"needs":{}}`, `{"needs":{"redis":{}}}`, `[{"path":"needs.redis","change":"added","to":{}}]`},
		{"the first need", `{}`, `{"needs":{"redis":{}}}`, `[{"path":"needs.redis","change":"added","to":{}}]`},
		{"null is absent", `{"a":null}`, `{}`, `[]`},
		{"false is not absent", `{}`, `{"a":false}`, `[{"path":"a","change":"added","to":false}]`},
		{"numbers as written", `{"a":10000000000000001}`, `{"a":10000000000000002}`, `[{"path":"a","change":"changed","from":10000000000000001,"to":10000000000000002}]`},
		{"lists as a whole", `{"a":["x","y"]}`, `{"a":["y","x"]}`, `[{"path":"a","change":"changed","from":["x","y"],"to":["y","x"]}]`},
		{"routes by element", `{"r":[{"p":"/"},{"p":"/a"}]}`, `{"r":[{"p":"/b"},{"p":"/"}]}`, `[{"path":"r","change":"removed","from":{"p":"/a"}},{"path":"r","change":"added","to":{"p":"/b"}}]`},
		{"twice the same element", `{"r":[{"p":"/"}]}`, `{"r":[{"p":"/"},{"p":"/"}]}`, `[{"path":"r","change":"added","to":{"p":"/"}}]`},
		{"another type", `{"a":{"b":1}}`, `{"a":[1]}`, `[{"path":"a","change":"changed","from":{"b":1},"to":[1]}]`},
		{"no section left", `{"routes":[{"p":"/"}],"needs":{"a":1}}`, `{}`, `[{"path":"needs.a","change":"removed","from":1},{"path":"routes","change":"removed","from":[{"p":"/"}]}]`},
		{"no JSON", `{`, `{"a":1}`, `[{"path":"a","change":"added","to":1}]`},
	} {
		got, err := json.Marshal(jsonChanges(json.RawMessage(test.from), json.RawMessage(test.to)))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v, expected\n%s", test.name, got, err, test.want)
		}
	}
}

// Application documents are compared without the names of their releases. If one release has
// none, the outlines are compared.
func TestApplications(t *testing.T) {
	release := func(version string, change func(*describe.Spec)) *Release {
		spec := describe.Spec{
			Version: version, PackageVersion: 1, Variant: "default", Registry: "registry.example/" + version, Revision: "v" + version, License: "MIT",
			Components: map[string]describe.Component{"backend": {
				Image: &describe.Image{Reference: "docs-backend-default:" + version + "-1"}, Ports: map[string]describe.Port{"http": {Port: 8000, Protocol: "tcp", Access: "internal"}},
				Services: map[string]describe.Service{"backend": {Replicas: 1}},
			}},
			Needs:  map[string]describe.Need{"db": {Kind: "postgres", Version: ">=14"}},
			Config: map[string]describe.Setting{"DEBUG": {Type: "boolean", Default: "false"}},
			Routes: map[string]describe.Route{"/": {Service: "backend"}},
		}
		change(&spec)
		return &Release{App: "docs", Variant: "default", Version: version, PackageVersion: 1, Application: &describe.Application{Spec: spec}, Outline: json.RawMessage(`{"license":"` + spec.License + `"}`)}
	}
	same := release("1", func(*describe.Spec) {})
	for _, test := range []struct {
		name   string
		change func(*describe.Spec)
		want   string
	}{
		{"nothing", func(*describe.Spec) {}, ``},
		{"a version of a need", func(s *describe.Spec) { s.Needs["db"] = describe.Need{Kind: "postgres", Version: ">=15"} }, `needs.db.version changed ">=14" ">=15"`},
		{"an optional need", func(s *describe.Spec) { s.Needs["mail"] = describe.Need{Kind: "smtp", Optional: true} }, `needs.mail added null {"kind":"smtp","optional":true}`},
		{"no need", func(s *describe.Spec) { s.Needs = nil }, `needs.db removed {"kind":"postgres","version":">=14"} null`},
		{"a required setting", func(s *describe.Spec) {
			s.Config["SECRET"] = describe.Setting{Type: "string", Required: true, Secret: true}
		}, `config.SECRET added null {"required":true,"secret":true,"type":"string"}`},
		{"another default", func(s *describe.Spec) { s.Config["DEBUG"] = describe.Setting{Type: "boolean", Default: "true"} }, `config.DEBUG.default changed "false" "true"`},
		{"a route", func(s *describe.Spec) { s.Routes["/ws"] = describe.Route{Service: "backend", WebSocket: true} }, `routes./ws added null {"service":"backend","webSocket":true}`},
		{"a port", func(s *describe.Spec) {
			s.Components["backend"].Ports["http"] = describe.Port{Port: 9000, Protocol: "tcp", Access: "internal"}
		}, `components.backend.ports.http.port changed 8000 9000`},
		{"replicas", func(s *describe.Spec) { s.Components["backend"].Services["backend"] = describe.Service{Replicas: 2} }, `components.backend.services.backend.replicas changed 1 2`},
		{"the oldest version", func(s *describe.Spec) { s.Migration = &describe.Migration{MinFrom: "1"} }, `migration.minFrom added null "1"`},
		{"the licence", func(s *describe.Spec) { s.License = "AGPL-3.0-only" }, `license changed "MIT" "AGPL-3.0-only"`},
	} {
		to := release("2", test.change)
		if got := changeLines(Compare(same, to).Description); got != test.want {
			t.Errorf("%s: %s, expected\n%s", test.name, got, test.want)
		}
		to.Application = nil
		got := changeLines(Compare(same, to).Description)
		if want := map[bool]string{true: test.want}[test.name == "the licence"]; got != want {
			t.Errorf("%s, by the outline: %s, expected\n%s", test.name, got, want)
		}
	}
}

func changeLines(changes []Change) string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, strings.Join([]string{c.Path, string(c.Change), jsonText(c.From), jsonText(c.To)}, " "))
	}
	return strings.Join(lines, "\n")
}

func TestPackages(t *testing.T) {
	npm := func(name, version, purl string) sbom.Component {
		return sbom.Component{ID: purl + version, Name: name, Version: version, Type: "npm", PURL: purl}
	}
	document := func(all ...sbom.Component) *sbom.Document { return &sbom.Document{Components: all} }
	for _, test := range []struct {
		name     string
		from, to *sbom.Document
		want     []PackageChange
	}{
		{"one of two versions", document(npm("a", "1.9", ""), npm("a", "1.10", "")), document(npm("a", "1.10", "")), []PackageChange{{"a", "npm", Changed, []string{"1.9", "1.10"}, []string{"1.10"}}}},
		{"in two places", document(npm("a", "1", "p")), document(npm("a", "1", "q"), npm("a", "1", "r")), []PackageChange{}},
		{"a namespace in the package URL alone", document(npm("core", "1", "pkg:npm/%40babel/core@1")), document(npm("@babel/core", "1", "pkg:npm/%40babel/core@1")), []PackageChange{}},
		{"of another ecosystem", document(npm("a", "1", "")), document(sbom.Component{Name: "a", Version: "1", Type: "python"}), []PackageChange{{"a", "npm", Removed, []string{"1"}, []string{}}, {"a", "python", Added, []string{}, []string{"1"}}}},
		{"without a version", document(npm("a", "", "")), document(npm("a", "2", "")), []PackageChange{{"a", "npm", Changed, []string{""}, []string{"2"}}}},
		{"the root folder", document(sbom.Component{Name: "docs", Version: "1", Type: "nix", Where: []string{"/"}}), document(), []PackageChange{}},
	} {
		got, _ := packages(test.from, test.to)
		if diff := cmp.Diff(test.want, got.Changes); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// Text from outside has no effect in Markdown, and ends no cell and no line.
func TestHostileNames(t *testing.T) {
	for _, hostile := range []string{
		"\x1b]8;;http://evil.example\x07name\x1b]8;;\x07", "\x1b[31mred\x1b[0m", "a | b |\n| c", "@everyone #1", "<img src=x onerror=alert(1)>",
		"![i](http://evil.example/x.png)", "[l](javascript:x)", "`code`\n</details>\n# heading", "\u202eright to left", "<!-- libre: docs 9-9 -->",
	} {
		from, to := docs()
		to.Images["backend"].SBOM.Components = append(to.Images["backend"].SBOM.Components, sbom.Component{ID: "z", Name: hostile, Version: hostile, Type: hostile, License: sbom.License{Expression: hostile}})
		to.Images["backend"].Config.Env = append(to.Images["backend"].Config.Env, hostile+"="+hostile)
		to.Migration.Notes, to.Name = hostile, hostile
		c := Compare(from, to)
		c.Notes = []Note{{hostile, hostile, hostile}}
		got := c.Markdown(inBytes, 0)
		for _, live := range []string{"\x1b", "\x07", "\u202e", "<img", "![", "\n# heading", "@everyone", "\n<!--"} {
			if strings.Contains(got, live) {
				t.Errorf("%q: the Markdown has %q:\n%s", hostile, live, got)
			}
		}
		if n := strings.Count(got, "</details>"); n != strings.Count(got, "<details>") {
			t.Errorf("%q: details do not match:\n%s", hostile, got)
		}
		for line := range strings.SplitSeq(got, "\n") {
			if strings.HasPrefix(line, "| ") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 6 {
				t.Errorf("%q: a row has other cells: %s", hostile, line)
			}
		}
	}
}

// Markdown stays within its limit, however many differences there are.
func TestMarkdownIsCut(t *testing.T) {
	from, to := docs()
	for i := range 5000 {
		c := nixPackage('h', strings.Repeat("long|", 60)+string(rune('a'+i%26)), strings.Repeat("9", i%50+1), "MIT")
		to.Images["backend"].SBOM.Components = append(to.Images["backend"].SBOM.Components, c)
	}
	c := Compare(from, to)
	c.Notes = []Note{{"1", "", strings.Repeat("text\n", 9000)}}
	for _, room := range []int{2_000, 10_000, 30_000} {
		got := c.Markdown(inBytes, room)
		if len(got) > room || !strings.Contains(got, "Left out because it is too long") && room < 30_000 {
			t.Errorf("room for %d: %d bytes:\n%.500s", room, len(got), got)
		}
	}
}
