package state

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/vex"
)

// VEX is a verified VEX document of a published image.
type VEX struct {
	Version   int
	Said      string // vex.Digest of the statements that it was made from
	Predicate []byte
	Count     int  // number of documents of the type that verify and can be read
	Refused   bool // none verifies, though some are attached
}

// An unreadableVEX means that a document has our signature and is no VEX document that libre
// can read.
type unreadableVEX struct {
	kind   string
	reason error
}

func (e *unreadableVEX) Error() string {
	return fmt.Sprintf("%s: our signature is valid, but the document cannot be read: %s", kindName(e.kind), text.Short(e.reason.Error(), 200))
}

// IsUnreadableVEX reports whether an error means that a VEX document has our signature and
// cannot be read.
func IsUnreadableVEX(err error) bool { return errors.As(err, new(*unreadableVEX)) }

// AttestedVEX reads the verified VEX document of a type that is attached to an index or to a
// platform's manifest. If there are several, it returns the one with the highest version.
// Without one, only Refused can be set. Errors are those of a registry. If IsUnreadableVEX is
// true for the error, the other documents are still returned.
func AttestedVEX(ctx context.Context, signing *Signing, image name.Digest, kind string) (VEX, error) {
	return newestVEX(ctx, signing, signing.Client.Attachments(image), image, kind)
}

func newestVEX(ctx context.Context, signing *Signing, view *sign.Attachments, image name.Digest, kind string) (VEX, error) {
	statements, err := view.VerifyAttestations(ctx, kind, signing.Policy)
	if IsUnsigned(err) || sign.IsUnread(err) {
		return VEX{Refused: !errors.Is(err, sign.ErrNotAttached)}, nil
	}
	if err != nil {
		return VEX{}, Explained(err)
	}
	var newest VEX
	var unreadable error
	count := 0
	for _, statement := range statements {
		version, said, of, err := readVEX(kind, statement.Predicate)
		switch {
		case err != nil:
			unreadable = &unreadableVEX{kind, err}
			continue
		case of != path.Base(image.Context().RepositoryStr()):
			newest.Refused = true // it is about another image
			continue
		}
		if count++; version > newest.Version {
			newest = VEX{Version: version, Said: said, Predicate: statement.Predicate}
		}
	}
	newest.Count = count
	return newest, unreadable
}

// readVEX reads the version of a document, the digest of its statements, and the name of its
// image.
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

// Answers reads the statements about one published image, an index or a platform's. Without a
// VEX document there are none.
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

// VEXSummary describes the verified OpenVEX document of an image. It is zero if there is
// none.
type VEXSummary struct {
	Statements int        `json:"statements"`          // how many statements it has
	Refused    bool       `json:"refused,omitempty"`   // no document verifies, though some are attached
	Version    int        `json:"version,omitempty"`   // of the document: a newer one has a higher version
	Timestamp  *time.Time `json:"timestamp,omitempty"` // of the document: the day of its newest statement
}

// String describes the document in a few words.
func (s *VEXSummary) String() string {
	switch {
	case s.Refused:
		return "no VEX statements that verify"
	case s.Statements == 0:
		return "no VEX statements"
	case s.Statements == 1:
		return fmt.Sprintf("1 VEX statement, version %d of %s", s.Version, s.Timestamp.Format(time.DateOnly))
	}
	return fmt.Sprintf("%d VEX statements, version %d of %s", s.Statements, s.Version, s.Timestamp.Format(time.DateOnly))
}

func readVEXSummary(ctx context.Context, signing *Signing, view *sign.Attachments, image name.Digest) (*VEXSummary, error) {
	if _, err := newestVEX(ctx, signing, view, image, vex.CycloneDXType); err != nil {
		return nil, err
	}
	document, err := newestVEX(ctx, signing, view, image, vex.OpenVEXType)
	if err != nil || document.Count == 0 {
		return &VEXSummary{Refused: document.Refused}, err
	}
	read, err := vex.ReadOpenVEX(document.Predicate)
	if err != nil {
		return nil, err
	}
	return &VEXSummary{Statements: read.Count(), Version: read.Version, Timestamp: read.Timestamp()}, nil
}

// Label returns the label of an attested VEX document. Lists of attachments contain it, so the
// lists alone show whether the newest document has the catalogue's statements.
func Label(version int, said string) string { return fmt.Sprintf("%d %s", version, said) }

// labels returns the labels that the lists should have for a document.
func (d VEX) labels() []string {
	if d.Count == 0 {
		return nil
	}
	return []string{Label(d.Version, d.Said)}
}

// newestLabel returns the digest in the label with the highest version, or "" if there is no
// label.
func newestLabel(labels []string) string {
	newest, said := 0, ""
	for _, label := range labels {
		version, digest, _ := strings.Cut(label, " ")
		if n, err := strconv.Atoi(version); err == nil && n > newest {
			newest, said = n, digest
		}
	}
	return said
}

// wantVEX returns the VEX document that a digest should have. If there are no statements, none
// is needed. It counts the documents in of.
func wantVEX(kind, said string, of *Lacking) sign.Wanted {
	return sign.Wanted{
		Kind: kind,
		Is: func(labels []string) bool {
			if of.documents == nil {
				of.documents = map[string]int{}
			}
			of.documents[kindName(kind)] = len(slices.Compact(slices.Sorted(slices.Values(labels))))
			return newestLabel(labels) == said
		},
		Label: func(s *sign.Statement) string {
			version, said, _, _ := readVEX(kind, s.Predicate)
			return Label(version, said)
		},
	}
}

// Said returns the vex.Digest of the catalogue's statements about an image of a release, or ""
// if there are none.
func (r *Reader) Said(rel *Release, target *release.Target) (string, error) {
	return vex.Digest(target.ID, rel.App.Version, rel.Stated, vex.ChangesOf(rel.App, target.ID.Variant), r.Places())
}

// Places returns the registries that have what the catalogue publishes.
func (r *Reader) Places() []string {
	all := []string{r.Registry.String()}
	for _, to := range r.CopyTo {
		all = append(all, to.String())
	}
	return all
}

// vexGaps returns a gap for each VEX document that a subject lacks, that differs from the
// catalogue's statements, or that cannot be read.
func (r *Reader) vexGaps(ctx context.Context, view *sign.Attachments, subject name.Digest, said string) ([]Gap, error) {
	var gaps []Gap
	for _, kind := range vex.Types {
		newest, err := newestVEX(ctx, r.Signing, view, subject, kind)
		if err != nil && !IsUnreadableVEX(err) {
			return nil, err
		}
		if newest.Said != said || err != nil {
			gaps = append(gaps, Gap{kind, -1, subject})
		}
	}
	return gaps, nil
}
