package kit

import (
	"errors"
	"fmt"
	"path"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/sign"
)

// signers say who signs the images, and how: with keys, or as the identity.
type signers struct {
	format   sign.Format
	keys     []sign.VerificationKey // the one that signs now first
	identity *sign.Identity         // nil for keys
	instance *instance              // nil for Sigstore's public one
}

// newSigners reads the public keys, or the trusted root, of a configuration.
func newSigners(config sign.Config) (s signers, err error) {
	s.format = config.Format
	if s.format == "" {
		s.format = sign.Bundle
	}
	if config.Keyless != nil {
		s.identity = &config.Keyless.Identity
		if !config.Keyless.Public() {
			s.instance, err = readInstance(config.Keyless)
		}
		return s, err
	}
	s.keys, err = config.VerificationKeys()
	return s, err
}

// ends says when keys end, which no policy can: "" if none does.
func (s signers) ends() string {
	ends := ""
	for _, key := range s.keys {
		if last := key.LastDay(); last != "" {
			ends += fmt.Sprintf("%s is accepted until %s: render this again then.\n", path.Base(key.File), last)
		}
	}
	return ends
}

// unreadable is an error: a tool cannot verify what libre signs as it is configured.
func unreadable(doing, why, set string) error {
	return &fault.Fault{Doing: doing, Err: errors.New(why), Fix: set}
}

// Both formats are known to the tools by other names.
const (
	setClassic = "set sign: {format: classic} in libre.yaml, and run libre push --all"
	setBundle  = "set sign: {format: bundle} in libre.yaml, and run libre push --all"
	setKey     = "sign with a key: libre keygen, then sign: {key: cosign.key, format: classic} in libre.yaml"
)
