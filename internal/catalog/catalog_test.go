package catalog

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func apps() map[string]App {
	component := func(names ...string) map[string]Component {
		all := map[string]Component{}
		for _, name := range names {
			all[name] = Component{Kind: "nix"}
		}
		return all
	}
	return map[string]App{
		"docs": {Name: "docs", Components: component("backend", "frontend"), Variants: []string{"default", "debug", "lyon"}},
		"meet": {Name: "meet", Components: component("agents"), Variants: []string{"default", "debug"}},
	}
}

func TestSelection(t *testing.T) {
	groups := map[string][]string{"suite": {"docs/backend", "meet"}, "odd": {"do cs"}}
	tests := []struct {
		words []string
		want  string // the images, or the error
	}{
		{[]string{"meet"}, "meet/agents/default meet/agents/debug"},
		{[]string{"docs/backend"}, "docs/backend/default docs/backend/debug docs/backend/lyon"},
		{[]string{"docs/"}, "docs/backend/default docs/backend/debug docs/backend/lyon docs/frontend/default docs/frontend/debug docs/frontend/lyon"},
		{[]string{"docs/backend/lyon"}, "docs/backend/lyon"},
		{[]string{"*/*/lyon", "docs/*end/lyon"}, "docs/backend/lyon docs/frontend/lyon"},
		{[]string{"m??t/*/d*"}, "meet/agents/default meet/agents/debug"},
		{[]string{"@suite"}, "docs/backend/default docs/backend/debug docs/backend/lyon meet/agents/default meet/agents/debug"},
		{[]string{}, "nothing selected"},
		{[]string{"doc"}, "no app doc, expected one of: docs, meet"},
		{[]string{"docs/back"}, "no component docs/back, expected one of: backend, frontend"},
		{[]string{"docs/backend/paris"}, "no variant docs/backend/paris, expected one of: debug, default, lyon"},
		{[]string{"meet/*/lyon"}, "no variant meet/*/lyon, expected one of: debug, default"},
		{[]string{"@swiss"}, "no group @swiss, expected one of: odd, suite"},
		{[]string{"@odd"}, `group @odd: selection "do cs", expected app, app/component or app/component/variant`},
		{[]string{"a/b/c/d"}, `selection "a/b/c/d" has 4 parts, expected app, app/component or app/component/variant`},
		{[]string{"docs//lyon"}, `selection "docs//lyon", expected app, app/component or app/component/variant`},
		{[]string{"docs;rm"}, `selection "docs;rm", expected app, app/component or app/component/variant`},
		{[]string{""}, `selection "", expected app, app/component or app/component/variant`},
	}
	for _, test := range tests {
		got := func() string {
			patterns, err := ParseSelection(test.words, groups)
			if err != nil {
				return err.Error()
			}
			if _, err := Select(patterns, []string{"docs", "meet"}); err != nil {
				return err.Error()
			}
			ids, err := SelectImages(patterns, apps())
			if err != nil {
				return err.Error()
			}
			var words []string
			for _, id := range ids {
				words = append(words, id.String())
			}
			return strings.Join(words, " ")
		}()
		if got != test.want {
			t.Errorf("%q selects\n%s, expected\n%s", test.words, got, test.want)
		}
	}
}

// A dot in a pattern is a literal dot, in Go and in Nix.
func TestGlobIsNoRegularExpression(t *testing.T) {
	if (Pattern{"a.b", "*", "*"}).MatchApp("axb") {
		t.Error("a.b matches axb")
	}
	if got := Regexp("a.b*?"); got != "a[.]b.*." {
		t.Errorf("regular expression %q", got)
	}
}

func TestDuplicateNames(t *testing.T) {
	all := apps()
	if err := CheckNames(all); err != nil {
		t.Fatal(err)
	}
	all["docs-backend"] = App{Name: "docs-backend", Components: map[string]Component{"x": {}}, Variants: []string{"default"}}
	err := CheckNames(all)
	if want := "duplicate image name docs-backend-default: the release record of docs-backend/default and docs/backend/default, rename one of them"; err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
	delete(all, "docs-backend")
	all["docs-x"] = App{Name: "docs-x", Components: map[string]Component{"web": {}}, Variants: []string{"default"}}
	docs := all["docs"]
	docs.Components["x-web"] = Component{}
	if err := CheckNames(all); err == nil || !strings.HasPrefix(err.Error(), "duplicate image name docs-x-web-default: ") {
		t.Errorf("error %v", err)
	}
}

