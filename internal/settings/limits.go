package settings

import (
	"strconv"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Limits limit what libre accepts from others. Zero means the default.
type Limits struct {
	Archive     int64         // bytes of an upstream's archive, unpacked
	Image       int64         // bytes of an image's layers, unpacked for its SBOM
	Nested      int64         // bytes of an image's archives, unpacked for its SBOM
	Memory      int64         // bytes of memory to read an image's files
	Attachment  int64         // bytes of one attachment of an image
	Attachments int64         // bytes of large attachments by others, read for one image
	Storage     int64         // bytes of Containerfile bases that an engine keeps for the next build
	Answer      time.Duration // time for a request to an upstream and its complete answer
}

func (l *Limits) keys() []key {
	return []key{
		{"archive", "", "a size in MiB or GiB, of an unpacked upstream archive (default 8 GiB)", "archive: 20 GiB", size(&l.Archive)},
		{"image", "", "a size in MiB or GiB, of an image's layers unpacked for its SBOM (default 64 GiB)", "image: 100 GiB", size(&l.Image)},
		{"nested", "", "a size in MiB or GiB, of an image's archives unpacked for its SBOM, beyond the image's size (default 1 GiB)", "nested: 4 GiB", size(&l.Nested)},
		{"memory", "", "a size in MiB or GiB, of memory to read an image's files for its SBOM (default 4 GiB)", "memory: 8 GiB", size(&l.Memory)},
		{"attachment", "", "a size in MiB or GiB, of one attachment of an image (default 64 MiB)", "attachment: 128 MiB", size(&l.Attachment)},
		{"attachments", "", "a size in MiB or GiB, of large attachments by others that are read for an image (default 4 GiB)", "attachments: 8 GiB", size(&l.Attachments)},
		{"storage", "", "a size in MiB or GiB, of Containerfile bases kept for the next build (default 10 GiB)", "storage: 30 GiB", size(&l.Storage)},
		{"answer", "", "a time in s, m or h, for a complete answer of an upstream (default 30m)", "answer: 2h", duration(&l.Answer)},
	}
}

var sizePattern = lazyregexp.New(`^([1-9][0-9]{0,5}) ?(MiB|GiB)$`)

func size(into *int64) reader {
	return func(at location, node *yaml.Node) error {
		found := sizePattern().FindStringSubmatch(node.Value)
		if node.Kind != yaml.ScalarNode || found == nil {
			return at.wrong(node, "")
		}
		n, err := strconv.ParseInt(found[1], 10, 64)
		if err != nil {
			return err
		}
		*into = n << 20
		if found[2] == "GiB" {
			*into = n << 30
		}
		return nil
	}
}

func duration(into *time.Duration) reader {
	return func(at location, node *yaml.Node) error {
		d, err := time.ParseDuration(node.Value)
		if node.Kind != yaml.ScalarNode || err != nil || d <= 0 {
			return at.wrong(node, "")
		}
		*into = d
		return nil
	}
}
