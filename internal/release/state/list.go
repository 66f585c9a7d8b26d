package state

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sign"
)

// PublishedTag is a release tag of a repository.
type PublishedTag struct {
	Tag       string    `json:"tag"`  // of the repository
	Kind      string    `json:"kind"` // release or image; "" if it could not be read
	Digest    string    `json:"digest,omitempty"`
	Signed    string    `json:"signed"`              // yes, no, moved, unknown, or not asked if there is no policy
	Time      time.Time `json:"time,omitzero"`       // time of the signature, if a service dated it
	Error     string    `json:"error,omitempty"`     // why the signature is not valid or unknown
	Withdrawn string    `json:"withdrawn,omitempty"` // why the release was withdrawn; absent if it was not
	Err       error     `json:"-"`
}

// ListPublished lists the release tags of a repository, newest version first. If signing is
// nil, it verifies no signatures.
func ListPublished(ctx context.Context, client *registry.Client, signing *Signing, repository string) ([]PublishedTag, error) {
	tags, err := client.Tags(ctx, repository)
	if err != nil {
		return nil, err
	}
	tags = ReleaseTags(tags)
	all := make([]PublishedTag, len(tags))
	InParallel(Readers, tags, func(n int, tag string) {
		all[n] = PublishedTag{Tag: tag, Signed: "not asked"}
		reference, err := client.Tag(catalog.Ref{Repository: repository, Tag: tag})
		if err == nil {
			err = all[n].look(ctx, client, signing, reference)
		}
		if err == nil {
			return
		}
		all[n].Err, all[n].Error = err, err.Error()
		switch {
		case IsUnknown(err):
			all[n].Signed = string(Unknown)
		case errors.As(err, new(*MovedError)):
			all[n].Signed = string(Moved)
		case signing != nil:
			all[n].Signed = "no"
		}
	})
	return all, nil
}

// ReleaseTags returns the release tags among some tags, newest first.
func ReleaseTags(tags []string) []string {
	tags = slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { _, _, ok := catalog.ParseTag(tag); return !ok })
	slices.SortFunc(tags, func(a, b string) int {
		x, i, _ := catalog.ParseTag(a)
		y, j, _ := catalog.ParseTag(b)
		return cmp.Or(catalog.CompareVersions(y, x), j-i)
	})
	return tags
}

func (t *PublishedTag) look(ctx context.Context, client *registry.Client, signing *Signing, reference name.Tag) error {
	got, err := client.Get(ctx, reference)
	if err != nil {
		return err
	}
	t.Digest = got.Digest.String()
	record, digest, err := decodeRecord(ctx, client, reference, got)
	switch {
	case err == nil:
		t.Kind = "release"
	case errors.Is(err, errNoRecord):
		t.Kind = "image"
	default:
		return err
	}
	if signing == nil {
		return claimed(reference, got.Content)
	}
	var signature *sign.Signature
	view := signing.Client.Attachments(digest)
	if record != nil {
		signature, err = signing.VerifyRecord(ctx, record, digest, view.Verify)
	} else {
		signature, err = view.Verify(ctx, signing.Policy)
	}
	if err != nil {
		return Explained(err)
	}
	t.Signed, t.Time = "yes", signature.Time
	if _, err = checkName(reference, digest, got.Content, signature); err != nil {
		return err
	}
	said, err := ReadWithdrawals(ctx, signing, view, digest)
	if found := said.Find(t.Tag); found != nil {
		t.Withdrawn = found.Reason
	}
	return err
}

// claimed compares a tag with the unverified annotations of its manifest.
func claimed(reference name.Tag, manifest []byte) error {
	named, err := signedAs(manifest)
	here := catalog.Ref{Repository: path.Base(reference.RepositoryStr()), Tag: reference.TagStr()}
	if err != nil || named.Repository == "" || named == here {
		return err
	}
	return wrong("it claims to be %s: its tag may have been moved", named)
}
