package kit

import (
	"encoding/base64"
	"strings"

	"github.com/libresh/libre/internal/sign"
)

// A containersPolicy is containers/image's policy.json:
// https://github.com/containers/image/blob/main/docs/containers-policy.json.5.md
type containersPolicy struct {
	Default    []requirement                       `json:"default"`
	Transports map[string]map[string][]requirement `json:"transports"` // name → scope → all must be fulfilled
}

type requirement struct {
	Type     string          `json:"type"`
	KeyData  string          `json:"keyData,omitempty"`  // base64 of PEM
	KeyDatas []string        `json:"keyDatas,omitempty"` // one of them; containers/image 5.33
	Identity *signedIdentity `json:"signedIdentity,omitempty"`
}

type signedIdentity struct {
	Type       string `json:"type"`
	Repository string `json:"dockerRepository,omitempty"`
}

// ContainersPolicy writes policy.json and a file for registries.d, with which skopeo,
// podman, buildah and CRI-O pull the images only if they are signed. Other images stay
// accepted, as distributions have it. repositories are the names of the images and
// releases, without a registry: a copy's signature names where it was made, and
// containers/image compares that by repository.
func ContainersPolicy(places Places, repositories []string, config sign.Config) ([]File, error) {
	const doing = "writing policy.json"
	s, err := newSigners(config)
	switch {
	case err != nil:
		return nil, err
	case s.identity != nil:
		return nil, unreadable(doing, "containers/image accepts an identity only by an e-mail address and an entry of Rekor v1, which libre does not make", setKey)
	case s.format == sign.Bundle:
		return nil, unreadable(doing, "containers/image reads signatures in the format classic only, and yours is bundle", setClassic)
	}
	scopes := map[string][]requirement{}
	for _, c := range places.Copies {
		in, of := strings.TrimSuffix(c.In, "/"), strings.TrimSuffix(c.Of, "/")
		scopes[in] = []requirement{{Type: "reject"}}
		for _, repository := range repositories {
			scopes[in+"/"+repository] = []requirement{s.requirement(signedIdentity{"exactRepository", of + "/" + repository})}
		}
	}
	for _, registry := range places.Registries {
		scopes[strings.TrimSuffix(registry, "/")] = []requirement{s.requirement(signedIdentity{Type: "matchRepository"})}
	}
	policy, err := jsonFile("policy.json", containersPolicy{
		Default:    []requirement{{Type: "insecureAcceptAnything"}},
		Transports: map[string]map[string][]requirement{"docker": scopes},
	})
	if err != nil {
		return nil, err
	}
	registries := map[string]registryOptions{}
	for _, prefix := range places.prefixes() {
		registries[prefix] = registryOptions{Attachments: true}
	}
	lookup, err := YAML("registries.d/libre.yaml", s.ends(), map[string]any{"docker": registries})
	return []File{policy, lookup}, err
}

// registryOptions are those of registries.d:
// https://github.com/containers/image/blob/main/docs/containers-registries.d.5.md
type registryOptions struct {
	Attachments bool `yaml:"use-sigstore-attachments"`
}

// requirement accepts signatures of one of the keys.
func (s signers) requirement(identity signedIdentity) requirement {
	r := requirement{Type: "sigstoreSigned", Identity: &identity}
	var keys []string
	for _, key := range s.keys {
		keys = append(keys, base64.StdEncoding.EncodeToString([]byte(key.PEM)))
	}
	if len(keys) == 1 {
		r.KeyData = keys[0]
	} else {
		r.KeyDatas = keys
	}
	return r
}
