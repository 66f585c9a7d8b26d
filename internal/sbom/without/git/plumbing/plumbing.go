// Package plumbing has the names of references. Package git looks up none.
package plumbing

type (
	Hash          string
	ReferenceName string
	Revision      string
)

func NewHash(hash string) Hash                      { return Hash(hash) }
func (h Hash) String() string                       { return string(h) }
func NewTagReferenceName(name string) ReferenceName { return ReferenceName("refs/tags/" + name) }
