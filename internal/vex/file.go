package vex

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/yamlfile"
)

// FileOf returns the path of an app's statements in its catalogue.
func FileOf(app string) string { return path.Join("apps", app, "vex.yaml") }

// Load reads the statements of an app from a catalogue in dir. Without a file there are none.
// now is the time at which statements must not be expired. The error has a line for each
// problem: FILE:LINE: what is wrong; how to fix it.
func Load(dir string, app catalog.App, now time.Time) ([]Statement, error) {
	name := FileOf(app.Name)
	text, err := file.ReadOwn(filepath.Join(dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		if wrong := (*fs.PathError)(nil); errors.As(err, &wrong) {
			err = wrong.Err // without the path on this machine
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	statements, err := Parse(name, text, now)
	return statements, errors.Join(err, checkScopes(name, statements, app), checkFixes(statements, app))
}

// checkFixes refuses statements about whole images that contradict a patch of the definition.
// For a statement about a package, only the image can tell whether the package has the patch:
// see For.
func checkFixes(statements []Statement, app catalog.App) error {
	var problems []error
	for _, s := range statements {
		if s.Package != "" || s.Status == Fixed || !s.Versions.Has(app.Version) {
			continue
		}
		for _, variant := range app.Variants {
			if len(s.Variants) > 0 && !slices.Contains(s.Variants, variant) {
				continue
			}
			if i := slices.IndexFunc(ChangesOf(app, variant), func(c catalog.SourceChange) bool { return s.concerns(c.Fixes) }); i >= 0 {
				patch := path.Base(ChangesOf(app, variant)[i].Patch)
				problems = append(problems, contradiction(&s, &Statement{Status: Fixed, Patch: sbom.Patch{Name: patch}, Place: "the definition of " + app.Name + "/" + variant}))
				break
			}
		}
	}
	return errors.Join(problems...)
}

// checkScopes refuses statements about components and variants that the app does not have.
func checkScopes(name string, statements []Statement, app catalog.App) error {
	in := newReading(name)
	for _, s := range statements {
		in.checkScope(s, "component", s.Components, slices.Sorted(maps.Keys(app.Components)))
		in.checkScope(s, "variant", s.Variants, app.Variants)
	}
	return in.Err()
}

// checkScope refuses names that the app does not have, because the statement would be about
// nothing.
func (r *reading) checkScope(s Statement, what string, names, known []string) {
	for _, name := range names {
		if !slices.Contains(known, name) {
			r.Wrong(line(s), fmt.Sprintf("the statement about %s is about the %s %q, which the app does not have", s.Vulnerability, what, name),
				"use "+joined(known))
		}
	}
}

// clockSkew is the accepted difference between our clock or time zone and the author's.
const clockSkew = 24 * time.Hour

// Parse reads the text of a vex.yaml. name is the name of the file for errors, which are those
// of Load.
func Parse(name string, text []byte, now time.Time) ([]Statement, error) {
	in := newReading(name)
	statements := in.statements(in.Read(text))
	for i, s := range statements {
		if s.Date.After(now.Add(clockSkew)) {
			in.Wrong(line(s), fmt.Sprintf("the date of the statement about %s, %s, is in the future", s.Vulnerability, s.Date.Format(time.DateOnly)),
				"set the day on which it was made")
		}
		if s.expired(now) {
			in.Wrong(line(s), fmt.Sprintf("the statement about %s expired on %s", s.Vulnerability, s.Expires.Format(time.DateOnly)),
				"check whether it still holds: then set a later day, else remove it")
		}
		for _, former := range statements[:i] {
			if s.sameSubject(&former) && !s.agrees(&former) {
				in.contradicts(&s, &former)
			}
		}
	}
	return statements, in.Err()
}

// line returns the line of a statement's place.
func line(s Statement) int {
	n := 0
	_, text, _ := strings.Cut(s.Place, ":")
	fmt.Sscan(text, &n)
	return n
}

// reading collects the problems of a file.
type reading struct{ yamlfile.Reading }

func newReading(file string) reading { return reading{yamlfile.Reading{File: file}} }

func (r *reading) contradicts(s, former *Statement) {
	r.Problems = append(r.Problems, contradiction(s, former))
}

// contradiction returns the error for two statements of which one must be removed.
func contradiction(s, former *Statement) error {
	return &fault.Fault{
		Err: fmt.Errorf("%s: %s is %s here, and %s in %s", s.Place, s.Vulnerability, s, former, former.Place),
		Fix: "remove one, or limit them to different packages, components, variants or versions",
	}
}
