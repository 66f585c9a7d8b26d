package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/settings"
	"github.com/libresh/libre/internal/sign"
)

// registryOptions are the flags of commands that use a registry.
type registryOptions struct {
	to       []string
	key      string
	insecure bool
	signer   signerOptions
}

func (o *registryOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&o.to, "to", nil, "the `REGISTRY`[/NAMESPACE] of the images (default: registry in libre.yaml)")
	flags.StringVar(&o.key, "key", "", "sign with the private key, or verify with the public key, in `FILE` (default: sign in libre.yaml)")
	flags.BoolVar(&o.insecure, "insecure", false, "allow plain HTTP and untrusted certificates (always allowed on the loopback address)")
}

// addReferenceFlags adds the flags of commands that also read a published reference.
func (o *registryOptions) addReferenceFlags(cmd *cobra.Command, kind string) {
	cmd.Flags().StringVar(&o.key, "key", "", "of a "+kind+": the public key in `FILE` (default: sign in libre.yaml)")
	cmd.Flags().BoolVar(&o.insecure, "insecure", false, "of a "+kind+": allow plain HTTP and untrusted certificates")
	o.signer.addFlags(cmd)
}

// signerOptions are the flags that name who must have signed.
type signerOptions struct {
	identity, identityPattern string
	issuer, issuerPattern     string
	trustedRoot               string
	copyOf                    []string
}

func (o *signerOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.identity, "identity", "", "require a signature by a workflow's `URI` or an e-mail address; needs --issuer")
	flags.StringVar(&o.identityPattern, "identity-regexp", "", "like --identity, with a regular expression `PATTERN` for the whole identity")
	flags.StringVar(&o.issuer, "issuer", "", "the `URL` of the OpenID issuer of the identity")
	flags.StringVar(&o.issuerPattern, "issuer-regexp", "", "like --issuer, with a regular expression `PATTERN` for the whole URL")
	flags.StringVar(&o.trustedRoot, "trusted-root", "", "trust the services in `FILE` (default: trustedRoot in libre.yaml, else Sigstore's public instance)")
	flags.StringArrayVar(&o.copyOf, "copy-of", nil, "also accept copies of what was signed for another `REGISTRY`[/NAMESPACE] (default: copyTo and sign.copies in libre.yaml)")
	cmd.MarkFlagsMutuallyExclusive("identity", "identity-regexp", "key")
	cmd.MarkFlagsMutuallyExclusive("issuer", "issuer-regexp", "key")
}

// given reports whether the flags name an identity.
func (o signerOptions) given() bool {
	return o.identity+o.identityPattern+o.issuer+o.issuerPattern != ""
}

// policy accepts the identity in either format. root is the trusted root of the settings.
func (o signerOptions) policy(ctx context.Context, root string) (*sign.Policy, error) {
	identity := sign.Identity{Issuer: o.issuer, IssuerPattern: o.issuerPattern, Subject: o.identityPattern}
	if o.identity != "" {
		identity.Subject = regexp.QuoteMeta(o.identity)
	}
	if identity.Subject == "" {
		return nil, usageError{errors.New("--issuer needs an identity: give --identity or --identity-regexp too")}
	}
	if o.issuer+o.issuerPattern == "" {
		return nil, usageError{errors.New("an identity needs its issuer: give --issuer or --issuer-regexp too")}
	}
	for flag, pattern := range map[string]string{"--identity-regexp": o.identityPattern, "--issuer-regexp": o.issuerPattern} {
		if _, err := regexp.Compile(pattern); err != nil {
			return nil, usageError{fmt.Errorf("%s %q, expected a regular expression: %w", flag, pattern, err)}
		}
	}
	if o.trustedRoot != "" {
		root = o.trustedRoot
	}
	trusted, err := sign.ReadTrustedRoot(ctx, root)
	if err != nil {
		return nil, err
	}
	return sign.IdentityPolicy("", identity, trusted)
}

// clientOptions returns the options for a client of a registry.
func (ws *workspace) clientOptions(insecure bool) registry.Options {
	return registry.Options{Insecure: insecure, Authorities: ws.settings.CA, Traffic: &ws.traffic, Notes: ws.warn}
}

// registries returns the registries that the catalogue publishes to. Commands read from the
// first.
func (ws *workspace) registries(o registryOptions) ([]*registry.Client, error) {
	names := o.to
	if len(names) == 0 {
		names = ws.settings.Registries()
	}
	if len(names) == 0 {
		return nil, usageError{errors.New("no registry: give --to REGISTRY[/NAMESPACE], or set registry in libre.yaml")}
	}
	var clients []*registry.Client
	for _, name := range names {
		client, err := registry.NewClient(name, ws.clientOptions(o.insecure))
		if err != nil {
			return nil, usageError{err}
		}
		clients = append(clients, client)
	}
	return clients, nil
}

// registry returns the registry that a command reads from.
func (ws *workspace) registry(o registryOptions) (*registry.Client, error) {
	clients, err := ws.registries(o)
	if err != nil {
		return nil, err
	}
	return clients[0], nil
}

