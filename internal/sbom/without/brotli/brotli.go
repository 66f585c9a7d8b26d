// Package brotli replaces github.com/andybalholm/brotli, with which syft reads archives in
// that compression. No package format that syft knows uses it. This package has the names
// that syft's archive library needs; every call fails.
package brotli

import (
	"errors"
	"io"
)

// ErrNoBrotli is the error of every call.
var ErrNoBrotli = errors.New("libre-inspect reads no brotli")

type refusal struct{}

func (refusal) Read([]byte) (int, error)  { return 0, ErrNoBrotli }
func (refusal) Write([]byte) (int, error) { return 0, ErrNoBrotli }
func (refusal) Close() error              { return nil }
func (refusal) Reset(io.Reader) error     { return ErrNoBrotli }

// Reader would decompress.
type Reader = refusal

// Writer would compress.
type Writer = refusal

// NewReader returns a reader that fails.
func NewReader(io.Reader) *Reader { return &Reader{} }

// NewWriterLevel returns a writer that fails.
func NewWriterLevel(io.Writer, int) *Writer { return &Writer{} }
