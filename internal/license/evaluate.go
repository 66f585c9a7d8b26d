package license

import "strings"

// evaluate reports whether an expression holds if each of its licenses does for which holds
// is true. A license is spelled as IDs spells it, with its exception. (spdxexp.Satisfies does
// not know LicenseRefs among alternatives.)
// https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/
func evaluate(expression string, holds func(id string) bool) (bool, error) {
	if err := Check(expression); err != nil {
		return false, err
	}
	p := parser{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(expression)), holds: holds}
	result := p.alternatives()
	if p.failed || len(p.words) > 0 {
		return false, invalid(expression)
	}
	return result, nil
}

// parser reads an expression that is known to be valid.
type parser struct {
	words  []string
	holds  func(id string) bool
	failed bool
}

func (p *parser) next() string {
	if len(p.words) == 0 {
		p.failed = true
		return ""
	}
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

// skip reads a word if it is the next one.
func (p *parser) skip(word string) bool {
	if len(p.words) == 0 || p.words[0] != word {
		return false
	}
	p.next()
	return true
}

func (p *parser) alternatives() bool {
	result := p.all()
	for p.skip("OR") {
		other := p.all()
		result = result || other
	}
	return result
}

func (p *parser) all() bool {
	result := p.one()
	for p.skip("AND") {
		other := p.one()
		result = result && other
	}
	return result
}

func (p *parser) one() bool {
	if p.skip("(") {
		result := p.alternatives()
		p.failed = !p.skip(")") || p.failed
		return result
	}
	license := p.next()
	if p.skip("WITH") {
		license += " WITH " + p.next()
	}
	ids, err := IDs(license)
	if err != nil || len(ids) != 1 {
		p.failed = true
		return false
	}
	return p.holds(ids[0])
}