func TestNames(t *testing.T) {
	spec := &Spec{App: "docs", Component: "backend", Variant: "lyon", Version: "5.4.1-rc1", PackageVersion: 3}
	if got := spec.Ref().String(); got != "docs-backend-lyon:5.4.1-rc1-3" {
		t.Errorf("name %q", got)
	}
	if got := (ID{App: "docs"}).String(); got != "docs" {
		t.Errorf("app %q", got)
	}
}

func text(s string) *string { return &s }

// spec returns an image with every field that a key depends on.
func spec() *Spec {
	return &Spec{
		App: "docs", Component: "backend", Variant: "default", System: "x86_64-linux",
		Version: "5.4.1", PackageVersion: 1,
		Config:      Config{Env: map[string]string{"A": "1"}},
		Annotations: Annotations{License: "MIT", Needs: map[string]json.RawMessage{"redis": json.RawMessage(`{}`)}},
		Content: &ContainerfileImage{
			Source: json.RawMessage(`{"source":"sha256-x","changes":[]}`), File: "Dockerfile", Target: text("prod"), Context: ".",
			Args:  map[string]*string{"USER": text("1")},
			Fetch: &Derivation{Drv: text("/nix/store/a.drv"), Out: "/nix/store/a"},
			Bases: map[string]Base{
				"python:3": {Digest: "sha256:1"},
				"own":      {Image: &Spec{App: "base", Content: &NixImage{Rootfs: &Derivation{Drv: text("/nix/store/b.drv"), Out: "/nix/store/b"}}}},
			},
		},
	}
}

func TestImageKey(t *testing.T) {
	// A changed key makes every published image a new one. If that is intended, raise Format.
	const golden = "sha256:e1fa1b4ad6172735f892f93384eb3fb4cb3443a503d1478a91bb30ec5a6bf749"
	if got := spec().Key(); got != golden {
		t.Errorf("key %s, expected %s", got, golden)
	}
	same := map[string]func(*Spec){
		"derivation of the source": func(s *Spec) {
			s.Containerfile().Fetch = &Derivation{Drv: text("/nix/store/z.drv"), Out: "/nix/store/z"}
		},
		"derivation of a base": func(s *Spec) { s.Containerfile().Bases["own"].Image.Rootfs().Drv = text("/nix/store/z.drv") },
		"needs pkgs":           func(s *Spec) { s.NeedsPkgs = true },
		"software": func(s *Spec) {
			s.Software = &Software{Program: "/nix/store/p", Identifiers: Identifiers{CPE: "cpe:2.3:a:x:x:1:*:*:*:*:*:*:*"}, Patches: []SoftwarePatch{{Fixes: []string{"CVE-2026-1"}}}}
		},
	}
	for name, change := range same {
		changed := spec()
		change(changed)
		if changed.Key() != golden {
			t.Errorf("%s changes the key", name)
		}
	}
	different := map[string]func(*Spec){
		"package version": func(s *Spec) { s.PackageVersion++ },
		"system":          func(s *Spec) { s.System = "aarch64-linux" },
		"variant":         func(s *Spec) { s.Variant = "lyon" },
		"env":             func(s *Spec) { s.Config.Env["A"] = "2" },
		"needs":           func(s *Spec) { s.Annotations.Needs["redis"] = json.RawMessage(`{"optional":true}`) },
		"licence":         func(s *Spec) { s.Annotations.License = "GPL-3.0-only" },
		"source":          func(s *Spec) { s.Containerfile().Source = json.RawMessage(`{"source":"sha256-y","changes":[]}`) },
		"target":          func(s *Spec) { s.Containerfile().Target = nil },
		"argument":        func(s *Spec) { s.Containerfile().Args["USER"] = text("2") },
		"pin":             func(s *Spec) { s.Containerfile().Bases["python:3"] = Base{Digest: "sha256:2"} },
		"base image":      func(s *Spec) { s.Containerfile().Bases["own"].Image.Rootfs().Out = "/nix/store/c" },
		"tools":           func(s *Spec) { s.Content = &DebugImage{Tools: &Derivation{Out: "/nix/store/t"}, Of: s.Content} },
		"no entrypoint":   func(s *Spec) { s.Config.Entrypoint = []string{} },
		"no ports":        func(s *Spec) { s.Config.Ports = []int{} },
		"a port":          func(s *Spec) { s.Config.Ports = []int{443} },
		"a port of UDP":   func(s *Spec) { s.Config.OtherPorts = []string{"443/udp"} },
		"no volumes":      func(s *Spec) { s.Config.Volumes = []string{} },
		"health":          func(s *Spec) { s.Config.Health = &HealthCheck{Command: []string{"x"}} },
		"interval":        func(s *Spec) { s.Config.Health = &HealthCheck{Command: []string{"x"}, Interval: 5} },
		"no command":      func(s *Spec) { s.Config.Command = []string{} },
		"owners": func(s *Spec) {
			s.Containerfile().Bases["own"].Image.Content.(*NixImage).Owners = map[string]Owner{"/tmp": {Mode: "1777"}}
		},
	}
	seen := map[string]string{golden: "nothing"}
	for name, change := range different {
		changed := spec()
		change(changed)
		if other, taken := seen[changed.Key()]; taken {
			t.Errorf("%s gives the key of %s", name, other)
		}
		seen[changed.Key()] = name
	}
}

