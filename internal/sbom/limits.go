package sbom

import "cmp"

// Limits are what reading the files of one image, or of one store path, may take: in
// bytes. What is zero has its default.
type Limits struct {
	Image  int64 // of its layers, unpacked into temporary files
	Nested int64 // of what archives in it are unpacked to, beyond its own size
	Memory int64
}

// defaultLimits are several times what the largest images take.
var defaultLimits = Limits{Image: 64 << 30, Nested: 1 << 30, Memory: 4 << 30}

func (l Limits) orDefault() Limits {
	return Limits{cmp.Or(l.Image, defaultLimits.Image), cmp.Or(l.Nested, defaultLimits.Nested), cmp.Or(l.Memory, defaultLimits.Memory)}
}
