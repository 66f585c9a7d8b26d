package catalog

import (
	"encoding/json"
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
		{[]string{"doc"}, "no app doc, there is: docs, meet"},
		{[]string{"docs/back"}, "no component docs/back, there is: backend, frontend"},
		{[]string{"docs/backend/paris"}, "no variant docs/backend/paris, there is: debug, default, lyon"},
		{[]string{"meet/*/lyon"}, "no variant meet/*/lyon, there is: debug, default"},
		{[]string{"@swiss"}, "no group @swiss, there is: odd, suite"},
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

// A dot of a name is a dot, in Go and in Nix.
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

// spec is an image of each kind of thing that a key depends on.
func spec() *Spec {
	return &Spec{
		Kind: "containerfile", App: "docs", Component: "backend", Variant: "default", System: "x86_64-linux",
		Version: "5.4.1", PackageVersion: 1,
		Config: Config{Env: map[string]string{"A": "1"}},
		About:  Annotations{License: "MIT", Needs: map[string]json.RawMessage{"redis": json.RawMessage(`{}`)}},
		Source: json.RawMessage(`{"source":"sha256-x","changes":[]}`), File: "Dockerfile", Target: text("prod"), Context: ".",
		Args:  map[string]*string{"USER": text("1")},
		Fetch: &Derivation{Drv: text("/nix/store/a.drv"), Out: "/nix/store/a"},
		Bases: map[string]Base{
			"python:3": {Digest: "sha256:1"},
			"own":      {Image: &Spec{Kind: "nix", App: "base", Rootfs: &Derivation{Drv: text("/nix/store/b.drv"), Out: "/nix/store/b"}}},
		},
	}
}

func TestImageKey(t *testing.T) {
	// A key that changes makes every published image a new one: then raise Format.
	const golden = "sha256:e1fa1b4ad6172735f892f93384eb3fb4cb3443a503d1478a91bb30ec5a6bf749"
	if got := spec().Key(); got != golden {
		t.Errorf("key %s, expected %s", got, golden)
	}
	same := map[string]func(*Spec){
		"derivation of the source": func(s *Spec) { s.Fetch = &Derivation{Drv: text("/nix/store/z.drv"), Out: "/nix/store/z"} },
		"derivation of a base":     func(s *Spec) { s.Bases["own"].Image.Rootfs.Drv = text("/nix/store/z.drv") },
		"needs pkgs":               func(s *Spec) { s.NeedsPkgs = true },
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
		"needs":           func(s *Spec) { s.About.Needs["redis"] = json.RawMessage(`{"optional":true}`) },
		"licence":         func(s *Spec) { s.About.License = "GPL-3.0-only" },
		"source":          func(s *Spec) { s.Source = json.RawMessage(`{"source":"sha256-y","changes":[]}`) },
		"target":          func(s *Spec) { s.Target = nil },
		"argument":        func(s *Spec) { s.Args["USER"] = text("2") },
		"pin":             func(s *Spec) { s.Bases["python:3"] = Base{Digest: "sha256:2"} },
		"base image":      func(s *Spec) { s.Bases["own"].Image.Rootfs.Out = "/nix/store/c" },
		"tools":           func(s *Spec) { s.Tools = &Derivation{Out: "/nix/store/t"} },
		"no entrypoint":   func(s *Spec) { s.Config.Entrypoint = []string{} },
		"no ports":        func(s *Spec) { s.Config.Ports = []int{} },
		"a port":          func(s *Spec) { s.Config.Ports = []int{443} },
		"a port of UDP":   func(s *Spec) { s.Config.OtherPorts = []string{"443/udp"} },
		"no volumes":      func(s *Spec) { s.Config.Volumes = []string{} },
		"health":          func(s *Spec) { s.Config.Health = &HealthCheck{Command: []string{"x"}} },
		"interval":        func(s *Spec) { s.Config.Health = &HealthCheck{Command: []string{"x"}, Interval: 5} },
		"no command":      func(s *Spec) { s.Config.Command = []string{} },
		"owners":          func(s *Spec) { s.Owners = map[string]Owner{"/tmp": {Mode: "1777"}} },
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

func TestMissingArgs(t *testing.T) {
	s := &Spec{Args: map[string]*string{"B": nil, "A": nil, "C": text("")}}
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
			// What goes into a Nix expression has an alphabet without quotes.
			if strings.ContainsAny(p.App+p.Component+p.Variant, "\"\\$`'{}; \n") {
				t.Errorf("pattern %+v", p)
			}
			p.Match(ID{"docs", "backend", "lyon"})
		}
	})
}
