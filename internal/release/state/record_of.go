package state

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/registry"
)

// RecordOf returns the release record in a manifest, or nil if the manifest is something else,
// such as an image. It verifies nothing. If a record cannot be read, it returns an error.
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
