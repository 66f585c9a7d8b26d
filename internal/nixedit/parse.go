package nixedit

import "slices"

// maxDepth is more nesting than people write, and less than would overflow the stack.
const maxDepth = 1000

type parser struct {
	src    []byte
	tokens []token
	at     int
	depth  int
	err    error
}

// parse parses a whole Nix file. It accepts more than Nix does. If Nix accepts the file, the
// structure is right.
func parse(src []byte) (*node, []token, error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, nil, err
	}
	p := &parser{src: src, tokens: tokens}
	root := p.expression()
	if p.peek(0).kind != tokenEnd {
		p.unexpected()
	}
	if p.err != nil {
		return nil, nil, p.err
	}
	root.adopt()
	return root, tokens, nil
}

func (p *parser) peek(ahead int) token {
	return p.tokens[min(p.at+ahead, len(p.tokens)-1)]
}

func (p *parser) text(t token) string { return string(p.src[t.from:t.to]) }

// is reports whether a token ahead of the current one is the keyword or symbol s.
func (p *parser) is(ahead int, s string) bool {
	t := p.peek(ahead)
	return (t.kind == tokenKeyword || t.kind == tokenSymbol) && p.text(t) == s
}

func (p *parser) isAny(words ...string) bool {
	return slices.ContainsFunc(words, func(s string) bool { return p.is(0, s) })
}

func (p *parser) unexpected() {
	what := "end of the file"
	if t := p.peek(0); t.kind != tokenEnd {
		what = excerpt(p.text(t))
	}
	p.fail("unexpected " + what)
}

// fail stores the first error and moves to the end, which stops every loop.
func (p *parser) fail(why string) {
	if p.err == nil {
		p.err = &syntaxError{p.peek(0).from, why}
	}
	p.at = len(p.tokens) - 1
}

func (p *parser) take() token {
	t := p.peek(0)
	if p.at < len(p.tokens)-1 {
		p.at++
	}
	return t
}

func (p *parser) expect(s string) token {
	if !p.is(0, s) {
		p.unexpected()
	}
	return p.take()
}

func (p *parser) start(kind nodeKind) *node {
	return &node{kind: kind, from: p.peek(0).from}
}

// end ends a node after the last consumed token.
func (p *parser) end(n *node) *node {
	if p.at > 0 {
		n.to = p.tokens[p.at-1].to
	}
	return n
}

// deeper adds one level of nesting until the returned function is called.
func (p *parser) deeper() func() {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested too deeply")
	}
	return func() { p.depth-- }
}

func (p *parser) expression() *node {
	defer p.deeper()()
	n := p.start(nodeOther)
	switch {
	case p.atLambda():
		p.lambda(n)
	case p.is(0, "let") && !p.is(1, "{"):
		p.take()
		n.kind, n.visible = nodeLet, true
		p.bindings(n, "in")
		n.body = p.expression()
		n.add(n.body)
	case p.is(0, "assert"), p.is(0, "with"):
		p.take()
		n.add(p.expression())
		p.expect(";")
		n.body = p.expression()
		n.add(n.body)
	case p.is(0, "if"):
		p.take()
		n.add(p.expression())
		p.expect("then")
		n.add(p.expression())
		p.expect("else")
		n.add(p.expression())
	default:
		return p.operation(n)
	}
	return p.end(n)
}

// atLambda distinguishes { a, b }: from { a = b; }.
func (p *parser) atLambda() bool {
	name := func(ahead int) bool { return p.peek(ahead).kind == tokenName }
	switch {
	case name(0):
		return p.is(1, ":") || p.is(1, "@")
	case !p.is(0, "{"):
		return false
	case p.is(1, "}"):
		return p.is(2, ":") || p.is(2, "@")
	}
	return p.is(1, "...") || name(1) && (p.is(2, ",") || p.is(2, "?") || p.is(2, "}"))
}

// lambda parses "x:", "{ a, b ? 1, ... }:" and both joined by @, and the body.
func (p *parser) lambda(n *node) {
	n.kind = nodeLambda
	for {
		if p.peek(0).kind == tokenName {
			n.args = append(n.args, p.text(p.take()))
		} else {
			p.formals(n)
		}
		if !p.is(0, "@") {
			break
		}
		p.take()
	}
	p.expect(":")
	n.add(p.expression())
}

func (p *parser) formals(n *node) {
	p.expect("{")
	for !p.is(0, "}") && p.err == nil {
		if p.is(0, "...") {
			p.take()
		} else if p.peek(0).kind == tokenName {
			n.args = append(n.args, p.text(p.take()))
			if p.is(0, "?") {
				p.take()
				n.add(p.expression())
			}
			n.formals = p.tokens[max(p.at-1, 0)].to
		} else {
			p.unexpected()
		}
		if p.is(0, "}") {
			break
		}
		p.expect(",")
	}
	p.expect("}")
}

