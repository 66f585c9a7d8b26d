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
)

// Program is the name of the program that recognises files. It is one of its own
// since the library that it is made of takes long to start.
const Program = "libre-files"

// Scanner asks the program what it recognises in images: one process, started
// with the first question, answers them all in turn. Its methods may be called
// concurrently.
type Scanner struct {
	path string

	mu      sync.Mutex
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	log     bytes.Buffer
}

// Question is what the program is asked, one a line of its standard input.
type Question struct {
	Layout  string // folder of the OCI layout
	Subject Subject
}

// Answer is what it says, one a line of its standard output.
type Answer struct {
	Document *Document
	Error    string
}

// NewScanner looks for the program beside this one, then in PATH.
func NewScanner() (*Scanner, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), Program)
		if _, err := os.Stat(beside); err == nil {
			return &Scanner{path: beside}, nil
		}
	}
	path, err := exec.LookPath(Program)
	if err != nil {
		return nil, fmt.Errorf("listing what images are made of: the program %s is neither beside libre nor in PATH: install both", Program)
	}
	return &Scanner{path: path}, nil
}

// FromLayout lists what is recognised in the files of the image in an OCI layout
// whose manifest the subject names. No daemon and no network is used.
func (s *Scanner) FromLayout(ctx context.Context, layout string, subject Subject) (*Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fail := func(err error) (*Document, error) {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("reading the files of %s: %w", subject.Name, err)
	}
	if s.cmd == nil {
		if err := s.start(); err != nil {
			return fail(err)
		}
	}
	// The program knows no interruption: it is ended, and started anew if asked again.
	ended := context.AfterFunc(ctx, func() { _ = s.cmd.Process.Kill() })
	defer ended()
	absolute, err := filepath.Abs(layout)
	if err != nil {
		return fail(err)
	}
	var answer Answer
	if err = json.NewEncoder(s.in).Encode(Question{absolute, subject}); err == nil {
		err = s.answers.Decode(&answer)
	}
	if err != nil {
		_ = s.cmd.Wait()
		s.cmd = nil
		lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
		return fail(fmt.Errorf("%s ended: %w: %s", Program, err, lines[len(lines)-1]))
	}
	if answer.Error != "" {
		return fail(errors.New(answer.Error))
	}
	return answer.Document, nil
}

func (s *Scanner) start() (err error) {
	cmd := exec.Command(s.path)
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
