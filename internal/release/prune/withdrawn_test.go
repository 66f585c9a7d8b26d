package prune

import (
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/withdrawn"
)

// The keys that sign statements: the catalogue's, and another person's.
const ours, theirs = "ours", "theirs"

// key makes a key pair, and returns its signer.
func (h *house) key(of string, format sign.Format) *sign.Signer {
	h.Helper()
	h.Setenv(sign.PasswordVariable, "correct horse")
	base := filepath.Join(h.TempDir(), of)
	check(h, sign.Keygen(base, nil))
	signer, err := sign.Config{Format: format, Key: base + ".key"}.Signer(h.Context(), sign.Prompts{})
	check(h, err)
	return signer
}

// withdraw attaches a statement that one release of docs is withdrawn, or none. p trusts ours.
func (h *house) withdraw(p *Pruner, of string, version int, tag string, subjects ...name.Digest) {
	h.Helper()
	if h.keys[of] == nil {
		h.keys[of] = h.key(of, sign.Bundle)
	}
	if p.Signing == nil {
		p.Signing = &state.Signing{Client: sign.NewClient(h.client, sign.Limits{}), Policy: h.keys[ours].Policy()}
	}
	var list withdrawn.List
	if tag != "" {
		list = withdrawn.List{{App: "docs", Tag: tag, Reason: "Broken.", Date: now}}
	}
	predicate, err := withdrawn.NewStatement(list, "docs", "default", version).Encode()
	check(h, err)
	attacher := sign.NewClient(h.client, sign.Limits{}).Attacher(h.keys[of])
	_, err = attacher.Attest(h.Context(), withdrawn.PredicateType, predicate, subjects...)
	check(h, err)
	check(h, attacher.Write(h.Context()))
}

// subject returns the digest that a tag points to.
func (h *house) subject(repository, tag string) name.Digest {
	h.Helper()
	digest, err := (&world{client: h.client}).digest(repository, h.digest(repository, tag))
	check(h, err)
	return digest
}
