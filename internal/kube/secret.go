package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
	"github.com/libresh/libre/internal/text"
)

// secretKey is a key that a Secret must have.
type secretKey struct {
	about    string // one line; may be empty
	optional bool   // it may be left out
}

// optionalParts lists the parts of needs that some servers do not have. The Secret may lack
// them.
var optionalParts = map[string][]string{
	"bucket": {"region"},
	"http":   {"apiKey"},
	"llm":    {"apiKey"},
	"redis":  {"user", "password"},
	"search": {"user", "password", "apiKey"},
	"smtp":   {"user", "password", "tls", "startTls"},
}

// part returns a reference to a part of a need, which is a key of the need's Secret.
func (r *renderer) part(need, part string) *envVarSource {
	if p, is := r.provided[need]; is {
		return &envVarSource{secretKeyRef{Name: p.secret, Key: cmp.Or(p.keys[part], part)}}
	}
	optional := slices.Contains(optionalParts[r.Needs[need].Kind], part)
	return r.secretRef(r.ObjectName(need), part, secretKey{optional: optional})
}

// setting returns a reference to a secret setting, which is a key of the instance's Secret.
func (r *renderer) setting(s instance.Service, v instance.Variable) *envVarSource {
	described := r.Settings(s)[v.Name]
	about := described.Description
	if described.Generate {
		about = strings.TrimPrefix(about+"; any random text, which must be kept", "; ")
	}
	return r.secretRef(r.Name, v.Name, secretKey{about, v.Optional})
}

func (r *renderer) secretRef(secret, key string, k secretKey) *envVarSource {
	if r.secrets[secret] == nil {
		r.secrets[secret] = map[string]secretKey{}
	}
	r.secrets[secret][key] = k
	return &envVarSource{secretKeyRef{secret, key, k.optional}}
}

// secretsFile returns a file that lists, as comments, the Secrets that must exist, and their
// keys.
func (r *renderer) secretsFile() []kit.File {
	if len(r.secrets) == 0 {
		return nil
	}
	of := map[string]describe.Need{}
	for name, need := range r.Needs {
		of[r.ObjectName(name)] = need
	}
	var list strings.Builder
	list.WriteString("# These Secrets must exist, in the same namespace. libre does not write them.\n")
	for _, secret := range slices.Sorted(maps.Keys(r.secrets)) {
		what := "settings of " + r.App.Metadata.Name
		if need, isNeed := of[secret]; isNeed {
			what = strings.TrimSuffix(need.Kind+". "+need.Description, ". ")
		}
		fmt.Fprintf(&list, "#\n# %s: %s\n", secret, text.Line(what))
		keys := r.secrets[secret]
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			line := key
			if keys[key].optional {
				line += " (optional)"
			}
			if about := text.Line(keys[key].about); about != "" {
				line += ": " + about
			}
			fmt.Fprintf(&list, "#   %s\n", line)
		}
	}
	return []kit.File{{Name: secretsName, Content: []byte(list.String())}}
}

// secretsName is the name of the file that lists Secrets. It contains no object.
const secretsName = "secrets.yaml"
