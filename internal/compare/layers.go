package compare

import "slices"

// SizeDelta compares the compressed layers of two images, in bytes.
type SizeDelta struct {
	From   int64        `json:"from"`   // sum of the layers
	To     int64        `json:"to"`     // sum of the layers
	Fetch  int64        `json:"fetch"`  // what a machine that has the first image fetches for the second
	Layers []LayerDelta `json:"layers"` // removed ones first, then the layers of the second image, the lowest first
}

// LayerDelta is a layer of either image or of both.
type LayerDelta struct {
	Change Edit `json:"change"` // added, removed or kept
	Layer
}

func sizeDelta(from, to []Layer) *SizeDelta {
	delta := &SizeDelta{Layers: []LayerDelta{}}
	has := func(layers []Layer, digest string) bool {
		return slices.ContainsFunc(layers, func(l Layer) bool { return l.Digest == digest })
	}
	for _, layer := range from {
		delta.From += layer.Size
		if !has(to, layer.Digest) {
			delta.Layers = append(delta.Layers, LayerDelta{Removed, layer})
		}
	}
	for i, layer := range to {
		delta.To += layer.Size
		edit := Kept
		if !has(from, layer.Digest) {
			edit = Added
			if !has(to[:i], layer.Digest) {
				delta.Fetch += layer.Size
			}
		}
		delta.Layers = append(delta.Layers, LayerDelta{edit, layer})
	}
	return delta
}
