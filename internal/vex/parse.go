package vex

import (
	"fmt"
	"slices"
	"time"

	"github.com/anchore/packageurl-go"
	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/yamlfile"
)

// key is a key of a statement in a file.
type key struct {
	name    string
	example string
	read    func(*Statement, *yaml.Node) error
}

// keys lists all keys, in the order in which Add writes them.
var keys = []key{
	{"vulnerability", "CVE-2026-1234", text(func(s *Statement) *string { return &s.Vulnerability }, CheckID)},
	{"aliases", "[GHSA-jfh8-c2jp-5v3q]", list(func(s *Statement) *[]string { return &s.Aliases }, CheckID)},
	{"status", string(NotAffected), text(func(s *Statement) *Status { return &s.Status }, oneOf(Statuses))},
	{"justification", Justifications[2], text(func(s *Statement) *string { return &s.Justification }, oneOf(Justifications))},
	{"action", "Update to 5.4.2.", text(func(s *Statement) *string { return &s.Action }, nil)},
	{"notes", "The parser only reads our own files.", text(func(s *Statement) *string { return &s.Notes }, nil)},
	{"package", "pkg:golang/golang.org/x/net", text(func(s *Statement) *string { return &s.Package }, checkPackage)},
	{"components", "[backend]", list(func(s *Statement) *[]string { return &s.Components }, nil)},
	{"variants", "[lyon]", list(func(s *Statement) *[]string { return &s.Variants }, nil)},
	{"versions", `">=5.4.0, <5.4.2"`, versions},
	{"date", "2026-11-28", day(func(s *Statement) *time.Time { return &s.Date })},
	{"expires", "2027-05-31", day(func(s *Statement) *time.Time { return &s.Expires })},
}

// listKey is the only key of a file.
const listKey = "statements"

// statements reads the root of a file. It leaves out statements with errors.
func (r *reading) statements(root *yaml.Node) []Statement {
	var all []Statement
	for _, node := range r.Elements(root, listKey) {
		if statement, ok := r.statement(node); ok {
			all = append(all, statement)
		}
	}
	return all
}

func (r *reading) statement(node *yaml.Node) (Statement, bool) {
	before := len(r.Problems)
	s := Statement{Place: fmt.Sprintf("%s:%d", r.File, node.Line)}
	if node.Kind != yaml.MappingNode {
		r.Wrong(node.Line, "a statement is not a mapping", "for example: {vulnerability: CVE-2026-1234, status: under_investigation, date: 2026-11-28}")
		return s, false
	}
	for name, value := range r.Pairs(node) {
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name.Value })
		if i < 0 {
			var names []string
			for _, k := range keys {
				names = append(names, k.name)
			}
			r.Wrong(name.Line, fmt.Sprintf("unknown key %q", name.Value), "use "+joined(names))
			continue
		}
		if err := keys[i].read(&s, value); err != nil {
			r.Wrong(value.Line, fmt.Sprintf("%s: %v", keys[i].name, err), "for example: "+keys[i].name+": "+keys[i].example)
		}
	}
	if len(r.Problems) == before {
		if what, fix := s.lacks(); what != "" {
			r.Wrong(node.Line, what, fix)
		}
	}
	return s, len(r.Problems) == before
}

// lacks returns what a statement must have and lacks, or must not have and has, and how to fix
// it. The rules are OpenVEX's.
func (s *Statement) lacks() (what, fix string) {
	switch {
	case s.Vulnerability == "":
		return "a statement has no vulnerability", "for example: vulnerability: CVE-2026-1234"
	case s.Status == "":
		return "the statement about " + s.Vulnerability + " has no status", "set status to " + joined(Statuses)
	case s.Status == NotAffected && s.Justification == "":
		return s.Vulnerability + " is not_affected without a justification", "set justification to " + joined(Justifications)
	case s.Status != NotAffected && s.Justification != "":
		return fmt.Sprintf("%s is %s, but has a justification", s.Vulnerability, s.Status), "remove it, or set status: not_affected"
	case s.Status == Affected && s.Action == "":
		return s.Vulnerability + " is affected without an action", "say what users should do: action: Update to 5.4.2."
	case s.Status != Affected && s.Action != "":
		return fmt.Sprintf("%s is %s, but has an action", s.Vulnerability, s.Status), "rename action to notes, or set status: affected"
	case s.Date.IsZero():
		return "the statement about " + s.Vulnerability + " has no date", "set the day on which it was made: date: 2026-11-28"
	case !s.Expires.IsZero() && s.Expires.Before(s.Date):
		return "the statement about " + s.Vulnerability + " expires before its date", "correct date or expires"
	case slices.Contains(s.Aliases, s.Vulnerability):
		return s.Vulnerability + " is an alias of itself", "remove it from aliases"
	}
	return "", ""
}

// text reads a text. check may be nil.
func text[T ~string](field func(*Statement) *T, check func(string) error) func(*Statement, *yaml.Node) error {
	return func(s *Statement, node *yaml.Node) error {
		value, err := yamlfile.Text(node)
		if err == nil && check != nil {
			err = check(value)
		}
		*field(s) = T(value)
		return err
	}
}

// list reads texts without duplicates. check may be nil.
func list(field func(*Statement) *[]string, check func(string) error) func(*Statement, *yaml.Node) error {
	return func(s *Statement, node *yaml.Node) error {
		if node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
			return fmt.Errorf("expected a list")
		}
		into := field(s)
		for _, element := range node.Content {
			value, err := yamlfile.Text(element)
			if err == nil && check != nil {
				err = check(value)
			}
			if err == nil && slices.Contains(*into, value) {
				err = fmt.Errorf("%q is listed twice", value)
			}
			if err != nil {
				return err
			}
			*into = append(*into, value)
		}
		return nil
	}
}

func day(field func(*Statement) *time.Time) func(*Statement, *yaml.Node) error {
	return func(s *Statement, node *yaml.Node) (err error) {
		*field(s), err = yamlfile.Day(node)
		return err
	}
}

func versions(s *Statement, node *yaml.Node) error {
	value, err := yamlfile.Text(node)
	if err != nil {
		return err
	}
	s.Versions, err = catalog.ParseRange(value)
	return err
}

func oneOf[T ~string](words []T) func(string) error {
	return func(word string) error {
		if !slices.Contains(words, T(word)) {
			return fmt.Errorf("%q, expected %s", word, joined(words))
		}
		return nil
	}
}

func checkPackage(purl string) error {
	if _, err := packageurl.FromString(purl); err != nil {
		return fmt.Errorf("%q is not a package URL", purl)
	}
	return nil
}
