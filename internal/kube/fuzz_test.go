package kube

import (
	"encoding/json"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/libresh/libre/internal/describe"
)

// FuzzPlain renders any document of a release: the result is an error, or YAML.
func FuzzPlain(f *testing.F) {
	f.Fuzz(func(t *testing.T, document []byte) {
		var a describe.Application
		if json.Unmarshal(document, &a) != nil {
			return
		}
		files, err := run{}.plain(&a)
		if err != nil {
			return
		}
		for _, file := range files {
			var into any
			if err := yaml.Unmarshal(file.Content, &into); err != nil {
				t.Errorf("%s: %v\n%s", file.Name, err, file.Content)
			}
		}
	})
}
