package sign

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// labelAnnotation is the annotation with an attestation's label.
const labelAnnotation = "sh.libre.label"

// maxLabel is the largest length of a label, in bytes.
const maxLabel = 256

// Detach removes attestations of a type from the subjects: those that the policy accepts
// and for which keep returns false. It leaves attestations of others, and those that the
// registry refuses to delete. Errors are of type *RegistryError.
func (c *Client) Detach(ctx context.Context, p *Policy, predicateType string, keep func(*Statement) bool, subjects ...name.Digest) error {
	for _, subject := range subjects {
		view := c.Attachments(subject)
		for _, format := range p.formats() {
			candidates, err := view.candidates(ctx, format, slices.Concat(format.store().lists(predicateType)...), predicateType)
			if err != nil {
				return err
			}
			var former []candidate
			for _, candidate := range candidates {
				statement, err := candidate.statement(ctx, p, subject)
				if err != nil {
					return err
				}
				if statement != nil && statement.PredicateType == predicateType && !keep(statement) {
					former = append(former, candidate)
				}
			}
			if len(former) == 0 {
				continue
			}
			if err := format.store().remove(ctx, c, subject, predicateType, former); err != nil {
				return &RegistryError{fmt.Sprintf("detach from %s", subject), err}
			}
		}
	}
	return nil
}

func (bundleStore) remove(ctx context.Context, c *Client, subject name.Digest, _ string, all []candidate) error {
	for _, one := range all {
		if err := c.registry.DeleteReferrer(ctx, subject, subject.Context().Digest(one.id)); err != nil {
			return err
		}
	}
	return nil
}

// remove writes the image again without the layers. Only this image names the layers, so
// there is nothing to delete.
func (classicStore) remove(ctx context.Context, c *Client, subject name.Digest, kind string, all []candidate) error {
	tag, err := classicTag(subject, kind)
	if err != nil {
		return err
	}
	text, err := c.registry.ReadArtifact(ctx, tag, maxClassicManifest)
	if err != nil {
		return err
	}
	var layers struct {
		Layers []json.RawMessage `json:"layers"`
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(text, &layers); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return err
	}
	raw, err := c.registry.Blob(ctx, tag, manifest.Config, maxClassicConfig)
	if err != nil {
		return err
	}
	var config v1.ConfigFile
	if err := json.Unmarshal(raw, &config); err != nil {
		return err
	}
	hasEach := len(config.RootFS.DiffIDs) == len(manifest.Layers)
	tellsEach := len(config.History) == len(manifest.Layers)
	for i := len(layers.Layers) - 1; i >= 0; i-- {
		if !slices.ContainsFunc(all, func(one candidate) bool { return one.id == string(layers.Layers[i]) }) {
			continue
		}
		manifest.Layers = slices.Delete(manifest.Layers, i, i+1)
		if hasEach {
			config.RootFS.DiffIDs = slices.Delete(config.RootFS.DiffIDs, i, i+1)
		}
		if tellsEach {
			config.History = slices.Delete(config.History, i, i+1)
		}
	}
	if raw, err = json.Marshal(config); err != nil {
		return err
	}
	described, err := c.putBlob(ctx, subject.Context(), raw, manifest.Config.MediaType)
	if err != nil {
		return err
	}
	manifest.Config = described
	if text, err = json.Marshal(manifest); err != nil {
		return err
	}
	mediaType := manifest.MediaType
	if mediaType == "" {
		mediaType = types.OCIManifestSchema1
	}
	return c.registry.PutManifest(ctx, tag, mediaType, text)
}