// The spec of each kind is read from the evaluator's JSON. Its key must never change.
func TestSpecsOfEachKindAreReadAndWritten(t *testing.T) {
	const common = `"app":"one","component":"web","variant":"default","system":"x86_64-linux","version":"1","packageVersion":1,` +
		`"config":{},"about":{"description":"","url":"","license":"","source":"","revision":"","date":"","needs":null,"migration":null},"skip":null,"needsPkgs":false`
	const rootfs, tools = `,"rootfs":{"drv":"/d","out":"/r"},"owners":{"/tmp":{"mode":"1777","uid":0,"gid":0}}`, `,"tools":{"drv":null,"out":"/t"}`
	const file = `,"source":{"source":"sha256-x","changes":[]},"file":"Dockerfile","target":"prod","context":".","args":{"A":null},"contexts":{"logos":"/l"},"bases":{"node":{"digest":"sha256:1"}},"fetch":{"drv":"/d","out":"/s"}`
	for _, test := range []struct {
		name, text, key string
		content         Content
	}{
		{"nix", `{"kind":"nix",` + common + rootfs + `}`, "sha256:15bae05f6350ea4b43a4a02f7dfede82d62d8c7059df53d8c8f75b826f01a4ce", &NixImage{}},
		{"nix with tools", `{"kind":"nix",` + common + rootfs + tools + `}`, "sha256:6e6e34c63cb7adf33cb56c1af2b78febf8608666270420f04cffcf95a9508172", &DebugImage{}},
		{"containerfile", `{"kind":"containerfile",` + common + file + `}`, "sha256:be9bd2e7ed8f0ddbb31518a82b6cfb01b40989e664cec6b3379512fc26759320", &ContainerfileImage{}},
		{"containerfile with tools", `{"kind":"containerfile",` + common + file + tools + `}`, "sha256:66ab000aa8e487b8f07e20933d5e6ec56b9b4794e54d1262955c324f2dd46114", &DebugImage{}},
		{"nix without a package set", `{"kind":"nix",` + common + `}`, "sha256:81c257b46bbadd7476b3951b3149fd1e15f5d63416bea252e761f40e68cbc2d7", &NixImage{}},
	} {
		var s Spec
		if err := json.Unmarshal([]byte(test.text), &s); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%T", s.Content) != fmt.Sprintf("%T", test.content) {
			t.Errorf("%s: it is a %T", test.name, s.Content)
		}
		again, err := json.Marshal(&s)
		if err != nil || string(again) != test.text {
			t.Errorf("%s: %v\n%s, expected\n%s", test.name, err, again, test.text)
		}
		if s.Key() != test.key {
			t.Errorf("%s: key %s, expected %s", test.name, s.Key(), test.key)
		}
	}
	if err := json.Unmarshal([]byte(`{"kind":"oci",`+common+`}`), &Spec{}); err == nil || err.Error() != `unknown kind "oci" of image one/web/default, expected nix or containerfile: update libre` {
		t.Errorf("error %v", err)
	}
}

func TestMissingArgs(t *testing.T) {
	s := &ContainerfileImage{Args: map[string]*string{"B": nil, "A": nil, "C": text("")}}
	if diff := cmp.Diff([]string{"A", "B"}, s.MissingArgs()); diff != "" {
		t.Error(diff)
	}
}

func TestPlatform(t *testing.T) {
	if got, err := Platform("aarch64-linux"); got != "linux/arm64" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Platform("sparc-linux"); err == nil || !strings.Contains(err.Error(), "expected one of aarch64-linux, x86_64-linux") {
		t.Errorf("error %v", err)
	}
}

func FuzzParseSelection(f *testing.F) {
	for _, word := range []string{"docs", "docs/backend/lyon", "@x", "*/?", "a//b", "\x00"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		patterns, err := ParseSelection([]string{word}, nil)
		if err != nil {
			return
		}
		for _, p := range patterns {
			// Names in a Nix expression contain no quotes.
			if strings.ContainsAny(p.App+p.Component+p.Variant, "\"\\$`'{}; \n") {
				t.Errorf("pattern %+v", p)
			}
			p.Match(ID{"docs", "backend", "lyon"})
		}
	})
}
