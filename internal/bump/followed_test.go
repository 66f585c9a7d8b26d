package bump

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/nixedit"
)

func TestWhatDoesNotFollowTheVersionIsNamed(t *testing.T) {
	const oldCommit, newCommit = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"
	github := catalog.Source{Kind: "github", GitHub: "org/s", Tag: "v1.0.0", Revision: "v1.0.0", Commit: oldCommit, Date: "2026-01-01", Archive: "https://x.example/s-1.0.0.tar.gz"}
	good := github
	good.Tag, good.Revision, good.Commit, good.Date, good.Archive = "v1.1.0", "v1.1.0", newCommit, "2026-02-02", "https://x.example/s-1.1.0.tar.gz"
	to := step{version: "1.1.0", packageVersion: 1, tag: "v1.1.0", commit: newCommit, date: "2026-02-02", archive: "https://x.example/s-1.1.0.tar.gz"}
	git := catalog.Source{Kind: "git", Git: "https://x.example/s.git", Rev: oldCommit, Revision: oldCommit}
	module := catalog.Source{Kind: "goModule", GoModule: "example.org/s", Version: "v1.0.0", Revision: "v1.0.0"}
	for _, test := range []struct {
		name   string
		was    catalog.Source
		change func(is *catalog.Source)
		want   string // "": all is well
	}{
		{"all follows", github, func(is *catalog.Source) { *is = good }, ""},
		{"tag", github, func(is *catalog.Source) { *is = good; is.Tag = "v1.0.0" }, "apps/s/default.nix:7: source.tag stays v1.0.0, expected v1.1.0"},
		{"commit", github, func(is *catalog.Source) { *is = good; is.Commit = oldCommit }, "apps/s: source.commit stays " + oldCommit + ", expected " + newCommit},
		{"date", github, func(is *catalog.Source) { *is = good; is.Date = "2026-01-01" }, "apps/s: source.date stays 2026-01-01, expected 2026-02-02"},
		{"archive", github, func(is *catalog.Source) { *is = good; is.Archive = github.Archive }, "apps/s: source.archive stays https://x.example/s-1.0.0.tar.gz, expected https://x.example/s-1.1.0.tar.gz"},
		{"another archive", github, func(is *catalog.Source) { *is = good; is.Archive = "https://x.example/1.1.0" }, "source.archive became https://x.example/1.1.0, expected"},
		{"repository", github, func(is *catalog.Source) { *is = good; is.GitHub = "org/s-1.1.0" }, "source.github became org/s-1.1.0, expected org/s"},
		{"rev", git, func(is *catalog.Source) {}, "source.rev stays " + oldCommit + ", expected " + newCommit},
		{"rev that follows", git, func(is *catalog.Source) { is.Rev = newCommit }, ""},
		{"module's version", module, func(is *catalog.Source) {}, "source.version stays v1.0.0, expected v1.1.0"},
		{"module", module, func(is *catalog.Source) { is.Version = "v1.1.0"; is.GoModule = "example.org/s/v1.1.0" }, "source.goModule became example.org/s/v1.1.0"},
	} {
		was, is := catalog.App{Name: "s", Version: "1.0.0"}, catalog.App{Name: "s", Version: "1.1.0"}
		was.Positions = map[string]*catalog.Position{"source.tag": {File: "apps/s/default.nix", Line: 7}}
		before, after := test.was, test.was
		test.change(&after)
		was.Source, is.Source = &before, &after
		err := checkFollowed(was, is, to)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, expected %s", test.name, err, test.want)
		}
	}
}

func TestArchivesWithTheOldVersionInThemAreRefused(t *testing.T) {
	for _, test := range []struct{ was, is, want string }{
		{"https://x.example/s-1.0.0.tar.gz", "https://x.example/s-1.1.0.tar.gz", ""},
		{"https://x.example/s-1.0.0.tar.gz", "https://x.example/s-1.0.0.tar.gz", "source.archive stays"},
		{"https://x.example/v1.0.0/s-1.0.0.tar.gz", "https://x.example/v1.0.0/s-1.1.0.tar.gz", "in which v1.0.0 does not follow version"},
		{"https://x.example/1.0.0/s-1.0.0.tar.gz", "https://x.example/1.0.0/s-1.1.0.tar.gz", "in which 1.0.0 does not follow version"},
		{"https://x.example/get?tag=v1.0.0&f=s-1.0.0", "https://x.example/get?tag=v1.0.0&f=s-1.1.0", "in which v1.0.0 does not follow version"},
		{"https://x11.0.0.example/s-1.0.0.tgz", "https://x11.0.0.example/s-1.1.0.tgz", ""},
		{"https://127.1.0.0/s-1.0.0.tgz", "https://127.1.0.0/s-1.1.0.tgz", ""},
	} {
		app := func(version, archive string) catalog.App {
			return catalog.App{Name: "s", Version: version, Source: &catalog.Source{Archive: archive, Revision: "v" + version}}
		}
		err := checkArchive(app("1.0.0", test.was), app("1.1.0", test.is), step{version: "1.1.0", tag: "v1.1.0"})
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, expected %q", test.is, err, test.want)
		}
	}
}

