package newapp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/upstream"
)

// Maker makes definitions.
type Maker struct {
	Upstream *upstream.Client
	Dir      string // the catalogue
	Getenv   func(string) string
	Now      time.Time
	Image    func(ctx context.Context, reference string) (*Image, error) // reads an image
	Progress func(doing string)
}

// Request names the source of a definition. One of From, GoModule and Image is given.
type Request struct {
	Name           string
	From           string // an address or a folder
	GoModule       string
	Containerfiles []string
	Image          string // "" for none
}

// Made is a first definition.
type Made struct {
	*Findings
	Files map[string][]byte // of the catalogue, by path
	From  string            // what it was made of, to show
}

var appName = lazyregexp.New(`\A[a-z0-9]+(?:[._-][a-z0-9]+)*\z`)

// Make looks at a source, and makes a definition of what it finds. Hashes that need a build
// are empty.
func (m *Maker) Make(ctx context.Context, r Request) (*Made, error) {
	if !appName().MatchString(r.Name) || len(r.Name) > 60 {
		return nil, fmt.Errorf("name %q, expected lower-case letters and digits, separated by \".\", \"_\" or \"-\"", r.Name)
	}
	o := Options{Name: r.Name, Containerfiles: r.Containerfiles}
	if r.Image != "" {
		m.Progress("reading " + r.Image)
		image, err := m.Image(ctx, r.Image)
		if err != nil {
			return nil, err
		}
		o.Image = image
		if r.From == "" && r.GoModule == "" {
			r.From = image.Source()
		}
	}
	if r.From == "" && r.GoModule == "" {
		return m.rebuild(o)
	}
	at := place{source: upstream.Source{Kind: "goModule", Location: r.GoModule}}
	if r.GoModule == "" {
		var err error
		if at, err = m.placeOf(ctx, r.From, r.Name); err != nil {
			return nil, err
		}
	}
	return m.look(ctx, at, o)
}

// look fetches the source, and looks at it.
func (m *Maker) look(ctx context.Context, at place, o Options) (*Made, error) {
	source, files, err := m.fetch(ctx, at)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	o.Version = source.Version
	m.Progress("looking at it")
	findings, err := Look(files, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source.From, err)
	}
	if page := m.Upstream.RepositoryOf(at.source); source.Kind != "path" {
		findings.setHomepage(page)
	}
	if source.Tag == "" && source.Kind != "path" {
		findings.lookAt("the source has no release tag, so libre bump does not follow it")
	}
	return findings.made(o, source), nil
}

// made is the result, with the files of the catalogue.
func (f *Findings) made(o Options, source Source) *Made {
	files := map[string][]byte{}
	folder := path.Join("apps", o.Name)
	for name, content := range f.Files {
		files[path.Join(folder, "src", name)] = content
	}
	if len(files) > 0 {
		source = Source{Kind: "path", Location: "./src", Version: source.Version, From: source.From}
	}
	if source.Kind == "path" {
		f.lookAt("the source is in the catalogue: raise version by hand when it changes")
	}
	files[path.Join(folder, "default.nix")] = f.Definition(source)
	return &Made{Findings: f, Files: files, From: source.From}
}

// rebuild makes an app of an image as it is.
func (m *Maker) rebuild(o Options) (*Made, error) {
	if o.Image == nil {
		return nil, errors.New("no source for the app: give --from, --go-module or --image")
	}
	_, tag := ImageName(o.Image.Reference)
	o.Version = cmp.Or(usableVersion(o.Image.Config.Labels[label+"version"]), usableVersion(tag), "0.1.0")
	f, err := Rebuilt(o)
	if err != nil {
		return nil, err
	}
	return f.made(o, Source{Kind: "path", Version: o.Version, From: text.Name(o.Image.Reference)}), nil
}

var versionForm = lazyregexp.New(`\Av?([0-9][0-9A-Za-z._-]*)\z`)

// usableVersion returns a version from outside, or "" if it is not usable.
func usableVersion(outside string) string {
	if m := versionForm().FindStringSubmatch(outside); m != nil && len(outside) < 100 {
		return m[1]
	}
	return ""
}

// files are those of a source, until they are closed.
type files interface {
	fs.FS
	io.Closer
}

// fetch chooses a release and fetches it.
func (m *Maker) fetch(ctx context.Context, at place) (Source, files, error) {
	s := Source{Kind: at.source.Kind, Location: at.source.Location, Forge: at.source.Forge}
	s.From = text.Name(cmp.Or(m.Upstream.RepositoryOf(at.source), s.Location))
	if s.Kind == "path" {
		root, err := os.OpenRoot(at.folder)
		if err != nil {
			return s, nil, err
		}
		s.Location, s.Version, s.From = at.inNix, "0.1.0", at.folder
		return s, folder{root.FS(), root}, nil
	}
	finder, err := m.Upstream.Open(at.source)
	if err != nil {
		return s, nil, err
	}
	m.Progress("asking for releases")
	if err := m.choose(ctx, finder, at, &s); err != nil {
		return s, nil, err
	}
	m.Progress("fetching " + cmp.Or(s.Tag, s.Commit))
	archive, err := m.archive(ctx, finder, s)
	if err != nil {
		return s, nil, err
	}
	if s.Kind != "git" { // nix itself fetches it
		s.Hash = archive.Hash
	}
	s.Commit = cmp.Or(s.Commit, archive.Commit)
	if s.Date == "" && !archive.Date.IsZero() {
		s.Date = archive.Date.UTC().Format(time.DateOnly)
	}
	if s.Tag == "" {
		s.Version = "0-unstable-" + cmp.Or(s.Date, m.Now.UTC().Format(time.DateOnly))
	}
	return s, archive, nil
}

// folder is a folder on this machine, from which no link leads out.
type folder struct {
	fs.FS
	io.Closer
}

// choose chooses the release: the named one, else the newest, else the newest commit.
func (m *Maker) choose(ctx context.Context, finder upstream.Finder, at place, s *Source) error {
	var choice *bump.Choice
	var err error
	if at.tag != "" {
		choice, err = bump.ChoiceOf(ctx, finder, at.tag)
	} else {
		choice, err = bump.Newest(ctx, finder, m.Now)
	}
	if err != nil {
		return err
	}
	if choice != nil {
		s.Tag, s.Version, s.Commit, s.Date = choice.Tag, choice.Version, choice.Commit, choice.Date
		return nil
	}
	if s.Kind == "goModule" {
		return fmt.Errorf("%s has no release: name its repository with --from", s.Location)
	}
	s.Commit, err = m.Upstream.DefaultCommit(ctx, m.Upstream.RepositoryOf(at.source))
	return err
}

// archive fetches what was chosen.
func (m *Maker) archive(ctx context.Context, finder upstream.Finder, s Source) (*upstream.Archive, error) {
	switch s.Kind {
	case "goModule":
		return m.Upstream.ModuleArchive(ctx, s.Location, s.Tag)
	case "git":
		return m.Upstream.GitArchive(ctx, s.Location, s.Commit)
	}
	url := m.Upstream.RepositoryOf(upstream.Source{Kind: s.Kind, Location: s.Location}) + "/archive/" + s.Commit + ".tar.gz"
	if s.Tag != "" {
		url = finder.Links("", s.Tag).Archive
	}
	return m.Upstream.Archive(ctx, url)
}
