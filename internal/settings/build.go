package settings

import (
	"errors"
	"net/url"
	"strings"

	"gopkg.in/yaml.v3"
)

// Build is how Containerfiles are built.
type Build struct {
	TrustUpstream bool   // build them also where nothing keeps their steps from this machine
	Proxy         string // URL of the proxy of their steps, or env:// and a variable that has it; "": none
}

func (b *Build) keys() []key {
	return []key{
		{"trustUpstream", "", "true or false", "trustUpstream: true", flag(&b.TrustUpstream)},
		{"proxy", "", "the URL of a proxy, or env:// and the name of a variable", "proxy: http://proxy.example:3128", text(&b.Proxy, checkProxy)},
	}
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