// attachments reads and writes the attachments of images, within the limits of libre.yaml.
func (ws *workspace) attachments(client *registry.Client) *sign.Client {
	limits := ws.settings.Limits
	return sign.NewClient(client, sign.Limits{Attachment: limits.Attachment, Foreign: limits.Attachments})
}

// copies returns where signatures are accepted in addition to the registry that they were
// made for.
func (ws *workspace) copies(o registryOptions) []sign.Copy {
	all := ws.settings.Copies()
	for _, to := range o.to[min(1, len(o.to)):] {
		all = append(all, sign.Copy{Of: o.to[0], In: to})
	}
	for _, of := range o.signer.copyOf {
		all = append(all, sign.Copy{Of: of})
	}
	return all
}

// verifying returns how to verify the catalogue's signatures, or nil for sign: none.
func (ws *workspace) verifying(ctx context.Context, o registryOptions, client *registry.Client) (*state.Signing, error) {
	config, err := ws.signConfig(o, false)
	if err != nil || config == nil {
		return nil, err
	}
	policy, err := config.Policy(ctx)
	if err != nil {
		return nil, err
	}
	return &state.Signing{Client: ws.attachments(client), Policy: policy}, nil
}

// signing returns how the catalogue signs, or nil for sign: none. It opens the private key
// only when something is signed, because that takes longer than checking everything that is
// published.
func (ws *workspace) signing(ctx context.Context, o registryOptions, client *registry.Client) (*state.Signing, error) {
	config, err := ws.signConfig(o, true)
	if err != nil || config == nil {
		return nil, err
	}
	var prompts sign.Prompts
	if ask := askPassword(); ask != nil {
		prompts = sign.Prompts{Password: ask, Browser: os.Stderr}
	}
	signing := &state.Signing{Client: ws.attachments(client)}
	signing.Signer = sync.OnceValues(func() (*sign.Signer, error) { return config.Signer(ctx, prompts) })
	if signing.Policy, err = config.Policy(ctx); err == nil {
		return signing, nil
	}
	signer, err := signing.Signer() // it knows its public key
	if err != nil {
		return nil, err
	}
	signing.Policy = signer.Policy()
	return signing, nil
}

// signConfig returns sign in libre.yaml, or --key; nil for sign: none. If toSign is true,
// --key is a private key unless its name ends in .pub. Otherwise it is a public key unless
// its name ends in .key.
func (ws *workspace) signConfig(o registryOptions, toSign bool) (*sign.Config, error) {
	configured := ws.settings.Sign
	if o.key != "" {
		configured = settings.Sign{Config: sign.Config{Format: configured.Format, Key: o.key}}
		if strings.HasSuffix(o.key, ".pub") || !toSign && !strings.HasSuffix(o.key, ".key") {
			configured.Key, configured.PublicKeys = "", []sign.PublicKey{{File: o.key}}
		}
	}
	if configured.None {
		return nil, nil
	}
	if configured.Unset() {
		return nil, usageError{errors.New("no signing key: make one with libre keygen, and give --key FILE or set sign: {key: FILE} in libre.yaml (or sign: none)")}
	}
	config := configured.Config
	config.Copies = ws.copies(o)
	return &config, nil
}

var errNoSigner = usageError{errors.New("no signer is known: give --key, or --identity and --issuer, or set sign in libre.yaml")}

// operatorVerifying verifies signatures by the flags or the settings, for commands that
// need no catalogue.
func (ws *workspace) operatorVerifying(ctx context.Context, o registryOptions, client *registry.Client) (*state.Signing, error) {
	for _, of := range o.signer.copyOf {
		if err := registry.CheckPrefix(of); err != nil {
			return nil, usageError{fmt.Errorf("--copy-of %s (%w), expected REGISTRY[/NAMESPACE], such as registry.example/coop", of, err)}
		}
	}
	var policy *sign.Policy
	var err error
	switch {
	case o.signer.given():
		root := ""
		if keyless := ws.settings.Sign.Keyless; keyless != nil {
			root = keyless.TrustedRoot
		}
		policy, err = o.signer.policy(ctx, root)
	case o.key != "" && !strings.HasSuffix(o.key, ".key") && ws.settings.Sign.Format == "":
		policy, err = publicKeyPolicy(o.key)
	case o.key == "" && ws.settings.Sign.Unset():
		return nil, errNoSigner
	case o.key == "" && ws.settings.Sign.None:
		return nil, usageError{errors.New("no signer is known, because libre.yaml has sign: none: give --key, or --identity and --issuer")}
	default:
		return ws.verifying(ctx, o, client)
	}
	if err != nil {
		return nil, err
	}
	return &state.Signing{Client: ws.attachments(client), Policy: policy.WithCopies(ws.copies(o)...)}, nil
}

// publicKeyPolicy accepts the signatures of a key, in either format.
func publicKeyPolicy(file string) (*sign.Policy, error) {
	public, err := sign.ReadPublicKey(file)
	if err != nil {
		return nil, err
	}
	return sign.KeyPolicy("", public)
}
