package nixedit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Patch is a patch in a definition's list, safe to write into a Nix file:
// { file = ./patches/CVE-2026-1234.patch; fixes = [ "CVE-2026-1234" ]; origin = "https://…"; }
type Patch struct{ attributes []string }

var (
	patchFile   = lazyregexp.New(`\A\.\.?(?:/[0-9A-Za-z._+-]+)+\z`)
	advisory    = lazyregexp.New(`\A[A-Z][0-9A-Za-z]*(?:-[0-9A-Za-z]+)+\z`)
	patchOrigin = lazyregexp.New(`\Ahttps?://[0-9A-Za-z.:-]+(?:/[0-9A-Za-z._~:/?#@!&()*+,;=%-]*)?\z`)
)

// NewPatch makes the entry of a patch. file is its path from the folder of the Nix file, such
// as ./patches/CVE-2026-1234.patch. fixes are IDs of vulnerabilities. origin is the URL that it
// comes from, or "" for none.
func NewPatch(file string, fixes []string, origin string) (Patch, error) {
	if !patchFile().MatchString(file) {
		return Patch{}, fmt.Errorf("file %s: expected a path like ./patches/CVE-2026-1234.patch of 0-9 A-Z a-z . _ + -", quote(file))
	}
	attributes := []string{"file = " + file + ";"}
	for i, id := range fixes {
		if !advisory().MatchString(id) || len(id) >= 100 {
			return Patch{}, fmt.Errorf("vulnerability %s: expected an ID like CVE-2026-1234", quote(id))
		}
		if i == 0 {
			attributes = append(attributes, "")
		}
		attributes[1] += ` "` + id + `"`
	}
	if len(fixes) > 0 {
		attributes[1] = "fixes = [" + attributes[1] + " ];"
	}
	if origin != "" {
		if !patchOrigin().MatchString(origin) || len(origin) > 1000 {
			return Patch{}, fmt.Errorf("origin %s: expected a URL without spaces, quotes and $", quote(origin))
		}
		attributes = append(attributes, `origin = "`+origin+`";`)
	}
	return Patch{attributes}, nil
}

// String returns the entry on one line.
func (p Patch) String() string { return "{ " + strings.Join(p.attributes, " ") + " }" }

// lines returns the entry on several lines, each with an indent.
func (p Patch) lines(indent, lineEnd string) string {
	text := indent + "{" + lineEnd
	for _, attribute := range p.attributes {
		text += indent + unitOf(indent) + attribute + lineEnd
	}
	return text + indent + "}" + lineEnd
}

// unitOf returns one level of indentation in the style of an indent.
func unitOf(indent string) string {
	if strings.HasSuffix(indent, "\t") {
		return "\t"
	}
	return "  "
}

// AddPatch adds a patch at the end of the list `patches`, which must be written as [ … ].
type AddPatch struct {
	Attribute // patches
	Patch     Patch
}

func (p AddPatch) splices(f *file) ([]splice, error) {
	b, err := f.binding(p.Attribute)
	if err != nil {
		return nil, err
	}
	if b.value == nil || b.value.innermost().kind != nodeList {
		return nil, &Refusal{p.At, fmt.Sprintf("%s is not written as [ … ]: add %s by hand", p.Path, p.Patch)}
	}
	return []splice{f.appended(b.value.innermost(), p.Patch)}, nil
}

// appended adds a patch at the end of a list, on separate lines if the ] is on a line of its
// own.
func (f *file) appended(list *node, patch Patch) splice {
	at := list.to - 1 // the ]
	start := len(bytes.TrimRight(f.src[:at], " \t"))
	if !slices.Contains(f.lines, start) {
		text := patch.String() + " "
		if start == at {
			text = " " + text
		}
		return splice{from: at, to: at, text: text}
	}
	indent := string(f.src[start:at])
	indent += unitOf(indent)
	if len(list.children) > 0 {
		if own, alone := f.indentOf(list.children[len(list.children)-1].from); alone {
			indent = own
		}
	}
	return splice{from: start, to: start, text: patch.lines(indent, f.lineEndBefore(start))}
}

// indentOf returns the white space before an offset. alone is true if nothing else is before it
// on its line.
func (f *file) indentOf(offset int) (indent string, alone bool) {
	start := len(bytes.TrimRight(f.src[:offset], " \t"))
	return string(f.src[start:offset]), slices.Contains(f.lines, start)
}

// lineEndBefore returns the line end before the start of a line.
func (f *file) lineEndBefore(start int) string {
	for _, end := range []string{"\r\n", "\r"} {
		if bytes.HasSuffix(f.src[:start], []byte(end)) {
			return end
		}
	}
	return "\n"
}

// CreatePatches adds the list `patches` with one patch to a set without one: below its source,
// or otherwise below the given attribute of the set.
type CreatePatches struct {
	Attribute // such as packageVersion
	Patch     Patch
}

const patches = "patches"

func (p CreatePatches) splices(f *file) ([]splice, error) {
	b, err := f.binding(p.Attribute)
	if err != nil {
		return nil, err
	}
	taken := slices.ContainsFunc(b.owner.bindings, func(o *binding) bool { return o.path[0].name == patches })
	if taken || b.owner.visible && f.uses(b.owner, patches) {
		return nil, &Refusal{p.At, fmt.Sprintf("the set that it is in uses the name patches: write patches = [ %s ]; by hand", p.Patch)}
	}
	for _, other := range b.owner.bindings {
		if other.path[0].name == "source" {
			b = other
		}
	}
	indent, alone := f.indentOf(b.from)
	rest := restOfLine().FindSubmatch(f.src[b.to:])
	if !alone || rest == nil {
		return []splice{{from: b.to, to: b.to, text: fmt.Sprintf(" patches = [ %s ];", p.Patch)}}, nil
	}
	lineEnd := string(rest[1])
	at := b.to + len(rest[0])
	text := indent + "patches = [" + lineEnd + p.Patch.lines(indent+unitOf(indent), lineEnd) + indent + "];" + lineEnd
	return []splice{{from: at, to: at, text: text}}, nil
}

// uses reports whether an expression refers to a name.
func (f *file) uses(n *node, name string) bool {
	return !n.walk(func(n *node) bool { return n.kind != nodeName || f.text(n) != name })
}
