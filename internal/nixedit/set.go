package nixedit

// Set gives an attribute a new value. It changes the attribute's literal, or the literal of
// the name in the same file that the attribute refers to.
type Set struct {
	Attribute
	Value Value
}

func (s Set) splices(f *file) ([]splice, error) {
	b, err := f.binding(s.Attribute)
	if err != nil {
		return nil, err
	}
	n, err := f.literal(s.Attribute, b)
	if err != nil {
		return nil, err
	}
	refuse := func(why string) ([]splice, error) { return nil, &Refusal{s.At, s.Path + why} }
	switch {
	case !s.Value.valid:
		return refuse(" has no new value")
	case s.Value.integer && n.kind != nodeInteger:
		return refuse(" is a string, expected an integer")
	case !s.Value.integer && n.kind == nodeInteger:
		return refuse(" is an integer, expected a string")
	}
	quotes := 0
	if n.kind == nodeString {
		quotes = 1
		if f.src[n.from] == '\'' {
			quotes = 2
		}
	}
	return []splice{{from: n.from + quotes, to: n.to - quotes, text: s.Value.text, literal: n.from, value: &s.Value}}, nil
}
