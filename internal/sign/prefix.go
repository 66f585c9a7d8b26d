package sign

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A Copy accepts signatures in another registry than the one that they were made for. Of is
// the registry that they were made for, and In the one where they are accepted, both as
// REGISTRY[/NAMESPACE]. An empty In means any registry.
type Copy struct{ Of, In string }

func (c Copy) isIn(prefix string) bool { return c.In == "" || SamePrefix(c.In, prefix) }

// WithCopies returns a policy that also accepts the copies.
func (p *Policy) WithCopies(copies ...Copy) *Policy {
	with := *p
	with.copies = slices.Clone(p.copies)
	for _, c := range copies {
		if of, err := name.NewRepository(strings.TrimSuffix(c.Of, "/") + "/x"); err == nil {
			with.copies = append(with.copies, Copy{Of: Prefix(of), In: c.In})
		}
	}
	return &with
}

// A RepositoryError means that a signature is genuine but was made for another repository than
// the one that contains it. Anybody with push access can copy it there.
type RepositoryError struct {
	For, In string // repositories, registry included
}

func (e *RepositoryError) Error() string { return "it is signed for " + e.For + ", not for " + e.In }

// Elsewhere returns the REGISTRY[/NAMESPACE] that the signature was made for and the one
// that contains it. It returns false if the names of the repositories differ as well.
func (e *RepositoryError) Elsewhere() (of, in string, is bool) {
	of, nameOf := cutRepository(e.For)
	in, nameIn := cutRepository(e.In)
	return of, in, nameOf == nameIn
}

// verify returns the statement in an attachment of the subject if the policy accepts it and
// if it names the subject's repository. Anybody can copy a digest into another repository.
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
	statement.names = nil // used only below
	for _, named := range names {
		repository, is := repositoryOf(named)
		switch {
		case !is:
		case repository == subject.Context().Name() || p.isCopy(repository, subject.Context().Name()):
			statement.Signature.For = repository
			return statement, nil
		default:
			elsewhere = &RepositoryError{For: repository, In: subject.Context().Name()}
		}
	}
	if elsewhere != nil {
		return nil, elsewhere
	}
	return statement, nil // it names no repository
}

// Prefix returns the REGISTRY[/NAMESPACE] of a repository.
func Prefix(repository name.Repository) string {
	prefix, _ := cutRepository(repository.Name())
	return prefix
}

// isCopy reports whether the policy accepts a signature for one repository in another.
func (p *Policy) isCopy(repository, found string) bool {
	of, nameOf := cutRepository(repository)
	in, nameIn := cutRepository(found)
	return nameOf == nameIn && p.AcceptsCopy(of, in)
}

// AcceptsCopy reports whether the policy accepts signatures made for one
// REGISTRY[/NAMESPACE] in another.
func (p *Policy) AcceptsCopy(of, in string) bool {
	return slices.ContainsFunc(p.copies, func(c Copy) bool { return SamePrefix(c.Of, of) && c.isIn(in) })
}

// CopiesIn returns each REGISTRY[/NAMESPACE] whose copies are accepted in the given one.
func (p *Policy) CopiesIn(in string) []string {
	var all []string
	for _, c := range p.copies {
		if c.isIn(in) {
			all = append(all, c.Of)
		}
	}
	return all
}

// SamePrefix reports whether two REGISTRY[/NAMESPACE] are the same. Docker's registry has
// several names.
func SamePrefix(a, b string) bool {
	x, errX := name.NewRepository(strings.TrimSuffix(a, "/") + "/x")
	y, errY := name.NewRepository(strings.TrimSuffix(b, "/") + "/x")
	return errX == nil && errY == nil && x.Name() == y.Name()
}

// repositoryOf returns the repository, with its registry, from the name of a subject in a
// statement. cosign and libre write it with or without a digest. It returns false if the
// name is not a repository with a registry.
func repositoryOf(named string) (string, bool) {
	repository, _, _ := strings.Cut(named, "@")
	parsed, err := name.NewRepository(repository)
	if err != nil || !strings.HasPrefix(repository, parsed.RegistryStr()+"/") {
		return "", false
	}
	return parsed.Name(), true
}

func cutRepository(repository string) (prefix, base string) {
	slash := strings.LastIndex(repository, "/")
	if slash < 0 {
		return "", repository
	}
	return repository[:slash], repository[slash+1:]
}
