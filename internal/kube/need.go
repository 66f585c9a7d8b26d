package kube

import "slices"

// optionalParts are the parts of needs that a server may do without, so that the Secret need
// not have them.
var optionalParts = map[string][]string{
	"bucket": {"region"},
	"http":   {"apiKey"},
	"llm":    {"apiKey"},
	"redis":  {"user", "password"},
	"search": {"user", "password", "apiKey"},
	"smtp":   {"user", "password", "tls", "startTls"},
}

// part refers to a part of a need, a key of the need's Secret.
func (r *renderer) part(need, part string) *envVarSource {
	optional := slices.Contains(optionalParts[r.Needs[need].Kind], part)
	return &envVarSource{secretKeyRef{r.ObjectName(need), part, optional}}
}
