package settings

import (
	"regexp"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"
)

// Limits guard this machine against what others send. What is zero has its default.
type Limits struct {
	Archive     int64         // bytes of an upstream's archive, unpacked
	Image       int64         // bytes of an image's layers, unpacked for its SBOM
	Nested      int64         // bytes of the archives in an image, unpacked for its SBOM
	Memory      int64         // bytes that reading an image's files takes
	Attachment  int64         // bytes of one attachment of an image
	Attachments int64         // bytes of large ones of others that are looked at for one image
	Storage     int64         // bytes of bases of Containerfiles that an engine keeps for the next build
	Answer      time.Duration // for one question to an upstream and the whole answer
}

func (l *Limits) keys() []key {
	return []key{
		{"archive", "", "a size in MiB or GiB: of an upstream's archive, unpacked (8 GiB where it is not set)", "archive: 20 GiB", size(&l.Archive)},
		{"image", "", "a size in MiB or GiB: of an image's layers, unpacked for its SBOM (64 GiB where it is not set)", "image: 100 GiB", size(&l.Image)},
		{"nested", "", "a size in MiB or GiB: of archives in an image, unpacked for its SBOM, beyond its own size (1 GiB where it is not set)", "nested: 4 GiB", size(&l.Nested)},
		{"memory", "", "a size in MiB or GiB: of memory that reading an image's files for its SBOM takes (4 GiB where it is not set)", "memory: 8 GiB", size(&l.Memory)},
		{"attachment", "", "a size in MiB or GiB: of one attachment of an image (64 MiB where it is not set)", "attachment: 128 MiB", size(&l.Attachment)},
		{"attachments", "", "a size in MiB or GiB: of others' large attachments that are read for one image (4 GiB where it is not set)", "attachments: 8 GiB", size(&l.Attachments)},
		{"storage", "", "a size in MiB or GiB: of bases of Containerfiles that are kept for the next build (10 GiB where it is not set)", "storage: 30 GiB", size(&l.Storage)},
		{"answer", "", "a time in s, m or h: for the whole answer of an upstream (30m where it is not set)", "answer: 2h", duration(&l.Answer)},
	}
}

var sizePattern = regexp.MustCompile(`^([1-9][0-9]{0,5}) ?(MiB|GiB)$`)

func size(into *int64) reader {
	return func(at place, node *yaml.Node) error {
		found := sizePattern.FindStringSubmatch(node.Value)
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
	return func(at place, node *yaml.Node) error {
		d, err := time.ParseDuration(node.Value)
		if node.Kind != yaml.ScalarNode || err != nil || d <= 0 {
			return at.wrong(node, "")
		}
		*into = d
		return nil
	}
}
