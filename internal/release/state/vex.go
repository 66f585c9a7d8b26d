package state

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/vex"
)

// VEX is a verified VEX document of a published image.
type VEX struct {
	Version   int
	Said      string // vex.Digest of what it was made from
	Predicate []byte
	Count     int // how many documents of the type verify; 0 if there is none
}

// AttestedVEX reads the verified VEX document of a type that is attached to an index or to
// a platform's manifest: of several, the one with the highest version. Without one, the
// result is zero. Errors are a registry's.
func AttestedVEX(ctx context.Context, signing *Signing, image name.Digest, kind string) (VEX, error) {
	return newestVEX(ctx, signing, signing.Client.Attachments(image), image, kind)
}

func newestVEX(ctx context.Context, signing *Signing, view *sign.Attachments, image name.Digest, kind string) (VEX, error) {
	statements, err := attested(ctx, signing, view, image, kind)
	if IsUnsigned(err) {
		return VEX{}, nil
	}
	if err != nil {
		return VEX{}, Explained(err)
	}
	var newest VEX
	count := 0
	for _, statement := range statements {
		version, said, _, err := readVEX(kind, statement.Predicate)
		if err != nil {
			continue // it describes the image, but cannot be read: no version of libre wrote it
		}
		if count++; version > newest.Version {
			newest = VEX{Version: version, Said: said, Predicate: statement.Predicate}
		}
	}
	newest.Count = count
	return newest, nil
}

// readVEX reads what tells documents apart, and the name of the image that they are about.
func readVEX(kind string, predicate []byte) (version int, said, image string, err error) {
	if kind == vex.CycloneDXType {
		return vex.ReadCycloneDX(predicate)
	}
	document, err := vex.ReadOpenVEX(predicate)
	if err != nil {
		return 0, "", "", err
	}
	return document.Version, document.Said, document.Image(), nil
}

// Answers reads the statements about one published image, an index or a platform's: none if
// it has no VEX document.
func Answers(ctx context.Context, signing *Signing, image name.Digest) (*vex.Answers, error) {
	document, err := AttestedVEX(ctx, signing, image, vex.OpenVEXType)
	if err != nil || document.Count == 0 {
		return &vex.Answers{}, err
	}
	read, err := vex.ReadOpenVEX(document.Predicate)
	if err != nil {
		return nil, err
	}
	return read.Answers(read.Image(), image.DigestStr()), nil
}
