package sbom

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/inspect"
)

// Scanner finds packages in images with the program libre-inspect. It reads a store path of
// several images only once. It is safe for concurrent use.
type Scanner struct {
	program inspect.Client[Question, Answer]
	limits  Limits

	mu      sync.Mutex
	asked   map[string]*Document         // by store path and places
	modules map[string]map[string]string // licenses by folder
}

// Question asks about an image of a layout, about store paths, or about vendored modules.
// Without any of these it asks for the versions of the program's tools.
type Question struct {
	Layout     string       `json:",omitempty"` // folder of the OCI layout
	Subject    Subject      `json:",omitzero"`  // the image in the layout
	StorePaths []PlacedPath `json:",omitempty"`
	Modules    string       `json:",omitempty"` // folder that `go mod vendor` made
	Texts      bool         `json:",omitempty"` // read the license texts in the image, and find no packages
	Limits     Limits       `json:",omitzero"`
}

// PlacedPath is a store path in an image.
type PlacedPath struct {
	StorePath string
	Where     []string // absolute folders of the image: its own path, or "/" for the root directory
}

// Answer has the results for a question.
type Answer struct {
	Document  *Document
	Documents []*Document       `json:",omitempty"` // of the store paths, in their order
	Licenses  map[string]string `json:",omitempty"` // of modules: SPDX expressions
	Texts     map[string]string `json:",omitempty"` // of licenses, by the absolute path in the image
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

// Tools returns the tools with which the program finds packages.
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

// LicenseTexts returns the license texts in the files of an image of an OCI layout, by their
// absolute paths in the image.
func (s *Scanner) LicenseTexts(ctx context.Context, layout string, subject Subject) (map[string]string, error) {
	layout, err := filepath.Abs(layout)
	if err != nil {
		return nil, err
	}
	answer, err := s.ask(ctx, "reading the license texts of "+subject.Name, Question{Layout: layout, Subject: subject, Texts: true})
	return answer.Texts, err
}

// FromStorePaths lists the packages in each store path of a closure. It does not read paths in
// known. The others must be in the store.
func (s *Scanner) FromStorePaths(ctx context.Context, closure *Document, known Findings) (Findings, error) {
	s.mu.Lock()
	defer s.mu.Unlock() // another image's store paths are not read twice
	found := Findings{}
	var missing []Component
	var question Question
	for _, c := range closure.Components {
		document := cmp.Or(known[c.ID], s.asked[c.placed()])
		found[c.ID] = document
		if document == nil {
			missing = append(missing, c)
			question.StorePaths = append(question.StorePaths, PlacedPath{c.StorePath, c.Where})
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	answer, err := s.ask(ctx, "reading the files of store paths", question)
	if err != nil {
		return nil, err
	}
	if len(answer.Documents) != len(missing) {
		return nil, fmt.Errorf("reading the files of store paths: %s answered for %d of %d", inspect.Program, len(answer.Documents), len(missing))
	}
	for i, c := range missing {
		found[c.ID] = answer.Documents[i]
		s.asked[c.placed()] = answer.Documents[i]
	}
	return found, nil
}

// placed returns a key for a store path with its places.
func (c *Component) placed() string {
	return strings.Join(append([]string{c.StorePath}, c.Where...), "\x00")
}

func (s *Scanner) ask(ctx context.Context, what string, question Question) (Answer, error) {
	question.Limits = s.limits
	return s.program.Ask(ctx, what, question)
}

// Close ends the program.
func (s *Scanner) Close() { s.program.Close() }
