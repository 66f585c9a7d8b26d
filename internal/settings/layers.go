package settings

// Layers configures the layers of all images of the catalogue.
type Layers struct {
	Compression string // gzip or zstd; empty for gzip
}

func (l *Layers) keys() []key {
	return []key{
		{"compression", "", "gzip or zstd", "compression: zstd", text(&l.Compression, oneOf("gzip", "zstd"))},
	}
}
