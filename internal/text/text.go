// Package text makes text from outside safe to show: on a terminal, on one line, and in
// Markdown. It has the only grammar of escape sequences and of characters that are
// harmful to show.
package text

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n")

// Plain makes a text valid UTF-8, without escape sequences and [Harmful] characters.
// Newlines and tabs stay; other line ends become newlines.
func Plain(text string) string {
	if isSafe(text) {
		return text
	}
	return strip(lineEnds.Replace(text))
}

// Output is [Plain] for the output of a program, as a terminal would show it: of a line
// that the program wrote over with carriage returns, only the last state stays. The number
// of newlines stays the same.
func Output(text string) string {
	if isSafe(text) {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimRight(line, "\r")
		lines[i] = strip(line[strings.LastIndexByte(line, '\r')+1:])
	}
	return strings.Join(lines, "\n")
}

var spaces = strings.NewReplacer("\n", " ", "\t", " ")

// OutputLine is [Output] on one line. The indentation stays.
func OutputLine(text string) string {
	return spaces.Replace(strings.TrimRight(Output(text), "\n"))
}

// Line is [Plain] on one line: each run of spaces, tabs and newlines becomes one space.
func Line(text string) string {
	return strings.Join(strings.Fields(Plain(text)), " ")
}

// Short is [Line], cut to at most so many characters.
func Short(text string, most int) string { return Clip(Line(text), most) }

// mostOfName is how many characters of a name or value an error or a report shows.
const mostOfName = 80

// Name is [Short] for a name or a value within a sentence.
func Name(text string) string { return Short(text, mostOfName) }

// Clip cuts a text to at most so many characters, of which the last is "…" then. The
// result is valid UTF-8.
func Clip(text string, most int) string {
	if beyond := utf8.UTFMax * (most + 1); len(text) > beyond {
		text = text[:beyond] // is cut below
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return strings.TrimRight(string([]rune(text)[:most-1]), " ") + "…"
}

// Enumerate joins the first limit texts, each as [Line], and counts the others.
func Enumerate(texts []string, separator string, limit int) string {
	var lines []string
	for _, text := range texts[:min(limit, len(texts))] {
		lines = append(lines, Line(text))
	}
	if more := len(texts) - limit; more > 0 {
		lines = append(lines, fmt.Sprintf("%d more", more))
	}
	return strings.Join(lines, separator)
}
