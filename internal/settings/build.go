package settings

import (
	"errors"
	"net/url"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/web"
)

// Build is how Containerfiles are built.
type Build struct {
	TrustUpstream bool             // build them also where nothing keeps their steps from this machine
	Proxy         string           // URL of the proxy of their steps, or env:// and a variable that has it; "": none
	CA            *web.Authorities // that their steps trust, beside this machine's; nil is none
	Secrets, SSH  map[string]containerfile.Secret
}

func (b *Build) keys(dir string) []key {
	return []key{
		{"proxy", "", "the URL of a proxy, or env:// and the name of a variable", "proxy: http://proxy.example:3128", text(&b.Proxy, checkProxy)},
		{"ca", "", "a file of certificates in PEM, of the authorities that steps trust beside this machine's", "ca: our-ca.pem", authorities(&b.CA, dir)},
		{"secrets", "", "names, and for each environment or file, and apps", "secrets: {npm_token: {environment: NPM_TOKEN, apps: [docs]}}", secrets(&b.Secrets, dir)},
		{"ssh", "", "names, and for each environment or file, and apps", "ssh: {default: {environment: SSH_AUTH_SOCK, apps: [docs]}}", secrets(&b.SSH, dir)},
		{"trustUpstream", "", "true or false", "trustUpstream: true", flag(&b.TrustUpstream)},
	}
}

// secretName is what RUN --mount calls a secret or an agent.
var secretName = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z._-]*$`)

// secrets takes where each value comes from, and which apps may have it: another app's
// upstream would read it, too, if its Containerfile only named it.
func secrets(into *map[string]containerfile.Secret, dir string) reader {
	return func(at place, node *yaml.Node) error {
		if node.Kind != yaml.MappingNode {
			return at.wrong(node, "")
		}
		*into = map[string]containerfile.Secret{}
		return pairs(at, node, func(name, value *yaml.Node) error {
			here := at.below(name.Value)
			if !secretName.MatchString(name.Value) {
				return at.wrongKey(name, "a name has letters, digits, and _ - . behind the first")
			}
			here.expected, here.example = "environment or file, and apps", name.Value+": {environment: VARIABLE, apps: [docs]}"
			if value.Kind == yaml.ScalarNode && value.Value != "" { // which may be the secret
				return here.fault(value, here.path+" is a value itself, expected "+here.expected, here.example)
			}
			var secret containerfile.Secret
			if err := mapping([]key{
				{"environment", "", "the name of a variable", "environment: NPM_TOKEN", text(&secret.Environment, checkVariable)},
				{"file", "", "the path of a file", "file: secrets/netrc", text(&secret.File, checkFile)},
				{"apps", "", "a list of apps", "apps: [docs]", list(&secret.Apps, checkApp)},
			})(here, value); err != nil {
				return err
			}
			switch {
			case (secret.Environment == "") == (secret.File == ""):
				return here.fault(value, here.path+" needs one of environment and file", here.example)
			case len(secret.Apps) == 0:
				return here.fault(value, here.path+" is for no app: a Containerfile reads what is for its app", here.example)
			}
			secret.File = inFolder(dir, secret.File)
			(*into)[name.Value] = secret
			return nil
		})
	}
}

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][0-9A-Za-z_]*$`)
	appName      = regexp.MustCompile(`^[0-9A-Za-z._-]+$`)
)

func checkVariable(word string) error {
	if !variableName.MatchString(word) {
		return errWord
	}
	return nil
}

func checkApp(word string) error {
	if !appName.MatchString(word) {
		return errWord
	}
	return nil
}

func checkProxy(value string) error {
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return errWord // its words have the value in them, and with it a password
	case u.Scheme == "env" && strings.TrimPrefix(value, "env://") != "", (u.Scheme == "http" || u.Scheme == "https" || strings.HasPrefix(u.Scheme, "socks")) && u.Host != "" && u.User == nil:
		return nil
	case u.User != nil:
		return errors.New("a login is in it: put the URL into a variable")
	}
	return errWord
}

// flag takes true or false.
func flag(into *bool) reader {
	return func(at place, node *yaml.Node) error {
		if node.Kind != yaml.ScalarNode || node.Value != "true" && node.Value != "false" {
			return at.wrong(node, "")
		}
		*into = node.Value == "true"
		return nil
	}
}
