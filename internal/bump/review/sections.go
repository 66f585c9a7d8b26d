package review

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// section is the part of a patch for one file. Only its names are parsed. patch decides what
// applies.
type section struct {
	text   []byte   // with the text before it
	names  []string // possible names of the file, without the first folder, as for -p1
	create bool     // the file is new
	hunks  []hunk
}

type hunk struct {
	header   string // @@ -10,6 +10,8 @@
	old, new []string
	removed  []string // lines of old that are not context
}

var hunkHeader = lazyregexp.New(`^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@`)

// readSections splits a unified diff, of git's dialect or not. Formats:
// https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html
// https://git-scm.com/docs/diff-format#generate_patch_text_with_p
func readSections(patch []byte) []section {
	r := sectionReader{lines: bytes.SplitAfter(patch, []byte("\n"))}
	for r.at < len(r.lines) {
		r.next()
	}
	if r.current != nil {
		r.current.text = bytes.Join(r.lines[r.start:], nil)
		r.sections = append(r.sections, *r.current)
	}
	return r.sections
}

type sectionReader struct {
	lines    [][]byte
	at       int // index of the current line
	start    int // line where current's text begins
	current  *section
	git      bool // current began with git's header
	header   bool // current has its --- and +++
	sections []section
}

func (r *sectionReader) line(at int) string {
	if at >= len(r.lines) {
		return ""
	}
	return strings.TrimRight(string(r.lines[at]), "\r\n")
}

// next reads a line outside of hunks, or a hunk.
func (r *sectionReader) next() {
	line := r.line(r.at)
	switch {
	case strings.HasPrefix(line, "diff --git "):
		r.begin()
		r.git = true
		r.name(gitNames(line[len("diff --git "):])...)
	case strings.HasPrefix(line, "--- ") && strings.HasPrefix(r.line(r.at+1), "+++ "):
		if !r.git || r.header {
			r.begin()
		}
		r.header = true
		old, new := headerNames(line), headerNames(r.line(r.at+1))
		r.current.create = slices.Contains(old, "/dev/null")
		r.name(old...)
		r.name(new...)
		r.at++
	case r.git && !r.header && (strings.HasPrefix(line, "rename ") || strings.HasPrefix(line, "copy ")):
		if words := strings.SplitN(line, " ", 3); len(words) == 3 {
			r.name("/" + unquoteName(words[2])) // there is no folder to strip
		}
	case r.git && !r.header && strings.HasPrefix(line, "new file mode "):
		r.current.create = true
	case r.header && hunkHeader().MatchString(line):
		r.hunk(line)
		return
	}
	r.at++
}

func (r *sectionReader) begin() {
	if r.current != nil {
		r.current.text = bytes.Join(r.lines[r.start:r.at], nil)
		r.sections = append(r.sections, *r.current)
		r.start = r.at
	}
	r.current, r.git, r.header = &section{}, false, false
}

// name adds names to the current section, stripped as by `patch -p1`.
func (r *sectionReader) name(names ...string) {
	for _, name := range names {
		_, name, found := strings.Cut(name, "/")
		name = path.Clean(strings.TrimLeft(name, "/"))
		if found && name != "." && !slices.Contains(r.current.names, name) {
			r.current.names = append(r.current.names, name)
		}
	}
}

func (r *sectionReader) hunk(line string) {
	counts := hunkHeader().FindStringSubmatch(line)
	h := hunk{header: counts[0]}
	old, new := hunkLines(counts[1]), hunkLines(counts[2])
	for r.at++; r.at < len(r.lines) && (old > 0 || new > 0); r.at++ {
		text := r.line(r.at)
		kind := byte(' ') // an empty line is a context line without its space
		if text != "" {
			kind, text = text[0], text[1:]
		}
		switch kind {
		case ' ':
			h.old, h.new = append(h.old, text), append(h.new, text)
			old, new = old-1, new-1
		case '-':
			h.old, h.removed = append(h.old, text), append(h.removed, text)
			old--
		case '+':
			h.new = append(h.new, text)
			new--
		case '\\': // No newline at end of file
		default:
			old, new = 0, 0
			r.at--
		}
	}
	if strings.HasPrefix(h.header, "@@ -0,0 ") {
		r.current.create = true
	}
	r.current.hunks = append(r.current.hunks, h)
}

func hunkLines(count string) int {
	if count == "" {
		return 1
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		return 0
	}
	return n
}

// headerNames returns the possible names in a line --- NAME or +++ NAME. A time may follow a
// tab or a space.
func headerNames(line string) []string {
	name, _, _ := strings.Cut(line[len("--- "):], "\t")
	if strings.HasPrefix(name, `"`) {
		return []string{unquoteName(name)}
	}
	word, _, more := strings.Cut(name, " ")
	if more {
		return []string{name, word}
	}
	return []string{name}
}

// gitNames returns the possible names in git's header A B. Both names may contain spaces, and
// they are usually equal.
func gitNames(pair string) []string {
	if strings.HasPrefix(pair, `"`) {
		if first, err := strconv.QuotedPrefix(pair); err == nil {
			return []string{unquoteName(first), unquoteName(strings.TrimPrefix(pair[len(first):], " "))}
		}
	}
	if half := len(pair) / 2; len(pair)%2 == 1 && pair[half] == ' ' && strings.TrimPrefix(pair[:half], "a/") == strings.TrimPrefix(pair[half+1:], "b/") {
		return []string{pair[:half], pair[half+1:]}
	}
	first, second, _ := strings.Cut(pair, " ")
	return []string{first, unquoteName(second)}
}

// unquoteName unquotes a name that git wrote as a C string.
func unquoteName(name string) string {
	if plain, err := strconv.Unquote(name); err == nil && strings.HasPrefix(name, `"`) {
		return plain
	}
	return name
}
