package settings

import (
	"errors"
	"net/url"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/web"
)

// Build configures how Containerfiles are built.
type Build struct {
	TrustUpstream bool             // build even if steps cannot be isolated from this machine
	Proxy         string           // URL for the steps, or env://VARIABLE; empty for none
	CA            *web.Authorities // that the steps trust besides this machine's; nil for none
	Secrets, SSH  map[string]containerfile.Secret
}

func (b *Build) keys(dir string) []key {
	return []key{
		{"proxy", "", "the URL of a proxy, or env://VARIABLE", "proxy: http://proxy.example:3128", text(&b.Proxy, checkProxy)},
		{"ca", "", "a PEM file of certificate authorities that build steps trust besides this machine's", "ca: our-ca.pem", authorities(&b.CA, dir)},
		{"secrets", "", "names, each with environment or file, and apps", "secrets: {npm_token: {environment: NPM_TOKEN, apps: [docs]}}", secrets(&b.Secrets, dir)},
		{"ssh", "", "names, each with environment or file, and apps", "ssh: {default: {environment: SSH_AUTH_SOCK, apps: [docs]}}", secrets(&b.SSH, dir)},
		{"trustUpstream", "", "true or false", "trustUpstream: true", flag(&b.TrustUpstream)},
	}
}

// secretName matches the id of a secret or an agent in RUN --mount.
var secretName = lazyregexp.New(`^[0-9A-Za-z_][0-9A-Za-z._-]*$`)

// secrets reads where each value comes from, and which apps may have it. Without this list, any
// upstream could read a secret by naming it in its Containerfile.
func secrets(into *map[string]containerfile.Secret, dir string) reader {
	return func(at location, node *yaml.Node) error {
		if node.Kind != yaml.MappingNode {
			return at.wrong(node, "")
		}
		*into = map[string]containerfile.Secret{}
		return pairs(at, node, func(name, value *yaml.Node) error {
			here := at.below(name.Value)
			if !secretName().MatchString(name.Value) {
				return at.wrongKey(name, "a name starts with a letter, a digit or _, followed by letters, digits, _ - .")
			}
			here.expected, here.example = "environment or file, and apps", name.Value+": {environment: VARIABLE, apps: [docs]}"
			if value.Kind == yaml.ScalarNode && value.Value != "" { // the value may be the secret
				return here.fault(value, here.path+" is a value, expected "+here.expected, "for example: "+here.example)
			}
			var secret containerfile.Secret
			if err := mapping(secretKeys(&secret))(here, value); err != nil {
				return err
			}
			switch {
			case (secret.Environment == "") == (secret.File == ""):
				return here.fault(value, here.path+" needs one of environment and file", "for example: "+here.example)
			case len(secret.Apps) == 0:
				return here.fault(value, here.path+" has no apps: list those whose Containerfiles may read it", "for example: "+here.example)
			}
			secret.File = inFolder(dir, secret.File)
			(*into)[name.Value] = secret
			return nil
		})
	}
}

func secretKeys(secret *containerfile.Secret) []key {
	return []key{
		{"environment", "", "the name of a variable", "environment: NPM_TOKEN", text(&secret.Environment, checkVariable)},
		{"file", "", "the path of a file", "file: secrets/netrc", text(&secret.File, checkFile)},
		{"apps", "", "a list of apps", "apps: [docs]", list(&secret.Apps, checkApp)},
	}
}

var (
	variableName = lazyregexp.New(`^[A-Za-z_][0-9A-Za-z_]*$`)
	appName      = lazyregexp.New(`^[0-9A-Za-z._-]+$`)
)

func checkVariable(word string) error {
	if !variableName().MatchString(word) {
		return errWord
	}
	return nil
}

func checkApp(word string) error {
	if !appName().MatchString(word) {
		return errWord
	}
	return nil
}

func checkProxy(value string) error {
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return errWord // err contains the value, which may have a password
	case u.Scheme == "env" && strings.TrimPrefix(value, "env://") != "", (u.Scheme == "http" || u.Scheme == "https" || strings.HasPrefix(u.Scheme, "socks")) && u.Host != "" && u.User == nil:
		return nil
	case u.User != nil:
		return errors.New("it contains a login: put the URL in a variable")
	}
	return errWord
}

// flag reads true or false.
func flag(into *bool) reader {
	return func(at location, node *yaml.Node) error {
		if node.Kind != yaml.ScalarNode || node.Value != "true" && node.Value != "false" {
			return at.wrong(node, "")
		}
		*into = node.Value == "true"
		return nil
	}
}
