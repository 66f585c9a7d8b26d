// Package tablewriter stands in for github.com/olekukonko/tablewriter, by which syft
// prints what it found as a table. libre takes it as data. It has the names that syft's
// table format uses, and refuses to print.
package tablewriter

import (
	"errors"
	"io"
)

// ErrNoTables is what every table ends with.
var ErrNoTables = errors.New("libre-files prints no tables")

// Table would be one.
type Table struct{}

// Option would set something of a table.
type Option struct{}

// NewTable makes one that cannot be printed.
func NewTable(io.Writer, ...Option) *Table { return &Table{} }

// Bulk refuses.
func (*Table) Bulk(any) error { return ErrNoTables }

// Render refuses.
func (*Table) Render() error { return ErrNoTables }

func WithHeader([]string) Option      { return Option{} }
func WithHeaderAutoFormat(any) Option { return Option{} }
func WithHeaderAutoWrap(any) Option   { return Option{} }
func WithHeaderAlignment(any) Option  { return Option{} }
func WithRowAutoFormat(any) Option    { return Option{} }
func WithRowAutoWrap(any) Option      { return Option{} }
func WithRowAlignment(any) Option     { return Option{} }
func WithTrimSpace(any) Option        { return Option{} }
func WithAutoHide(any) Option         { return Option{} }
func WithRenderer(any) Option         { return Option{} }
func WithBehavior(any) Option         { return Option{} }
func WithPadding(any) Option          { return Option{} }
func WithRendition(any) Option        { return Option{} }
