// Package lipgloss stands in for github.com/charmbracelet/lipgloss, by which syft
// colours its tables. libre takes what syft finds as data. It has the names that syft's
// table format uses, and colours nothing.
package lipgloss

import "strings"

// Color would be one.
type Color string

// Style would be of a text.
type Style struct{}

// NewStyle gives the one that there is.
func NewStyle() Style { return Style{} }

// Foreground changes nothing.
func (s Style) Foreground(Color) Style { return s }

// Render gives the text as it is.
func (Style) Render(text ...string) string { return strings.Join(text, " ") }
