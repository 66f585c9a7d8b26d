package containerfile

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// rewrite returns the file for the named engine. It contains only what p's target needs, with
// the target last, and base replaces every base. So no engine resolves names, arguments,
// platforms or targets by its own rules: buildah 1.28 reads FROM before it expands arguments,
// and BuildKit would fetch the image of "# syntax=".
//
// Added stages copy p.mounts. Apart from them, every instruction keeps its line, and every
// stage its number.
func (f *File) rewrite(p *plan, engine string, base func(Base) fetched) ([]byte, error) {
	out := slices.Clone(f.lines)
	f.expandGlobals(out, p.globals)
	for _, m := range p.mounts {
		if !m.redirect(out) {
			return nil, f.errorf(m.lines[0][0], "RUN --mount with from=%s: write --mount=… without quotes, before the command", m.from)
		}
	}
	for i := range f.stages {
		s := &f.stages[i]
		next := len(out)
		if i+1 < len(f.stages) {
			next = f.stages[i+1].line - 1
		}
		if i > p.target {
			out = out[:s.line-1]
			break
		}
		blank := out[s.line-1 : min(s.last, next)]
		from := "scratch"
		if slices.Contains(p.used, i) {
			from = p.from[i].fromArguments(base)
		} else {
			blank = out[s.line-1 : next]
		}
		clear(blank)
		for _, m := range p.mounts {
			if m.stage == i {
				blank[0] += m.stages(p)
			}
		}
		blank[0] += "FROM " + from
		if s.as != "" {
			blank[0] += " AS " + s.as
		}
	}
	spell := slices.Clone(p.spell)
	for _, c := range p.count {
		stage, _ := strconv.Atoi(c.name)
		if c.as = strconv.Itoa(p.shifted(stage)); c.as != c.name {
			spell = append(spell, c)
		}
	}
	for _, s := range spell {
		from := regexp.MustCompile(`(\bfrom=)` + regexp.QuoteMeta(s.name) + `($|[\s,"'])`)
		for i := s.first - 1; i < min(s.last, len(out)); i++ {
			out[i] = from.ReplaceAllString(out[i], "${1}"+s.as+"${2}")
		}
	}
	if engine == "buildah" || engine == "podman" {
		if err := f.writeShells(out, p, base); err != nil {
			return nil, err
		}
	}
	f.dropIgnoredFlags(out, f.stages[:p.target+1], ignoredFlags[engine]())
	sortDirectives(out)
	return []byte(strings.Join(out, "\n") + "\n"), nil
}

// fromArguments returns the arguments of FROM.
func (o origin) fromArguments(base func(Base) fetched) string {
	switch {
	case o.stage != nil:
		return o.stage.as
	case o.context != "":
		return o.context
	case o.base == nil:
		return "scratch"
	case o.platform != "":
		return "--platform=" + o.platform + " " + base(*o.base).from
	}
	return base(*o.base).from
}

var directive = lazyregexp.New(`^\s*#\s*([A-Za-z][A-Za-z0-9]*)\s*=`)

// sortDirectives removes "# syntax=" and keeps the other parser directives,
// which must come before anything else.
func sortDirectives(lines []string) {
	head := lines
	if len(head) > 0 && strings.HasPrefix(head[0], "#!") {
		head = head[1:]
	}
	n := 0
	for i, l := range head {
		m := directive().FindStringSubmatch(l)
		if m == nil {
			break
		}
		head[i] = "#"
		if !strings.EqualFold(m[1], "syntax") {
			head[i], head[n] = head[n], l
			n++
		}
	}
}
