package state

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/registry"
)

// RecordOf is the release record that a manifest is; nil if it is something else, such as an
// image. It verifies nothing. A record that cannot be read is an error.
func RecordOf(ctx context.Context, client *registry.Client, reference name.Reference, got *registry.Manifest) (*Record, error) {
	record, _, err := decodeRecord(ctx, client, reference, got)
	if errors.Is(err, errNoRecord) && !isRecordType(got.Content) {
		return nil, nil
	}
	return record, err
}

// isRecordType reports whether a manifest says that it is a record.
func isRecordType(manifest []byte) bool {
	var read struct {
		ArtifactType string `json:"artifactType"`
	}
	return json.Unmarshal(manifest, &read) == nil && read.ArtifactType == RecordType
}
