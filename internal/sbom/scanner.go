package sbom

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/inspect"
)

// Scanner finds packages in images with the program libre-inspect. A store path of several
// images is read once. The methods may be called from several goroutines at once.
type Scanner struct {
	program inspect.Client[Question, Answer]
	limits  Limits

	mu      sync.Mutex
	asked   map[string]*Document         // by store path and places
	modules map[string]map[string]string // licenses by folder
}

// Question is about an image of a layout, about a store path, about vendored modules or, with
// none, about the versions of the program's tools.
type Question struct {
	Layout    string   `json:",omitempty"` // folder of the OCI layout
	Subject   Subject  `json:",omitzero"`  // the image in the layout
	StorePath string   `json:",omitempty"`
	Where     []string `json:",omitempty"` // folders of the store path in the image
	Modules   string   `json:",omitempty"` // folder that `go mod vendor` made
	Texts     bool     `json:",omitempty"` // read the texts of licenses in the image, and find no packages
	Limits    Limits   `json:",omitzero"`
}

// Answer has what the question is about.
type Answer struct {
	Document *Document
	Licenses map[string]string `json:",omitempty"` // of modules: SPDX expressions
	Texts    map[string]string `json:",omitempty"` // of licenses, by the absolute path in the image
}

// NewScanner finds the program beside libre or in PATH.
func NewScanner(limits Limits) (*Scanner, error) {
	path, err := inspect.Find()
	if err != nil {
		return nil, fmt.Errorf("making an SBOM: %w", err)
	}
	return newScanner(path, limits), nil
}

func newScanner(path string, limits Limits) *Scanner {
	return &Scanner{
		program: inspect.Client[Question, Answer]{Path: path, Task: inspect.Packages},
		limits:  limits.orDefault(), asked: map[string]*Document{}, modules: map[string]map[string]string{},
	}
}

// Tools gives the tools that the program finds packages with.
func (s *Scanner) Tools(ctx context.Context) ([]Tool, error) {
	answer, err := s.ask(ctx, "asking "+inspect.Program+" for its version", Question{})
	if err != nil {
		return nil, err
	}
	return answer.Document.Tools, nil
}

// FromLayout lists the packages in the files of an image of an OCI layout, by the
// manifest of the subject. It uses no daemon and no network.
func (s *Scanner) FromLayout(ctx context.Context, layout string, subject Subject) (*Document, error) {
	layout, err := filepath.Abs(layout)
	if err != nil {
		return nil, err
	}
	answer, err := s.ask(ctx, "reading the files of "+subject.Name, Question{Layout: layout, Subject: subject})
	return answer.Document, err
}

// ModuleLicenses finds the licenses of the Go modules in a folder that `go mod vendor` made, by
// their texts: module → SPDX expression.
func (s *Scanner) ModuleLicenses(ctx context.Context, vendor string) (map[string]string, error) {
	s.mu.Lock()
	known, asked := s.modules[vendor]
	s.mu.Unlock()
	if asked {
		return known, nil
	}
	answer, err := s.ask(ctx, "reading the licenses in "+vendor, Question{Modules: vendor})
	if err == nil {
		s.mu.Lock()
		s.modules[vendor] = answer.Licenses
		s.mu.Unlock()
	}
	return answer.Licenses, err
}

// LicenseTexts reads the texts of licenses in the files of an image of an OCI layout, by their
// absolute paths in the image.
func (s *Scanner) LicenseTexts(ctx context.Context, layout string, subject Subject) (map[string]string, error) {
	layout, err := filepath.Abs(layout)
	if err != nil {
		return nil, err
	}
	answer, err := s.ask(ctx, "reading the license texts of "+subject.Name, Question{Layout: layout, Subject: subject, Texts: true})
	return answer.Texts, err
}

// FromStorePaths lists the packages in each store path of a closure. It does not read
// paths in known; the others must be in the store.
func (s *Scanner) FromStorePaths(ctx context.Context, closure *Document, known Findings) (Findings, error) {
	found := Findings{}
	for _, c := range closure.Components {
		document := known[c.ID]
		if document == nil {
			var err error
			if document, err = s.fromStorePath(ctx, c); err != nil {
				return nil, err
			}
		}
		found[c.ID] = document
	}
	return found, nil
}

func (s *Scanner) fromStorePath(ctx context.Context, c Component) (*Document, error) {
	key := strings.Join(append([]string{c.StorePath}, c.Where...), "\x00")
	s.mu.Lock()
	document := s.asked[key]
	s.mu.Unlock()
	if document != nil {
		return document, nil
	}
	answer, err := s.ask(ctx, "reading the files of "+c.StorePath, Question{StorePath: c.StorePath, Where: c.Where})
	if err == nil {
		s.mu.Lock()
		s.asked[key] = answer.Document
		s.mu.Unlock()
	}
	return answer.Document, err
}

func (s *Scanner) ask(ctx context.Context, what string, question Question) (Answer, error) {
	question.Limits = s.limits
	return s.program.Ask(ctx, what, question)
}

// Close ends the program.
func (s *Scanner) Close() { s.program.Close() }
