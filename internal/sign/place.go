package sign

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A Copy is where else signatures are accepted than in the registry that they were made
// for: both are REGISTRY[/NAMESPACE]; In is "" for anywhere.
type Copy struct{ Of, In string }

func (c Copy) isIn(place string) bool { return c.In == "" || SamePlace(c.In, place) }

// WithCopies is the policy, which accepts copies as well.
func (p *Policy) WithCopies(copies ...Copy) *Policy {
	with := *p
	with.copies = slices.Clone(p.copies)
	for _, c := range copies {
		if of, err := name.NewRepository(strings.TrimSuffix(c.Of, "/") + "/x"); err == nil {
			with.copies = append(with.copies, Copy{Of: Place(of), In: c.In})
		}
	}
	return &with
}

// A PlaceError says that a signature is genuine, and was made for another repository
// than the one that it was found in. Whoever may push can bring it there.
type PlaceError struct {
	For, In string // repositories, registry included
}

func (e *PlaceError) Error() string { return "it is signed for " + e.For + ", not for " + e.In }

// Elsewhere tells which REGISTRY[/NAMESPACE] the signature was made for and which it was
// found in; is is false where it is of a repository with another name.
func (e *PlaceError) Elsewhere() (of, in string, is bool) {
	of, nameOf := cutRepository(e.For)
	in, nameIn := cutRepository(e.In)
	return of, in, nameOf == nameIn
}

// verify says what an attachment of the subject says, if the policy accepts it, and if it
// says it of the subject's repository: the digest alone may be anywhere.
func (p *Policy) verify(a attachment, subject name.Digest, kind string) (*Statement, error) {
	digest, err := v1.NewHash(subject.DigestStr())
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", subject, err)
	}
	statement, err := p.verifySignature(a, digest, kind)
	if err != nil {
		return nil, err
	}
	var elsewhere error
	names := statement.names
	statement.names = nil // they have done their work
	for _, named := range names {
		place, is := repositoryOf(named)
		switch {
		case !is:
		case place == subject.Context().Name() || p.isCopy(place, subject.Context().Name()):
			statement.Signature.For = place
			return statement, nil
		default:
			elsewhere = &PlaceError{For: place, In: subject.Context().Name()}
		}
	}
	if elsewhere != nil {
		return nil, elsewhere
	}
	return statement, nil // it names no place
}

// Place is the REGISTRY[/NAMESPACE] of a repository.
func Place(repository name.Repository) string {
	place, _ := cutRepository(repository.Name())
	return place
}

// isCopy tells whether what was signed for one repository is accepted in another.
func (p *Policy) isCopy(place, found string) bool {
	of, nameOf := cutRepository(place)
	in, nameIn := cutRepository(found)
	return nameOf == nameIn && p.AcceptsCopy(of, in)
}

// AcceptsCopy tells whether what was signed for a REGISTRY[/NAMESPACE] is accepted in
// another.
func (p *Policy) AcceptsCopy(of, in string) bool {
	return slices.ContainsFunc(p.copies, func(c Copy) bool { return SamePlace(c.Of, of) && c.isIn(in) })
}

// CopiesIn are the places whose copies are accepted in a REGISTRY[/NAMESPACE].
func (p *Policy) CopiesIn(in string) []string {
	var all []string
	for _, c := range p.copies {
		if c.isIn(in) {
			all = append(all, c.Of)
		}
	}
	return all
}

// SamePlace compares REGISTRY[/NAMESPACE], of which Docker's has several names.
func SamePlace(a, b string) bool {
	x, errX := name.NewRepository(strings.TrimSuffix(a, "/") + "/x")
	y, errY := name.NewRepository(strings.TrimSuffix(b, "/") + "/x")
	return errX == nil && errY == nil && x.Name() == y.Name()
}

// repositoryOf is the repository that a statement's name of its subject has, as cosign and
// libre write it, with a digest or without: registry included, or it is none.
func repositoryOf(named string) (string, bool) {
	repository, _, _ := strings.Cut(named, "@")
	parsed, err := name.NewRepository(repository)
	if err != nil || !strings.HasPrefix(repository, parsed.RegistryStr()+"/") {
		return "", false
	}
	return parsed.Name(), true
}

func cutRepository(repository string) (place, base string) {
	slash := strings.LastIndex(repository, "/")
	if slash < 0 {
		return "", repository
	}
	return repository[:slash], repository[slash+1:]
}
