package settings

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sign"
)

// read reads none, or a mapping.
func (s *Sign) read(at location, node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Value == "none" {
		s.None = true
		return nil
	}
	if node.Kind != yaml.MappingNode {
		return at.wrong(node, "")
	}
	if err := mapping(s.keys())(at, node); err != nil {
		return err
	}
	if s.Keyless != nil && (s.Key != "" || len(s.PublicKeys) > 0) {
		return at.wrong(node, "it has both key and keyless")
	}
	return nil
}

func (s *Sign) keys() []key {
	return []key{
		{"format", "", "bundle or classic", "format: bundle", text((*string)(&s.Format), oneOf(string(sign.Bundle), string(sign.Classic)))},
		{"key", "", "a file or env://VARIABLE", "key: cosign.key", text(&s.Key, checkKeyName)},
		{"keyless", "", "a mapping with identity", `keyless: {identity: {issuer: "https://issuer.example", subject: "https://example/.*"}}`, s.readKeyless},
		{"publicKey", "", "a file, env://VARIABLE, or a list of them", "publicKey: [new.pub, {file: old.pub, until: 2026-12-31}]", s.readPublicKeys},
		{"copies", "", "a list of REGISTRY[/NAMESPACE], or of mappings with of and in", "copies: [mirror.example/coop, {of: staging.example/coop, in: test.example/coop}]", s.readCopies},
	}
}

// resolve makes the paths of files relative to a folder.
func (s *Sign) resolve(dir string) {
	s.Key = inFolder(dir, s.Key)
	for i, key := range s.PublicKeys {
		s.PublicKeys[i].File = inFolder(dir, key.File)
	}
	if k := s.Keyless; k != nil {
		k.TrustedRoot, k.TokenFile = inFolder(dir, k.TrustedRoot), inFolder(dir, k.TokenFile)
	}
}

// readPublicKeys reads a key, or a list of keys, each with an optional last day.
func (s *Sign) readPublicKeys(at location, node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Value == "" {
		return nil
	}
	nodes := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		at.path += "[]"
		nodes = node.Content
	}
	for _, element := range nodes {
		element = resolved(element)
		var one sign.PublicKey
		var err error
		if element.Kind == yaml.MappingNode && node.Kind == yaml.SequenceNode {
			err = mapping(publicKeyKeys(&one))(at, element)
		} else {
			err = text(&one.File, checkKeyName)(at, element)
		}
		switch {
		case err != nil:
			return err
		case one.File == "":
			return at.wrong(element, "it has no file")
		case slices.ContainsFunc(s.PublicKeys, func(other sign.PublicKey) bool { return other.File == one.File }):
			return at.wrong(element, one.File+" is listed twice")
		}
		s.PublicKeys = append(s.PublicKeys, one)
	}
	return nil
}

func publicKeyKeys(one *sign.PublicKey) []key {
	return []key{
		{"file", "", "a file or env://VARIABLE", "file: old.pub", text(&one.File, checkKeyName)},
		{"until", "", "the last day on which the key is accepted, YEAR-MONTH-DAY", "until: 2026-12-31", lastDay(&one.Until)},
	}
}

// readCopies reads the registries that have copies of what is signed for the catalogue's
// registry, or for another one.
func (s *Sign) readCopies(at location, node *yaml.Node) error {
	if node.Kind != yaml.SequenceNode {
		return at.wrong(node, "")
	}
	at.path += "[]"
	for _, element := range node.Content {
		element = resolved(element)
		var one sign.Copy
		var err error
		if element.Kind == yaml.MappingNode {
			err = mapping(copyKeys(&one))(at, element)
			if err == nil && (one.Of == "" || one.In == "") {
				err = at.wrong(element, "it needs both of and in")
			}
		} else if err = text(&one.In, registry.CheckPrefix)(at, element); err == nil && one.In == "" {
			err = at.wrong(element, "")
		}
		if err != nil {
			return err
		}
		s.Copies = append(s.Copies, one)
	}
	return nil
}

