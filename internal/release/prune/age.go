package prune

import (
	"encoding/json"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/release"
)

// createdAnnotation is when an attachment was made.
const createdAnnotation = release.OCIPrefix + "created"

// date is when the newest of some attachments was made.
type date struct {
	newest  time.Time
	unknown bool // one of them does not say it
}

func (d *date) add(annotations map[string]string) {
	at, err := time.Parse(time.RFC3339, annotations[createdAnnotation])
	d.unknown = d.unknown || err != nil
	if at.After(d.newest) {
		d.newest = at
	}
}

// addClassic adds the signatures or attestations of the format classic. Those that cosign and
// early versions of libre made have no date, and say nothing of the age.
func (d *date) addClassic(manifest []byte) {
	var read v1.Manifest
	if json.Unmarshal(manifest, &read) != nil {
		return
	}
	for _, layer := range read.Layers {
		if layer.Annotations[createdAnnotation] != "" {
			d.add(layer.Annotations)
		}
	}
}
