package site

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Writer writes a site, app by app: what an image is made of is needed only while its app is
// added. Its methods may be called at once.
type Writer struct {
	catalogue Catalogue
	write     func(name string, content []byte) error
	languages []*language

	mu    sync.Mutex
	files map[string]bool // all files and folders; true for files
	apps  []*summary
}

// NewWriter returns a Writer, which hands over each file once. A name is a path with slashes,
// relative to the site's folder. write may be called several times at once.
func NewWriter(catalogue Catalogue, write func(name string, content []byte) error) (*Writer, error) {
	w := &Writer{catalogue: catalogue, write: write, files: map[string]bool{}}
	for _, code := range codes {
		l, err := newLanguage(code)
		if err != nil {
			return nil, err
		}
		w.languages = append(w.languages, l)
	}
	return w, nil
}

// Add writes the pages of an app. Of a name that cannot be a part of a path it is an error.
func (w *Writer) Add(app *App) error {
	if err := app.check(); err != nil {
		return err
	}
	s := summarise(app)
	if err := w.page(appPath(app.Name), "app", s.about(), w.appView(app, s)); err != nil {
		return err
	}
	if err := w.releases(app); err != nil {
		return err
	}
	for i := range app.Releases {
		if err := w.release(app, &app.Releases[i]); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.apps = append(w.apps, s)
	return nil
}

func (w *Writer) release(app *App, r *Release) error {
	about := about{Title: app.Name + " " + r.Tag, Description: r.Reference}
	if r.Variant != "default" {
		about.Title = app.Name + "/" + r.Variant + " " + r.Tag
	}
	if err := w.page(releasePath(app.Name, r), "release", about, w.releaseView(app, r)); err != nil {
		return err
	}
	if !r.Verified {
		return nil
	}
	for i := range r.Images {
		if !r.Images[i].Verified {
			continue
		}
		for j := range r.Images[i].Platforms {
			if err := w.platform(app, r, &r.Images[i], &r.Images[i].Platforms[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Finish writes the pages about all apps.
func (w *Writer) Finish() error {
	slices.SortFunc(w.apps, func(a, b *summary) int { return cmp.Compare(a.Name, b.Name) })
	if err := w.index(); err != nil {
		return err
	}
	for name, content := range assets() {
		if err := w.file(name, content); err != nil {
			return err
		}
	}
	if len(w.catalogue.Key) > 0 {
		if err := w.file(keyFile, w.catalogue.Key); err != nil {
			return err
		}
	}
	list, err := w.list()
	if err != nil {
		return err
	}
	if err := w.file("catalogue.json", list); err != nil {
		return err
	}
	feed, err := w.feed()
	if err != nil {
		return err
	}
	return w.file("feed.atom", feed)
}

// page writes a page in each language.
func (w *Writer) page(path, kind string, about about, view func(*language) any) error {
	for _, l := range w.languages {
		content, err := l.render(kind, &page{about: about, Language: l, Path: path, Catalogue: &w.catalogue, View: view(l)})
		if err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
		if err := w.file(l.folder()+path, content); err != nil {
			return err
		}
	}
	return nil
}

// file hands over a file. Two of one name, and a folder with the name of a file, are errors.
func (w *Writer) file(name string, content []byte) error {
	if err := w.take(name); err != nil {
		return err
	}
	return w.write(name, content)
}

func (w *Writer) take(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, taken := w.files[name]; taken {
		return takenTwice(name)
	}
	w.files[name] = true
	for i := range name {
		if folder := name[:i]; strings.HasPrefix(name[i:], "/") {
			if w.files[folder] {
				return takenTwice(folder)
			}
			w.files[folder] = false
		}
	}
	return nil
}

func takenTwice(name string) error {
	return fmt.Errorf("%s would be two pages, or a page and a folder: rename one of the apps, components or variants", name)
}