// operation parses operands and operators up to the end of an expression. If there is only one
// operand, it returns that.
func (p *parser) operation(n *node) *node {
	operators := 0
	for p.err == nil {
		t := p.peek(0)
		switch {
		case t.kind == tokenEnd || p.isAny("in", "then", "else", ";", ")", "]", "}", ","):
			switch {
			case len(n.children) == 0:
				p.unexpected()
			case operators > 0:
			case len(n.children) == 1:
				return n.children[0]
			default:
				n.kind = nodeApply
			}
			return p.end(n)
		case p.is(0, "?"):
			operators++
			p.take()
			p.attrPath(n)
		case t.kind == tokenSymbol && !p.isAny("(", "[", "{", "${", "=", ":", "@", ".", "..."):
			operators++
			p.take()
		default:
			n.add(p.selection())
		}
	}
	return p.end(n)
}

// selection parses an operand with the attributes selected from it: x.y.z or w.
func (p *parser) selection() *node {
	defer p.deeper()()
	n := p.start(nodeOther)
	n.add(p.operand())
	if !p.is(0, ".") {
		return n.children[0]
	}
	p.take()
	p.attrPath(n)
	if p.is(0, "or") {
		p.take()
		n.add(p.selection())
	}
	return p.end(n)
}

func (p *parser) operand() *node {
	n := p.start(nodeOther)
	switch t := p.peek(0); t.kind {
	case tokenInteger:
		n.kind = nodeInteger
		p.take()
	case tokenName:
		n.kind = nodeName
		p.take()
	case tokenFloat, tokenSearch, tokenURL:
		p.take()
	case tokenPath:
		p.path(n)
	case tokenOpen:
		p.string(n)
	default:
		p.bracketed(n)
	}
	return p.end(n)
}

func (p *parser) bracketed(n *node) {
	switch {
	case p.is(0, "("):
		p.take()
		n.body = p.expression()
		n.add(n.body)
		p.expect(")")
	case p.is(0, "["):
		p.take()
		n.kind = nodeList
		for !p.is(0, "]") && p.err == nil {
			n.add(p.selection())
		}
		p.expect("]")
	case p.is(0, "rec"), p.is(0, "let"): // let { body = …; } is the old form of rec
		p.take()
		n.visible = true
		fallthrough
	case p.is(0, "{"):
		n.kind, n.brace = nodeSet, p.expect("{").from
		p.bindings(n, "}")
	case p.is(0, "or"):
		p.take()
	default:
		p.unexpected()
	}
}

// string parses a string with its interpolations.
func (p *parser) string(n *node) {
	n.kind = nodeString
	p.take()
	for p.peek(0).kind != tokenClose && p.err == nil {
		if p.peek(0).kind == tokenText {
			p.take()
		} else {
			p.interpolation(n)
		}
	}
	p.take()
}

// path parses the pieces of a path and its ${}, with nothing between them.
func (p *parser) path(n *node) {
	n.kind = nodePath
	for end := n.from; p.peek(0).from == end && p.err == nil; end = p.tokens[p.at-1].to {
		if p.peek(0).kind == tokenPath {
			p.take()
		} else if p.is(0, "${") {
			p.interpolation(n)
		} else {
			return
		}
	}
}

func (p *parser) interpolation(n *node) {
	p.expect("${")
	n.add(p.expression())
	p.expect("}")
}

// attrPath parses a.b."c".${d}. Computed parts become children of n.
func (p *parser) attrPath(n *node) []attr {
	path := []attr{p.attr(n)}
	for p.is(0, ".") {
		p.take()
		path = append(path, p.attr(n))
	}
	return path
}

func (p *parser) attr(n *node) attr {
	t := p.peek(0)
	a := attr{from: t.from}
	switch {
	case t.kind == tokenName, p.is(0, "or"):
		a.name, a.static = p.text(p.take()), true
	case t.kind == tokenOpen && p.text(t) == `"`:
		s := p.operand()
		if n.add(s); len(s.children) == 0 {
			a.name, a.static = unescape(p.src[s.from:s.to]), true
		}
	default:
		p.interpolation(n)
	}
	a.to = p.tokens[max(p.at-1, 0)].to
	return a
}

// bindings parses the bindings of a set or let, and the token that ends them.
func (p *parser) bindings(n *node, end string) {
	for !p.is(0, end) && p.err == nil {
		if p.is(0, "inherit") {
			p.inherit(n)
			continue
		}
		b := &binding{from: p.peek(0).from, owner: n}
		b.path = p.attrPath(n)
		p.expect("=")
		b.value = p.expression()
		n.add(b.value)
		b.to = p.expect(";").to
		n.bindings = append(n.bindings, b)
	}
	p.expect(end)
}

func (p *parser) inherit(n *node) {
	from := p.take().from
	if p.is(0, "(") {
		p.take()
		n.add(p.expression())
		p.expect(")")
	}
	first := len(n.bindings)
	for !p.is(0, ";") && p.err == nil {
		n.bindings = append(n.bindings, &binding{from: from, path: []attr{p.attr(n)}, owner: n})
	}
	to := p.expect(";").to
	for _, b := range n.bindings[first:] {
		b.to = to
	}
}
