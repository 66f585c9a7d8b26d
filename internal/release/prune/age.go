package prune

import (
	"encoding/json"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/release"
)

// createdAnnotation is the annotation with the time at which an attachment was made.
const createdAnnotation = release.OCIPrefix + "created"

// date is the time at which the newest of some attachments was made.
type date struct {
	newest  time.Time
	unknown bool // at least one of them has no time
}

func (d *date) add(annotations map[string]string) {
	at, err := time.Parse(time.RFC3339, annotations[createdAnnotation])
	d.unknown = d.unknown || err != nil
	if at.After(d.newest) {
		d.newest = at
	}
}

// addClassic adds signatures or attestations in the format classic. Those that cosign and early
// versions of libre made have no date, so they do not count.
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
