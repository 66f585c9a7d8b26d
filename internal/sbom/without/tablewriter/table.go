// Package tablewriter replaces github.com/olekukonko/tablewriter, with which syft prints
// its results as a table. libre reads them as data. This package has the names that syft's
// table format needs; every call fails.
package tablewriter

import (
	"errors"
	"io"
)

// ErrNoTables is the error of every call.
var ErrNoTables = errors.New("libre-inspect prints no tables")

// Table would be a table.
type Table struct{}

// Option would configure a table.
type Option struct{}

// NewTable returns a table that cannot be printed.
func NewTable(io.Writer, ...Option) *Table { return &Table{} }

// Bulk fails.
func (*Table) Bulk(any) error { return ErrNoTables }

// Render fails.
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
