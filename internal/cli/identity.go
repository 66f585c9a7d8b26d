package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/settings"
	"github.com/libresh/libre/internal/sign"
)

// signer is who must have signed, as it is typed where no settings say it.
type signer struct {
	identity, identityPattern string
	issuer, issuerPattern     string
	trustedRoot               string
	copyOf                    []string
}

func (s *signer) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.identity, "identity", "", "who must have signed: a workflow's `URI` or an e-mail\naddress, compared exactly; with --issuer")
	flags.StringVar(&s.identityPattern, "identity-regexp", "", "instead of --identity: a `PATTERN` for the whole of it")
	flags.StringVar(&s.issuer, "issuer", "", "the `URL` that says who signed, compared exactly")
	flags.StringVar(&s.issuerPattern, "issuer-regexp", "", "instead of --issuer: a `PATTERN` for the whole of it")
	flags.StringVar(&s.trustedRoot, "trusted-root", "", "trust the services in `FILE` (default: trustedRoot in\nlibre.yaml, else Sigstore's public instance)")
	flags.StringArrayVar(&s.copyOf, "copy-of", nil, "also accept what was signed for another\n`REGISTRY`[/NAMESPACE], of which this has a copy\n(default: copyTo, and sign.copies in libre.yaml)")
	cmd.MarkFlagsMutuallyExclusive("identity", "identity-regexp", "key")
	cmd.MarkFlagsMutuallyExclusive("issuer", "issuer-regexp", "key")
}

// given tells whether any of it was typed.
func (s signer) given() bool {
	return s.identity+s.identityPattern+s.issuer+s.issuerPattern != ""
}

// policy accepts the identity in either format. root is the trusted root of the
// settings.
func (s signer) policy(ctx context.Context, root string) (*sign.Policy, error) {
	identity := sign.Identity{Issuer: s.issuer, IssuerPattern: s.issuerPattern, Subject: s.identityPattern}
	if s.identity != "" {
		identity.Subject = regexp.QuoteMeta(s.identity)
	}
	if identity.Subject == "" {
		return nil, usageError{errors.New("--issuer says who knows the signer: give --identity or --identity-regexp too")}
	}
	if s.issuer+s.issuerPattern == "" {
		return nil, usageError{errors.New("an identity means nothing without who says so: give --issuer or --issuer-regexp too")}
	}
	for flag, pattern := range map[string]string{"--identity-regexp": s.identityPattern, "--issuer-regexp": s.issuerPattern} {
		if _, err := regexp.Compile(pattern); err != nil {
			return nil, usageError{fmt.Errorf("%s %q, expected a regular expression: %w", flag, pattern, err)}
		}
	}
	if s.trustedRoot != "" {
		root = s.trustedRoot
	}
	trusted, err := sign.ReadTrustedRoot(ctx, root)
	if err != nil {
		return nil, err
	}
	return sign.IdentityPolicy("", identity, trusted)
}

// operatorWorkspace is the catalogue, or what there is of settings without one: those of
// the nearest libre.yaml, and the variables.
func (e *env) operatorWorkspace() (*workspace, error) {
	ws, err := e.workspace()
	if !errors.Is(err, errNoCatalogue) {
		return ws, err
	}
	dir, err := filepath.Abs(e.directory)
	if err != nil {
		return nil, err
	}
	for at := dir; ; at = filepath.Dir(at) {
		_, err := os.Stat(filepath.Join(at, settings.File))
		if err != nil && at != filepath.Dir(at) {
			continue
		}
		ws = &workspace{note: e.note}
		if err == nil {
			ws.dir = at
		}
		if ws.config, err = settings.Read(ws.dir, os.Getenv); err != nil {
			return nil, err
		}
		if ws.cacheDir, err = cacheDir(); err == nil {
			err = ws.trustAuthorities()
		}
		return ws, err
	}
}

// attachments reads and writes what is attached to images, within the catalogue's limits.
func (ws *workspace) attachments(client *registry.Client) *sign.Client {
	limits := ws.config.Limits
	return sign.NewClient(client, sign.Limits{Attachment: limits.Attachment, Foreign: limits.Attachments})
}

// operatorSigning is what accepts a signature, of who was typed or is in the settings.
func (ws *workspace) operatorSigning(ctx context.Context, o publishOptions, client *registry.Client) (*release.Signing, error) {
	for _, of := range o.signer.copyOf {
		if err := registry.CheckPrefix(of); err != nil {
			return nil, usageError{fmt.Errorf("--copy-of %s (%w), expected REGISTRY[/NAMESPACE], such as registry.example/coop", of, err)}
		}
	}
	if o.signer.given() {
		root := ""
		if keyless := ws.config.Sign.Keyless; keyless != nil {
			root = keyless.TrustedRoot
		}
		policy, err := o.signer.policy(ctx, root)
		if err != nil {
			return nil, err
		}
		return &release.Signing{Client: ws.attachments(client), Policy: policy.WithCopies(ws.copies(o)...)}, nil
	}
	if o.key != "" && !strings.HasSuffix(o.key, ".key") && ws.config.Sign.Format == "" {
		public, err := sign.ReadPublicKey(o.key)
		if err != nil {
			return nil, err
		}
		policy, err := sign.KeyPolicy("", public)
		if err != nil {
			return nil, err
		}
		return &release.Signing{Client: ws.attachments(client), Policy: policy.WithCopies(ws.copies(o)...)}, nil
	}
	if o.key == "" && ws.config.Sign.Unset() {
		return nil, errNoSigner
	}
	signing, err := ws.signing(ctx, o, client, false)
	if err == nil && signing == nil {
		err = usageError{errors.New("sign: none in libre.yaml, so nobody is known to have signed: give --key or --identity")}
	}
	return signing, err
}

// copies are where signatures are accepted beside the registry that they were made for.
func (ws *workspace) copies(o publishOptions) []sign.Copy {
	all := ws.config.Copies()
	for _, to := range o.to[min(1, len(o.to)):] {
		all = append(all, sign.Copy{Of: o.to[0], In: to})
	}
	for _, of := range o.signer.copyOf {
		all = append(all, sign.Copy{Of: of})
	}
	return all
}

var errNoSigner = usageError{errors.New("who must have signed is not known: give --key or --identity (with --issuer), or sign in libre.yaml")}

// isRepository tells a repository in a registry, without a tag, from a selection.
func isRepository(word string) bool {
	host, _, below := strings.Cut(word, "/")
	return below && !strings.HasPrefix(host, ".") && (strings.ContainsAny(host, ".:") || host == "localhost") && !strings.ContainsAny(word, "*?") && !isReference(word)
}

// prefixOf is REGISTRY[/NAMESPACE] of a word that names something in a registry.
func prefixOf(word string) (string, error) {
	slash := strings.LastIndex(word, "/")
	if slash <= 0 || slash == len(word)-1 {
		return "", usageError{fmt.Errorf("%s does not say which registry has what: give REGISTRY[/NAMESPACE]/NAME, and :TAG or @sha256:DIGEST of a release", word)}
	}
	return word[:slash], nil
}

// noTag is what to say of a repository where a reference is wanted.
func noTag(word string) error {
	return usageError{fmt.Errorf("%s names no release: give a tag, such as %s:1.2.3-1, or a digest; libre list %s lists what is published", word, word, word)}
}
