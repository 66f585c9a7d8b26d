package state

import (
	"encoding/json"
	"testing"
)

// FuzzRecord reads release records. An accepted record names only its own images.
func FuzzRecord(f *testing.F) {
	f.Fuzz(func(t *testing.T, manifest, content []byte) {
		var record Record
		if json.Unmarshal(content, &record) != nil || record.check(manifest) != nil {
			return
		}
		for _, component := range record.components() {
			if record.Components[component].Reference.Tag != record.ref().Tag {
				t.Errorf("%s is of another release: %s", component, content)
			}
		}
		if _, err := record.encode(); err != nil {
			t.Error(err)
		}
	})
}
