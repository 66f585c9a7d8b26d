// Package withdrawn is about releases that nobody should use any more: the catalogue's list of
// them, and the statement that is signed of it.
package withdrawn

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/yamlfile"
)

// File is the list's name in a catalogue: a mapping with the key withdrawn, whose value is a
// list of mappings with app, version, reason and date.
const File = "withdrawn.yaml"

const listKey = "withdrawn"

// Release is a withdrawn release of an app, in all its variants.
type Release struct {
	App    string
	Tag    string    // APPVERSION-PKGVERSION
	Reason string    // one line, for people
	Date   time.Time // the day of the withdrawal, UTC
}

// List has withdrawn releases. It is nil if the catalogue has no file.
type List []Release

// Of are the withdrawn releases of an app.
func (l List) Of(app string) List {
	return slices.DeleteFunc(slices.Clone(l), func(r Release) bool { return r.App != app })
}

// Find is a withdrawn release; nil if it is not withdrawn.
func (l List) Find(app, tag string) *Release {
	i := slices.IndexFunc(l, func(r Release) bool { return r.App == app && r.Tag == tag })
	if i < 0 {
		return nil
	}
	return &l[i]
}

// Load reads the list of the catalogue in dir. The error has a line for each problem:
// FILE:LINE: what is wrong; how to fix it.
func Load(dir string) (List, error) {
	content, err := file.ReadOwn(filepath.Join(dir, File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		if wrong := (*fs.PathError)(nil); errors.As(err, &wrong) {
			err = wrong.Err // without the path on this machine
		}
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	return Parse(content)
}

// Parse reads the text of a list. Errors are as Load's.
func Parse(content []byte) (List, error) {
	in := &yamlfile.Reading{File: File}
	all := List{}
	for _, node := range in.Elements(in.Read(content), listKey) {
		r, ok := parseRelease(in, node)
		if !ok {
			continue
		}
		if all.Find(r.App, r.Tag) != nil {
			in.Wrong(node.Line, fmt.Sprintf("%s %s is withdrawn twice", r.App, r.Tag), "remove one of the two")
			continue
		}
		all = append(all, r)
	}
	return all, in.Err()
}

type key struct {
	name, example string
	read          func(*Release, string) error
}

// keys are those of a release, all of them required.
var keys = []key{
	{"app", "docs", func(r *Release, value string) error { r.App = value; return CheckApp(value) }},
	{"version", "5.4.0-1", func(r *Release, value string) error { r.Tag = value; return CheckTag(value) }},
	{"reason", "Loses messages if two people edit at once.", func(r *Release, value string) error { r.Reason = value; return CheckReason(value) }},
	{"date", "2026-11-29", func(r *Release, value string) (err error) {
		if r.Date, err = time.Parse(time.DateOnly, value); err != nil {
			return fmt.Errorf("%q is not a date", text.Short(value, mostShown))
		}
		return nil
	}},
}

func parseRelease(in *yamlfile.Reading, node *yaml.Node) (Release, bool) {
	before := len(in.Problems)
	var r Release
	if node.Kind != yaml.MappingNode {
		in.Wrong(node.Line, "a withdrawn release is not a mapping", "write app, version, reason and date")
		return r, false
	}
	seen := map[string]bool{}
	for name, value := range in.Pairs(node) {
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name.Value })
		if i < 0 {
			in.Wrong(name.Line, fmt.Sprintf("unknown key %q", text.Short(name.Value, mostShown)), "use app, version, reason and date")
			continue
		}
		seen[name.Value] = true
		content, err := yamlfile.Text(value)
		if err == nil {
			err = keys[i].read(&r, content)
		}
		if err != nil {
			in.Wrong(value.Line, fmt.Sprintf("%s: %v", name.Value, err), "for example: "+name.Value+": "+keys[i].example)
		}
	}
	for _, key := range keys {
		if !seen[key.name] {
			in.Wrong(node.Line, "a withdrawn release has no "+key.name, "for example: "+key.name+": "+key.example)
		}
	}
	return r, len(in.Problems) == before
}

// mostShown is how much of a wrong value an error quotes, in bytes.
const mostShown = 60

// These limit what a list and a statement may say.
const (
	MostReason = 500  // bytes of a reason
	MostListed = 1000 // releases in a statement
)

var (
	appForm = lazyregexp.New(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	tagForm = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

// CheckApp returns an error if a text cannot be an app's name.
func CheckApp(app string) error {
	if !appForm().MatchString(app) {
		return fmt.Errorf("%q is not the name of an app", text.Short(app, mostShown))
	}
	return nil
}

// CheckTag returns an error if a text is not the version of a release.
func CheckTag(tag string) error {
	if _, _, is := catalog.ParseTag(tag); !is || !tagForm().MatchString(tag) {
		return fmt.Errorf("%q is not the version of a release, such as 5.4.0-1: APPVERSION-PACKAGEVERSION", text.Short(tag, mostShown))
	}
	return nil
}

// CheckReason returns an error if a text is no reason that can be shown on one line.
func CheckReason(reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return errors.New("it is empty")
	case strings.ContainsAny(reason, "\n\r"):
		return errors.New("it has more than one line")
	case strings.ContainsFunc(reason, text.Harmful):
		return errors.New("it has a control character, or one that nobody sees")
	case len(reason) > MostReason:
		return fmt.Errorf("it has %d bytes, at most %d are allowed", len(reason), MostReason)
	}
	return nil
}
