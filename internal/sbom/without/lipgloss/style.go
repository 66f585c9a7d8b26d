// Package lipgloss replaces github.com/charmbracelet/lipgloss, with which syft colours its
// tables. libre reads the results of syft as data. This package has the names that syft's
// table format needs, and colours nothing.
package lipgloss

import "strings"

// Color would be a colour.
type Color string

// Style would be the style of a text.
type Style struct{}

// NewStyle returns the only style.
func NewStyle() Style { return Style{} }

// Foreground does nothing.
func (s Style) Foreground(Color) Style { return s }

// Render returns the text unchanged.
func (Style) Render(text ...string) string { return strings.Join(text, " ") }
