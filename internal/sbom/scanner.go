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

// Program is the name of the program that recognises files. It is one of its own
// since the library that it is made of takes long to start.
const Program = "libre-files"

// Scanner asks the program what it recognises in images: one process, started
// with the first question, answers them all in turn. A store path that is in
// several images is asked for once. Its methods may be called concurrently.
type Scanner struct {
	path   string
	limits Limits

	mu      sync.Mutex
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	log     bytes.Buffer
	asked   map[string]*Document // by store path and places
}

// Question is what the program is asked, one a line of its standard input: of a
// layout, of a store path or, where neither is named, with what it recognises.
type Question struct {
	Layout    string   `json:",omitempty"` // folder of the OCI layout
	Subject   Subject  `json:",omitzero"`  // in the layout
	StorePath string   `json:",omitempty"`
	Where     []string `json:",omitempty"` // folders that it is at in the image
	Temporary string   `json:",omitempty"` // folder for files, which who asks removes
	Limits    Limits   `json:",omitzero"`
}

// Answer is what it says, one a line of its standard output.
type Answer struct {
	Document *Document
	Error    string
	Last     bool // a limit was met: the program ends
}

// NewScanner looks for the program beside this one, then in PATH.
func NewScanner(limits Limits) (*Scanner, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), Program)
		if _, err := os.Stat(beside); err == nil {
			return newScanner(beside, limits), nil
		}
	}
	path, err := exec.LookPath(Program)
	if err != nil {
		return nil, fmt.Errorf("listing what images are made of: the program %s is neither beside libre nor in PATH: install both", Program)
	}
	return newScanner(path, limits), nil
}

func newScanner(path string, limits Limits) *Scanner {
	return &Scanner{path: path, limits: limits.orDefault(), asked: map[string]*Document{}}
}

// Tools are what the program recognises files with.
func (s *Scanner) Tools(ctx context.Context) ([]Tool, error) {
	document, err := s.ask(ctx, "asking "+Program+" for its version", Question{})
	if err != nil {
		return nil, err
	}
	return document.Tools, nil
}

// FromLayout lists what is recognised in the files of the image in an OCI layout
// whose manifest the subject names. No daemon and no network is used.
func (s *Scanner) FromLayout(ctx context.Context, layout string, subject Subject) (*Document, error) {
	layout, err := filepath.Abs(layout)
	if err != nil {
		return nil, err
	}
	return s.ask(ctx, "reading the files of "+subject.Name, Question{Layout: layout, Subject: subject})
}

// FromStorePaths lists what is recognised in each store path of a closure, which
// must be in the store, apart from those of which it is known.
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
	document, err := s.ask(ctx, "reading the files of "+c.StorePath, Question{StorePath: c.StorePath, Where: c.Where})
	if err == nil {
		s.mu.Lock()
		s.asked[key] = document
		s.mu.Unlock()
	}
	return document, err
}

// ask has the program, which it starts if need be, answer one question. what is
// being done is for the error.
func (s *Scanner) ask(ctx context.Context, what string, question Question) (*Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fail := func(err error) (*Document, error) {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if s.cmd == nil {
		if err := s.start(); err != nil {
			return fail(err)
		}
	}
	temporary, err := os.MkdirTemp("", "libre-files-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(temporary) // also where the program is ended
	question.Temporary, question.Limits = temporary, s.limits
	// The program knows no interruption: it is ended, and started anew if asked again.
	started := s.cmd.Process
	ended := context.AfterFunc(ctx, func() { _ = started.Kill() })
	defer ended()
	var answer Answer
	err = json.NewEncoder(s.in).Encode(question)
	if err == nil {
		err = s.answers.Decode(&answer)
	}
	if err != nil {
		_ = started.Kill() // where it is not understood
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
	return answer.Document, nil
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
