package describe

import (
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Part is a part of a need that values can contain, as $(NAME).
type Part struct {
	Name   string
	Secret bool
}

// Parts lists the parts of each kind of need. A secret of the need has them as its keys.
// nix/needs.nix, which checks definitions, lists them too.
var Parts = map[string][]Part{
	"postgres": database,
	"mysql":    database,
	"redis":    {{"url", true}, {"host", false}, {"port", false}, {"user", false}, {"password", true}},
	"bucket":   {{"endpoint", false}, {"region", false}, {"name", false}, {"accessKey", true}, {"secretKey", true}},
	"oidc": {
		{"issuer", false}, {"clientId", false}, {"clientSecret", true},
		// https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
		{"authorizationEndpoint", false}, {"tokenEndpoint", false}, {"userinfoEndpoint", false}, {"jwksUri", false},
		// https://openid.net/specs/openid-connect-rpinitiated-1_0.html#OPMetadata
		{"endSessionEndpoint", false},
	},
	"smtp":    {{"url", true}, {"host", false}, {"port", false}, {"user", false}, {"password", true}, {"from", false}, {"tls", false}, {"startTls", false}},
	"search":  {{"url", false}, {"host", false}, {"port", false}, {"user", false}, {"password", true}, {"apiKey", true}},
	"livekit": {{"url", false}, {"apiKey", true}, {"apiSecret", true}},
	"llm":     {{"url", false}, {"apiKey", true}, {"model", false}},
	"http":    {{"url", false}, {"apiKey", true}},
	"app":     {{"url", false}, {"host", false}, {"port", false}},
	"volume":  {},
}

var database = []Part{{"url", true}, {"host", false}, {"port", false}, {"name", false}, {"user", false}, {"password", true}}

// placeholder matches $(NAME) in a template, or $$(, which stands for $(. Kubernetes has the
// same syntax:
// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
var placeholder = lazyregexp.New(`\$\$\(|\$\(([A-Za-z][A-Za-z0-9._-]*)\)`)

// Placeholders lists the names of a template's placeholders, in order.
func Placeholders(template string) []string {
	var names []string
	for _, match := range placeholder().FindAllStringSubmatch(template, -1) {
		if match[1] != "" {
			names = append(names, match[1])
		}
	}
	return names
}

// Expand returns a template with the values of its placeholders. Placeholders that value does
// not know stay.
func Expand(template string, value func(name string) (string, bool)) string {
	return placeholder().ReplaceAllStringFunc(template, func(match string) string {
		if match == "$$(" {
			return "$("
		}
		if text, known := value(strings.TrimSuffix(strings.TrimPrefix(match, "$("), ")")); known {
			return text
		}
		return match
	})
}

// Replace returns a template in which placeholders are replaced by the templates that value
// returns. The result is still a template: escaped placeholders stay escaped.
func Replace(template string, value func(name string) (string, bool)) string {
	return placeholder().ReplaceAllStringFunc(template, func(match string) string {
		if other, known := value(strings.TrimSuffix(strings.TrimPrefix(match, "$("), ")")); known && match != "$$(" {
			return other
		}
		return match
	})
}
