package nixedit

import (
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
)

// HashLiteral is an attribute whose value is a literal with a hash.
type HashLiteral struct {
	Attribute                  // Path is the name as written
	Text      string           // SRI, or "" for a hash that is not known yet
	Literal   catalog.Position // of the value
}

var (
	sri      = lazyregexp.New(`\Asha(?:256|512)-[0-9A-Za-z+/]+={0,2}\z`)
	hashName = lazyregexp.New(`(?:\A|\.)(?:hash|sha256|[0-9A-Za-z_-]*Hash)\z`)
)

// Hashes lists the hashes in a file: literals that are an SRI hash, and empty literals whose
// name is that of a hash, as in vendorHash = "".
func Hashes(name string, src []byte) ([]HashLiteral, error) {
	f, err := open(name, src)
	if err != nil {
		return nil, err
	}
	var all []HashLiteral
	for b := range f.root.allBindings {
		if b.value == nil || b.value.kind != nodeString || !b.value.isLiteral() || !b.static() {
			continue
		}
		text := f.value(b.value)
		if sri().MatchString(text) || text == "" && hashName().MatchString(b.name()) {
			all = append(all, HashLiteral{Attribute{b.name(), f.position(b.path[0].from)}, text, f.position(b.value.from)})
		}
	}
	return all, nil
}
