package site

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

//go:embed templates assets
var files embed.FS

// Policy is the Content-Security-Policy of the pages: nothing of another host, no script and
// style within a page, nothing that a script makes markup of.
const Policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// keyFile is the name of the public keys, beside the index.
const keyFile = "cosign.pub"

// about describes a page.
type about struct{ Title, Description string }

// page is the input of a template.
type page struct {
	about
	Language  *language
	Path      string // below the folder of the language
	Catalogue *Catalogue
	View      any
}

// Root leads to the site's folder: ../../
func (p *page) Root() string {
	return strings.Repeat("../", strings.Count(p.Language.folder()+p.Path, "/"))
}

// Link leads to another page in this language.
func (p *page) Link(to string) string { return p.Root() + p.Language.folder() + to }

// File leads to a file that is no page.
func (p *page) File(to string) string { return p.Root() + to }

// Others are this page in the other languages.
func (p *page) Others() []alternate {
	var all []alternate
	for _, code := range codes {
		if code != p.Language.Code {
			all = append(all, p.alternate(code))
		}
	}
	return all
}

// Alternates are this page in all languages.
func (p *page) Alternates() []alternate {
	var all []alternate
	for _, code := range codes {
		all = append(all, p.alternate(code))
	}
	return all
}

type alternate struct{ Code, Name, Link string }

func (p *page) alternate(code string) alternate {
	other := language{Code: code}
	return alternate{code, names[code], p.Root() + other.folder() + p.Path}
}

// language writes pages in one language.
type language struct {
	Code      string
	templates *template.Template
}

// fixedLabel is a label in a template, by its name alone. It is the same on all pages of a
// language, so it is translated before the template is read.
var fixedLabel = lazyregexp.New(`\{\{t "([^"]+)"\}\}`)

func newLanguage(code string) (*language, error) {
	l := &language{Code: code}
	l.templates = template.New("").Funcs(l.functions())
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		translated := fixedLabel().ReplaceAllStringFunc(string(text), func(label string) string {
			return template.HTMLEscapeString(l.label(fixedLabel().FindStringSubmatch(label)[1]))
		})
		if _, err := l.templates.Parse(translated); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return l, nil
}

// folder is where the pages are: English ones are the site's own.
func (l *language) folder() string {
	if l.Code == codes[0] {
		return ""
	}
	return l.Code + "/"
}

func (l *language) render(kind string, view any) ([]byte, error) {
	var b bytes.Buffer
	err := l.templates.ExecuteTemplate(&b, kind, view)
	return b.Bytes(), err
}

func (l *language) functions() template.FuncMap {
	return template.FuncMap{
		"t":      l.label,
		"count":  l.count,
		"line":   func(outside string) string { return text.Short(outside, mostOfLine) },
		"date":   func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"short":  shortDigest,
		"size":   l.size,
		"policy": func() string { return Policy },
		"web":    webAddress,
		"host": func(address string) string {
			_, place, _ := strings.Cut(text.Line(address), "://")
			return strings.TrimSuffix(place, "/")
		},
		"join":  func(all []string) string { return text.Line(strings.Join(all, ", ")) },
		"pairs": pairs,
	}
}

// pairs makes a map of names and values, for templates that need more than one value.
func pairs(values ...any) map[string]any {
	all := map[string]any{}
	for i := 0; i+1 < len(values); i += 2 {
		all[values[i].(string)] = values[i+1]
	}
	return all
}

// size is a number of bytes in the language's units.
func (l *language) size(bytes int64) string {
	n, unit := float64(bytes), 0
	for n >= 999.5 && unit < len(units[l.Code])-1 {
		n /= 1000
		unit++
	}
	number := fmt.Sprintf("%.0f", n)
	if unit > 0 && n < 9.95 {
		number = fmt.Sprintf("%.1f", n)
	}
	if l.Code == "fr" {
		number = strings.ReplaceAll(number, ".", ",")
	}
	return number + "\u00a0" + units[l.Code][unit]
}

// shortDigest returns sha256: and enough digits to tell digests apart.
func shortDigest(digest string) string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return algorithm + ":" + hex[:min(len(hex), 12)]
}

// webAddress is the address of a page elsewhere, or "" of anything else.
func webAddress(address string) string {
	if strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://") {
		return address
	}
	return ""
}

// assets are the files that all pages use.
func assets() map[string][]byte {
	all := map[string][]byte{}
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, entry := range entries {
		content, err := files.ReadFile(path.Join("assets", entry.Name()))
		if err != nil {
			panic(err)
		}
		all[entry.Name()] = content
	}
	return all
}
