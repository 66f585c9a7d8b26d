package sbom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/process"
)

// Program is the name of the program that finds packages in files. It is a program of its
// own because syft takes long to start.
const Program = "libre-inspect"

// Scanner finds packages in images with the program. One process, started with the first
// question, answers all of them in turn. A store path of several images is read once. The
// methods may be called from several goroutines at once.
type Scanner struct {
	path   string
	limits Limits

	mu      sync.Mutex
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	log     bytes.Buffer
	asked   map[string]*Document         // by store path and places
	modules map[string]map[string]string // licenses by folder
}

// Question is a line of the program's standard input. It is about an image of a layout,
// about a store path, about vendored modules or, with none, about the versions of the program's
// tools.
type Question struct {
	Layout    string   `json:",omitempty"` // folder of the OCI layout
	Subject   Subject  `json:",omitzero"`  // the image in the layout
	StorePath string   `json:",omitempty"`
	Where     []string `json:",omitempty"` // folders of the store path in the image
	Modules   string   `json:",omitempty"` // folder that `go mod vendor` made
	Temporary string   `json:",omitempty"` // folder for temporary files; the scanner removes it
	Limits    Limits   `json:",omitzero"`
}

// Answer is a line of the program's standard output.
type Answer struct {
	Document *Document
	Licenses map[string]string `json:",omitempty"` // of modules: SPDX expressions
	Error    string
	Last     bool // a limit was reached: the program exits
}

// NewScanner finds the program beside libre or in PATH.
func NewScanner(limits Limits) (*Scanner, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), Program)
		if _, err := os.Stat(beside); err == nil {
			return newScanner(beside, limits), nil
		}
	}
	path, err := exec.LookPath(Program)
	if err != nil {
		return nil, fmt.Errorf("making an SBOM: the program %s is neither beside libre nor in PATH: install both", Program)
	}
	return newScanner(path, limits), nil
}

func newScanner(path string, limits Limits) *Scanner {
	return &Scanner{path: path, limits: limits.orDefault(), asked: map[string]*Document{}, modules: map[string]map[string]string{}}
}

// Tools gives the tools that the program finds packages with.
func (s *Scanner) Tools(ctx context.Context) ([]Tool, error) {
	answer, err := s.ask(ctx, "asking "+Program+" for its version", Question{})
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

// ask sends a question to the program, which it starts if needed. what describes the
// question in errors.
func (s *Scanner) ask(ctx context.Context, what string, question Question) (Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fail := func(err error) (Answer, error) {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return Answer{}, fmt.Errorf("%s: %w", what, err)
	}
	if s.cmd == nil {
		if err := s.start(); err != nil {
			return fail(err)
		}
	}
	temporary, err := os.MkdirTemp("", "libre-inspect-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(temporary) // also if the program was killed
	question.Temporary, question.Limits = temporary, s.limits
	// The program cannot be interrupted: kill it, and start it again for the next question.
	started := s.cmd.Process
	ended := context.AfterFunc(ctx, func() { _ = started.Kill() })
	defer ended()
	var answer Answer
	err = json.NewEncoder(s.in).Encode(question)
	if err == nil {
		err = s.answers.Decode(&answer)
	}
	if err != nil {
		_ = started.Kill() // if it runs, but its answer is not valid
		_ = s.cmd.Wait()
		s.cmd = nil
		lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
		return fail(fmt.Errorf("%s ended: %w: %s", Program, err, lines[len(lines)-1]))
	}
	if answer.Last {
		_ = s.cmd.Wait()
		s.cmd = nil
	}
	if answer.Error != "" {
		return fail(errors.New(answer.Error))
	}
	return answer, nil
}

func (s *Scanner) start() (err error) {
	cmd := exec.Command(s.path)
	cmd.Env = process.Environment()
	cmd.Stderr = &s.log
	if s.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.answers = cmd, json.NewDecoder(out)
	return nil
}

// Close ends the program.
func (s *Scanner) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		s.in.Close()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}
