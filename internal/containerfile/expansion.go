package containerfile

import (
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// unportableExpansion matches expansions that some engines do not support. All engines support
// ${x}, ${x:-word} and ${x:+word}.
// https://docs.docker.com/reference/dockerfile/#environment-replacement
var unportableExpansion = lazyregexp.New(`\$\{\w+[^\w:}]`)

// expandGlobals replaces the unportable expansions in the arguments before the first FROM with
// their values.
func (f *File) expandGlobals(lines []string, values map[string]string) {
	for _, c := range f.global {
		text := lines[firstLine(c.Location())-1 : lastLine(c.Location())]
		if !unportableExpansion().MatchString(strings.Join(text, "\n")) {
			continue
		}
		clear(text)
		text[0] = "ARG"
		for _, arg := range c.Args {
			text[0] += " " + arg.Key
			if arg.Value != nil {
				text[0] += "=" + f.quoted(values[arg.Key])
			}
		}
	}
}

// plainValue matches values that need no quotes.
var plainValue = lazyregexp.New(`^[\w./:@+,-]*$`)

// quoted quotes a value for an instruction.
func (f *File) quoted(value string) string {
	switch escape := string(f.escape); {
	case plainValue().MatchString(value):
		return value
	case !strings.Contains(value, "'"):
		return "'" + value + "'"
	default:
		return `"` + strings.NewReplacer(escape, escape+escape, `"`, escape+`"`, "$", escape+"$").Replace(value) + `"`
	}
}