func TestPatchesWhoseURLFollowsAndHashDoesNot(t *testing.T) {
	was := catalog.App{Name: "s", Changes: []catalog.SourceChange{{Patch: "https://x.example/1.0.0.patch"}, {Patch: "apps/s/a.patch"}}}
	if err := checkPatches(was, was); err != nil {
		t.Error(err)
	}
	if err := checkPatches(was, catalog.App{Name: "s", Changes: was.Changes[1:]}); err != nil {
		t.Errorf("one was dropped: %v", err)
	}
	for _, is := range []catalog.App{
		{Name: "s", Changes: []catalog.SourceChange{{Patch: "https://x.example/1.1.0.patch"}}},
		{Name: "s", VariantChanges: map[string][]catalog.SourceChange{"lyon": {{Patch: "https://x.example/1.1.0.patch"}}}},
	} {
		if err := checkPatches(was, is); err == nil || !strings.Contains(err.Error(), "https://x.example/1.1.0.patch, but its hash is unchanged") {
			t.Error(err)
		}
	}
}

func TestHashesOfOtherFilesThatDoNotFollowAreNamed(t *testing.T) {
	const source, deps, stays = "sha256-Source", "sha256-Deps", "sha256-Stays"
	hashes := edits{}
	for attribute, value := range map[string]string{"source.hash": "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "hashes.deps": "sha256-BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="} {
		var err error
		if hashes[attribute], err = nixedit.Hash(value); err != nil {
			t.Fatal(err)
		}
	}
	fixed := func(name, hash string, urls ...string) nix.Fixed {
		return nix.Fixed{Drv: "/nix/store/00000000000000000000000000000000-" + name + ".drv", Hash: hash, URLs: urls}
	}
	newSource, told := hashes["source.hash"].String(), hashes["hashes.deps"].String()
	for _, test := range []struct {
		name       string
		gone, came []nix.Fixed
		want       string
	}{
		{"the source", []nix.Fixed{fixed("source", source, "u/1")}, []nix.Fixed{fixed("source", newSource, "u/2")}, ""},
		{"a hash that a build told to be the same", []nix.Fixed{fixed("deps", told)}, []nix.Fixed{fixed("deps", told)}, ""},
		{"a file", []nix.Fixed{fixed("f-1", stays, "u/1")}, []nix.Fixed{fixed("f-2", stays, "u/2")}, "the hash sha256-Stays of u/2 does not follow version"},
		{"what a build makes", []nix.Fixed{fixed("vendor", stays)}, []nix.Fixed{fixed("vendor", stays)}, "the hash sha256-Stays of vendor does not follow version"},
		{"something new", []nix.Fixed{fixed("vendor", deps)}, []nix.Fixed{fixed("other", stays, "u")}, ""},
		{"the same source for two systems", nil, []nix.Fixed{fixed("source", newSource, "u/2"), fixed("source", newSource, "u/2")}, ""},
		{"a variant with the old source", nil, []nix.Fixed{fixed("source", newSource, "u/2"), fixed("source", newSource, "u/1")}, "u/2 and u/1 have the same hash"},
	} {
		err := checkFixed(catalog.App{Name: "s"}, test.gone, test.came, hashes)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, expected %q", test.name, err, test.want)
		}
	}
}

func TestLiteralsOfTheOwnProjectThatStayAreNamed(t *testing.T) {
	app := catalog.App{Name: "s", Version: "1.0.0", Source: &catalog.Source{GitHub: "org/s"},
		Changes: []catalog.SourceChange{{Patch: "https://github.com/org/s/compare/v1.0.0...fix.patch"}}}
	git := app
	git.Source = &catalog.Source{Git: "https://x.example/org/s.git"}
	for _, test := range []struct {
		app   catalog.App
		url   string
		named bool
	}{
		{app, "https://github.com/org/s/releases/download/v1.0.0/assets.tgz", true},
		{app, "https://github.com/org/s/raw/v1.0.0/fonts.zip", true},
		{app, "https://mirror.example/org/s/s-1.0.0.tar.gz", true},
		{git, "https://x.example/org/s/-/archive/v1.0.0/s.tar.gz", true},
		{app, "https://github.com/org/s/compare/v1.0.0...fix.patch", false},
		{app, "https://github.com/org/s/releases/download/v11.0.0/x", false},
		{app, "https://github.com/org/s/releases/download/assets-7/x", false},
		{app, "https://github.com/org/s-theme/archive/v1.0.0.tar.gz", false},
		{app, "https://ftp.example/gzip-1.0.0.tar.gz", false},
	} {
		err := checkUnchanged(test.app, []nix.Fixed{{URLs: []string{test.url}}})
		if (err != nil) != test.named || err != nil && !strings.Contains(err.Error(), test.url) {
			t.Errorf("%s: %v", test.url, err)
		}
	}
}
