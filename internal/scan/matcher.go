package scan

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/libresh/libre/internal/inspect"
	"github.com/libresh/libre/internal/sbom"
)

// Question asks libre-inspect which vulnerabilities the database in a folder has for
// components. Without components it asks about the database itself.
type Question struct {
	Database   string // folder with vulnerability.db
	Index      bool   // make the indexes first, which a downloaded database lacks
	Components []Component
	Memory     int64 // limit in bytes
}

// Component has the fields by which the database is searched. The reply refers to it by ID.
type Component struct {
	ID, Name, Version, Type, PURL string
	CPEs                          []string `json:",omitempty"`
}

// Reply is the answer of libre-inspect.
type Reply struct {
	Database  Database
	Matches   []Match
	Unmatched []string // IDs of the components that no database can have: without a version or a known ecosystem
}

// Matcher compares components with the database. Close it after use.
type Matcher struct {
	program inspect.Client[Question, Reply]
	memory  int64
}

// defaultMemory is several times the memory that 20,000 components need.
const defaultMemory = 4 << 30

// NewMatcher finds libre-inspect beside libre or in PATH. memory limits its memory, in bytes; 0
// is the default.
func NewMatcher(memory int64) (*Matcher, error) {
	path, err := inspect.Find()
	if err != nil {
		return nil, fmt.Errorf("looking for vulnerabilities: %w", err)
	}
	return NewMatcherAt(path, memory), nil
}

// NewMatcherAt is like NewMatcher with the path of libre-inspect.
func NewMatcherAt(path string, memory int64) *Matcher {
	return &Matcher{
		program: inspect.Client[Question, Reply]{Path: path, Task: inspect.Vulnerabilities},
		memory:  cmp.Or(memory, defaultMemory),
	}
}

// Close ends the program.
func (m *Matcher) Close() { m.program.Close() }

// describe reads the description of a source's database. If index is true, it makes the
// database's indexes first.
func (m *Matcher) describe(ctx context.Context, source, dir string, index bool) (Database, error) {
	answer, err := m.program.Ask(ctx, "reading "+publicSource(source), Question{Database: dir, Index: index, Memory: m.memory})
	return answer.Database, err
}

// match looks up the components of a document. The reply refers to them by number, because an
// ID may not be valid text.
func (m *Matcher) match(ctx context.Context, dir string, document *sbom.Document) (Reply, error) {
	question := Question{Database: dir, Memory: m.memory, Components: make([]Component, len(document.Components))}
	for i, c := range document.Components {
		question.Components[i] = Component{strconv.Itoa(i), c.Name, c.Version, c.Type, c.PURL, c.CPEs}
	}
	return m.program.Ask(ctx, "looking for vulnerabilities in "+cmp.Or(document.Subject.Name, "the SBOM"), question)
}
