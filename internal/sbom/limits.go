package sbom

import "cmp"

// Limits limit what reading the files of an image or of a store path may use, in bytes. Zero
// means the default.
type Limits struct {
	Image  int64 // size of its layers, unpacked into temporary files
	Nested int64 // size of unpacked archives inside, besides Image
	Memory int64
}

// defaultLimits are several times the needs of the largest images.
var defaultLimits = Limits{Image: 64 << 30, Nested: 1 << 30, Memory: 4 << 30}

func (l Limits) orDefault() Limits {
	return Limits{cmp.Or(l.Image, defaultLimits.Image), cmp.Or(l.Nested, defaultLimits.Nested), cmp.Or(l.Memory, defaultLimits.Memory)}
}