func copyKeys(one *sign.Copy) []key {
	return []key{
		{"of", "", "REGISTRY[/NAMESPACE]", "of: registry.example/coop", text(&one.Of, registry.CheckPrefix)},
		{"in", "", "REGISTRY[/NAMESPACE]", "in: mirror.example/coop", text(&one.In, registry.CheckPrefix)},
	}
}

// completeCopies sets the catalogue's registry as the origin of copies that name none.
func (s *Settings) completeCopies(line int) error {
	for i := range s.Sign.Copies {
		switch c := &s.Sign.Copies[i]; {
		case c.Of != "":
		case s.Registry == "":
			return located(line, "sign.copies names "+c.In+", but there is no registry that it could be a copy of", "for example: copies: [{of: registry.example/coop, in: "+c.In+"}]")
		case sign.SamePrefix(c.In, s.Registry):
			return located(line, "sign.copies names "+c.In+", which is the registry", "say what it has copies of, for example: copies: [{of: staging.example/coop, in: "+c.In+"}]")
		default:
			c.Of = s.Registry
		}
	}
	return nil
}

// lastDay reads a day, and stores its end in UTC.
func lastDay(into *time.Time) reader {
	return func(at location, node *yaml.Node) error {
		day, err := time.Parse(time.DateOnly, node.Value)
		if node.Kind != yaml.ScalarNode || err != nil {
			return at.wrong(node, "")
		}
		*into = day.AddDate(0, 0, 1)
		return nil
	}
}

func (s *Sign) readKeyless(at location, node *yaml.Node) error {
	k := &sign.Keyless{}
	err := mapping(keylessKeys(k))(at, node)
	if err != nil {
		return err
	}
	if err := k.Check(); err != nil {
		return at.wrong(node, strings.TrimPrefix(err.Error(), "sign.keyless: "))
	}
	s.Keyless = k
	return nil
}

func keylessKeys(k *sign.Keyless) []key {
	return []key{
		{"fulcio", "", "an https URL", "fulcio: https://fulcio.example", text(&k.Fulcio, checkURL)},
		{"identity", "", "a mapping with issuer and subject", `identity: {issuer: "https://issuer.example", subject: "https://example/.*"}`, mapping(identityKeys(k))},
		{"issuer", "", "an https URL", "issuer: https://issuer.example", text(&k.Issuer, checkURL)},
		{"rekor", "", "an https URL", "rekor: https://rekor.example", text(&k.Rekor, checkURL)},
		{"timestamp", "", "an https URL", "timestamp: https://timestamp.example/api/v1/timestamp", text(&k.Timestamp, checkURL)},
		{"tokenFile", "", "a file", "tokenFile: /run/secrets/token", text(&k.TokenFile, checkFile)},
		{"trustedRoot", "", "a file", "trustedRoot: trusted_root.json", text(&k.TrustedRoot, checkFile)},
	}
}

func identityKeys(k *sign.Keyless) []key {
	return []key{
		{"issuer", "", "the URL of the issuer of the identity", "issuer: https://token.actions.githubusercontent.com", text(&k.Identity.Issuer, checkIssuer)},
		{"subject", "", "a regular expression for the whole identity", `subject: https://github\.com/OWNER/REPOSITORY/.*`, text(&k.Identity.Subject, checkRegexp)},
	}
}

var variable = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

func checkKeyName(key string) error {
	name, isVariable := strings.CutPrefix(key, "env://")
	switch {
	case isVariable && !variable().MatchString(name):
		return errors.New("not the name of a variable")
	case !isVariable && strings.Contains(key, "://"):
		return errors.New("a key is in a file or a variable")
	}
	return checkFile(key)
}

func checkFile(name string) error {
	if strings.ContainsAny(name, "\x00\r\n") {
		return errors.New("a file name is one line")
	}
	return nil
}

func checkURL(text string) error {
	if !sign.SafeURL(text) {
		return errors.New("libre sends tokens there")
	}
	return nil
}

// checkIssuer accepts a URL that libre only compares, and never requests.
func checkIssuer(issuer string) error {
	parsed, err := url.Parse(issuer)
	if err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" {
		return errors.New("an issuer is a URL, which is compared exactly")
	}
	return nil
}

func checkRegexp(pattern string) error {
	_, err := regexp.Compile(pattern)
	return err
}
