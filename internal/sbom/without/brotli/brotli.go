// Package brotli stands in for github.com/andybalholm/brotli, with which syft would look
// into archives that are compressed by it. No format of packages that syft knows is. It
// has the names that syft's archive library uses, and refuses to read and write.
package brotli

import (
	"errors"
	"io"
)

// ErrNoBrotli is what every stream ends with.
var ErrNoBrotli = errors.New("libre-files reads no brotli")

type refusal struct{}

func (refusal) Read([]byte) (int, error)  { return 0, ErrNoBrotli }
func (refusal) Write([]byte) (int, error) { return 0, ErrNoBrotli }
func (refusal) Close() error              { return nil }
func (refusal) Reset(io.Reader) error     { return ErrNoBrotli }

// Reader would decompress.
type Reader = refusal

// Writer would compress.
type Writer = refusal

// NewReader gives one that refuses.
func NewReader(io.Reader) *Reader { return &Reader{} }

// NewWriterLevel gives one that refuses.
func NewWriterLevel(io.Writer, int) *Writer { return &Writer{} }
