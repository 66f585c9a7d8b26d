package sign

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// CosignCommand returns the command line, quoted for a shell, with which cosign checks what
// Verify checks (kind SignatureType) or VerifyAttestations (kind a predicate type). keyFile
// is the public key if the policy has a key. The command is for cosign 3, which detects the
// format. cosign 2.6 accepts it too, but fetches a bundle's trusted root from the internet
// even with a key, and refuses --trusted-root for an attestation in the format Classic.
func (p *Policy) CosignCommand(subject name.Digest, kind, keyFile string) string {
	args := []string{"cosign", "verify"}
	if kind != SignatureType {
		args = []string{"cosign", "verify-attestation", "--type", kind}
	}
	if p.root == nil {
		args = append(args, "--key", keyFile, "--insecure-ignore-tlog=true")
	} else {
		issuer := []string{"--certificate-oidc-issuer", p.identity.Issuer}
		if pattern := p.identity.anchoredIssuer(); pattern != "" {
			issuer = []string{"--certificate-oidc-issuer-regexp", pattern}
		}
		args = append(append(args, issuer...), "--certificate-identity-regexp", p.identity.anchored())
		if p.root.name != "" {
			args = append(args, "--trusted-root", p.root.name)
		}
		// cosign must not require a service that the trusted root does not list.
		if p.ways[0].classic.UseSignedTimestamps {
			args = append(args, "--use-signed-timestamps=true")
		}
		if p.ways[0].classic.IgnoreTlog {
			args = append(args, "--insecure-ignore-tlog=true")
		}
		if p.ways[0].classic.IgnoreSCT {
			args = append(args, "--insecure-ignore-sct=true")
		}
	}
	if byDefault, err := name.NewRegistry(subject.RegistryStr()); err == nil && byDefault.Scheme() != subject.Context().Scheme() {
		args = append(args, "--allow-http-registry=true")
	}
	args = append(args, subject.String())
	for i, arg := range args {
		args[i] = ShellQuote(arg)
	}
	return strings.Join(args, " ")
}

// ShellQuote quotes a string as one word for a POSIX shell.
func ShellQuote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@%+=:,./_-", r)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
