package nix

import (
	"strings"
	"testing"
)

const (
	inSet     = "/nix/store/a7prv5paqzyarpi1pzh85v2zrd55dxa7-source/"
	inApps    = "/nix/store/1vf9y2ydi6ssabima741f9bfkz7q2bbc-source/"
	inLibrary = "/nix/store/wxx9rmcbr3s01if6p05j7hw69n3vzjp9-source/"
)

// The output of several versions of Nix, with --show-trace, for the same mistakes.
func TestEvaluationErrorsHaveAPosition(t *testing.T) {
	at := func(places ...string) string {
		var log strings.Builder
		for _, place := range places {
			if strings.HasPrefix(place, "error:") || strings.HasPrefix(place, "…") {
				log.WriteString("       " + place + "\n")
			} else {
				log.WriteString("       … while evaluating something\n\n         at " + place + ":\n           25|\n")
			}
		}
		return log.String()
	}
	const made = "… while making the image one/web/default, defined at " + inApps + "apps/one/default.nix:5:5"
	for _, test := range []struct {
		name, log, want string
		outside         bool
	}{
		{"2.8, a throw in the set", "error: 'x' has been renamed to 'y'\n" + at(inSet+"pkgs/top-level/aliases.nix:54:5", inApps+"apps/one/default.nix:7:9", inLibrary+"image.nix:24:28", made),
			"apps/one/default.nix:7:9: 'x' has been renamed to 'y'", true},
		{"2.34, a throw in the set", "error:\n" + at(made, inLibrary+"image.nix:24:28", "/home/me/catalogue/apps/one/default.nix:7:9", inSet+"pkgs/top-level/aliases.nix:54:5", "error: 'x' has been renamed to 'y'"),
			"apps/one/default.nix:7:9: 'x' has been renamed to 'y'", true},
		{"2.8, no frame of the definition", "error: attribute 'new' missing\n" + at(inSet+"pkgs/mistaken.nix:3:46", inSet+"pkgs/stdenv/default.nix:52:16", made),
			"apps/one/default.nix:5:5: attribute 'new' missing", true},
		{"2.26, no frame of the definition, its own place last", "error:\n" + at(made, inLibrary+"image.nix:20:5", "<nix/derivation-internal.nix>:37:12", inSet+"pkgs/stdenv/default.nix:52:16", "error: attribute 'new' missing", inSet+"pkgs/mistaken.nix:3:46"),
			"apps/one/default.nix:5:5: attribute 'new' missing", true},
		{"a text that looks like an error", "error:\n" + at(made, inSet+"pkgs/stdenv/generic/check-meta.nix:1:1", "error: first\n       error: second\n       at the end"),
			"apps/one/default.nix:5:5: first", true},
		{"a text that begins with an empty line", "error:\n" + at(made, inSet+"lib/asserts.nix:1:1") + "       error:\n       Failed assertions:\n       - x\n",
			"apps/one/default.nix:5:5: Failed assertions:", true},
		{"nixpkgs has folders apps too", "error: attribute 'a' missing\n" + at(inSet+"pkgs/desktops/gnome/apps/cheese/default.nix:2:2", made),
			"apps/one/default.nix:5:5: attribute 'a' missing", true},
		{"the catalogue's own mistake", "error: undefined variable 'pkgz'\n" + at(inApps+"apps/one/default.nix:9:15", inLibrary+"image.nix:1:1"),
			"apps/one/default.nix:9:15: undefined variable 'pkgz'", false},
		{"a file of the catalogue beside apps", "error: attribute 'a' missing\n" + at(inSet+"lib/attrsets.nix:2:2", inApps+"lib/common.nix:3:4", made),
			"lib/common.nix:3:4: attribute 'a' missing", true},
		{"a catalogue in a folder of its repository", "error: undefined variable 'pkgz'\n" + at(inApps+"images/apps/one/default.nix:9:15"),
			"images/apps/one/default.nix:9:15: undefined variable 'pkgz'", false},
		{"libre's own words", "error: one: component web: ports http is \"80\", expected an integer\n" + at(inLibrary+"mkApp.nix:14:8", inApps+"apps/one/default.nix:2:1"),
			`one: component web: ports http is "80", expected an integer`, false},
		{"libre's own words in its own repository, 2.34", "error:\n" + at("/home/me/catalogue/apps/one/default.nix:2:1", "/home/me/catalogue/nix/mkApp.nix:14:8", "error: one: components is empty"),
			"one: components is empty", false},
		{"refused", "error: Package ‘x-1’ in " + inSet + "pkgs/x.nix:7 is marked as broken, refusing to evaluate.\n" + at(inSet+"pkgs/stdenv/generic/check-meta.nix:1:1", made),
			"apps/one/default.nix:5:5: Package ‘x-1’ in pkgs/x.nix:7 is marked as broken, refusing to evaluate; to allow it, pass a nixpkgs with that config to mkCatalogue in flake.nix", true},
		{"nothing", "warning: hello\n", "", false},
	} {
		got := explain("/home/me/catalogue", test.log)
		if got.message != test.want || got.outside != test.outside {
			t.Errorf("%s: %q, outside %v, expected %q\n%s", test.name, got.message, got.outside, test.want, test.log)
		}
	}
}

func FuzzExplain(f *testing.F) {
	f.Add("/a", "error:\n at /a/apps/b:1:2:\nerror: x")
	f.Fuzz(func(t *testing.T, dir, log string) { explain(dir, log) })
}

// Nix reports only git's exit code. The error has git's own message.
func TestEvaluationSaysWhyGitFailed(t *testing.T) {
	got := explain("/catalogue", "fatal: couldn't find remote ref refs/heads/master\nerror: program 'git' failed with exit code 128\n")
	if want := "program 'git' failed with exit code 128: fatal: couldn't find remote ref refs/heads/master"; got.message != want {
		t.Errorf("%q, want %q", got.message, want)
	}
}
