package forgetest

import (
	"fmt"
	"strconv"
	"strings"
	"text/scanner"
)

// query is a GraphQL query. The parser supports the parts of the language that libre uses.
// https://spec.graphql.org/October2021/
type query struct {
	variables  []string // all of type String!
	selections []selection
	fragments  map[string][]selection
}

// selection is a selected field, or a fragment's fields.
type selection struct {
	alias, name string
	arguments   map[string]any // values; a variable is the name of one
	fields      []selection
	onType      string // type condition of an inline fragment
	spread      string // name of a fragment
}

type variable string

// parseQuery parses a query and its fragments.
func parseQuery(text string) (_ *query, err error) {
	p := &queryParser{}
	p.Init(strings.NewReader(text))
	p.Mode = scanner.ScanIdents | scanner.ScanInts | scanner.ScanStrings
	p.Error = func(*scanner.Scanner, string) {}
	defer func() {
		if failure, is := recover().(syntaxError); is {
			err = failure
		}
	}()
	p.next()
	q := &query{fragments: map[string][]selection{}}
	for p.token != scanner.EOF {
		switch p.word() {
		case "query":
			if p.skip("(") {
				for !p.skip(")") {
					p.expect("$")
					q.variables = append(q.variables, p.word())
					p.expect(":")
					p.expect("String")
					p.expect("!")
					p.skip(",")
				}
			}
			q.selections = p.fields()
		case "fragment":
			name := p.word()
			p.expect("on")
			p.word()
			q.fragments[name] = p.fields()
		default:
			p.fail("query or fragment")
		}
	}
	return q, nil
}

type queryParser struct {
	scanner.Scanner
	token rune
}

type syntaxError string

func (e syntaxError) Error() string { return string(e) }

func (p *queryParser) next() { p.token = p.Scan() }

func (p *queryParser) fail(expected string) {
	panic(syntaxError(fmt.Sprintf("%s: %q, expected %s", p.Position, p.TokenText(), expected)))
}

func (p *queryParser) skip(text string) bool {
	found := p.TokenText() == text && p.token != scanner.String
	if found {
		p.next()
	}
	return found
}

func (p *queryParser) expect(text string) {
	if !p.skip(text) {
		p.fail(text)
	}
}

func (p *queryParser) word() string {
	if p.token != scanner.Ident {
		p.fail("a name")
	}
	defer p.next()
	return p.TokenText()
}

func (p *queryParser) fields() []selection {
	var all []selection
	p.expect("{")
	for !p.skip("}") {
		if p.skip(".") {
			p.expect(".")
			p.expect(".")
			if p.skip("on") {
				all = append(all, selection{onType: p.word(), fields: p.fields()})
			} else {
				all = append(all, selection{spread: p.word()})
			}
			continue
		}
		s := selection{name: p.word(), arguments: map[string]any{}}
		s.alias = s.name
		if p.skip(":") {
			s.name = p.word()
		}
		if p.skip("(") {
			for !p.skip(")") {
				name := p.word()
				p.expect(":")
				s.arguments[name] = p.value()
				p.skip(",")
			}
		}
		if p.TokenText() == "{" {
			s.fields = p.fields()
		}
		all = append(all, s)
	}
	return all
}

func (p *queryParser) value() any {
	text := p.TokenText()
	switch p.token {
	case scanner.Int:
		p.next()
		number, _ := strconv.Atoi(text)
		return number
	case scanner.String:
		p.next()
		unquoted, _ := strconv.Unquote(text)
		return unquoted
	case scanner.Ident: // a value of an enumeration
		p.next()
		return text
	case '$':
		p.next()
		return variable(p.word())
	case '{':
		p.next()
		object := map[string]any{}
		for !p.skip("}") {
			name := p.word()
			p.expect(":")
			object[name] = p.value()
			p.skip(",")
		}
		return object
	}
	p.fail("a value")
	return nil
}

// node is an object of the schema. Its fields, by name, are computed when selected.
type node struct {
	kind   string
	fields map[string]func(arguments map[string]any) (any, error)
}

// always returns a field that has no arguments.
func always(value any) func(map[string]any) (any, error) {
	return func(map[string]any) (any, error) { return value, nil }
}

// evaluate returns the selected fields. It returns an error for unknown fields.
func (q *query) evaluate(n *node, asked []selection, variables map[string]string) (map[string]any, error) {
	found := map[string]any{}
	for _, s := range asked {
		if s.spread != "" || s.onType != "" {
			fields, known := s.fields, true
			if s.spread != "" {
				fields, known = q.fragments[s.spread]
			}
			if !known {
				return nil, fmt.Errorf("Fragment %s was used, but not defined", s.spread)
			}
			if s.onType != "" && s.onType != n.kind {
				continue
			}
			more, err := q.evaluate(n, fields, variables)
			if err != nil {
				return nil, err
			}
			for name, value := range more {
				found[name] = value
			}
			continue
		}
		field, known := n.fields[s.name]
		if !known {
			return nil, fmt.Errorf("Field '%s' doesn't exist on type '%s'", s.name, n.kind)
		}
		arguments := map[string]any{}
		for name, value := range s.arguments {
			if v, is := value.(variable); is {
				text, given := variables[string(v)]
				if !given {
					return nil, fmt.Errorf("Variable $%s of type String! was provided invalid value", v)
				}
				value = text
			}
			arguments[name] = value
		}
		value, err := field(arguments)
		if err != nil {
			return nil, err
		}
		if found[s.alias], err = q.pick(value, s.fields, variables); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (q *query) pick(value any, asked []selection, variables map[string]string) (any, error) {
	switch value := value.(type) {
	case *node:
		if value == nil {
			return nil, nil
		}
		return q.evaluate(value, asked, variables)
	case []*node:
		list := []any{}
		for _, n := range value {
			picked, err := q.evaluate(n, asked, variables)
			if err != nil {
				return nil, err
			}
			list = append(list, picked)
		}
		return list, nil
	}
	return value, nil
}
