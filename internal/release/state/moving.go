package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
)

// ForeignTagError means that a moving tag points to something that was not published under its
// name by this catalogue.
type ForeignTagError struct {
	Tag name.Tag
	Why string // such as: this catalogue's key did not sign
}

func (e *ForeignTagError) Error() string {
	return fmt.Sprintf("%s points to something that %s", e.Tag, e.Why)
}

// MovingTag reads a moving tag of an image or a record of an app. digest is what it points to, ""
// if there is no such tag. newer is the tag of the release that it points to, if that is newer than
// the app's and not withdrawn. If the error is a *ForeignTagError, digest is known.
func (r *Reader) MovingTag(ctx context.Context, in *registry.Client, tag name.Tag, app catalog.App) (digest, newer string, err error) {
	got, err := in.Get(ctx, tag)
	if errors.Is(err, registry.ErrNotFound) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	digest = got.Digest.String()
	if r.Signing != nil {
		_, err := r.Signing.Client.Verify(ctx, tag.Context().Digest(digest), r.Signing.Policy)
		if IsUnsigned(err) {
			return digest, "", &ForeignTagError{tag, "this catalogue's key did not sign: " + err.Error()}
		}
		if err != nil {
			return "", "", Explained(err)
		}
	}
	var manifest struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(got.Content, &manifest); err != nil {
		return "", "", fmt.Errorf("reading %s: %w", tag, err)
	}
	// A newer version of another image does not count.
	if title := manifest.Annotations[release.OCIPrefix+"title"]; title != path.Base(tag.RepositoryStr()) {
		return digest, "", &ForeignTagError{tag, fmt.Sprintf("is signed as %q", title)}
	}
	version := manifest.Annotations[release.LibrePrefix+"app-version"]
	packageVersion, _ := strconv.Atoi(manifest.Annotations[release.LibrePrefix+"package-version"])
	order := catalog.CompareVersions(version, app.Version)
	if order > 0 || order == 0 && packageVersion > app.PackageVersion {
		newer = catalog.Tag(version, packageVersion)
	}
	if newer != "" && r.Withdrawn.Find(app.Name, newer) != nil {
		newer = ""
	}
	return digest, newer, nil
}

// lookMoving looks in a registry whether the moving tags of a published release point to it, or
// to a newer one. It reads the record's, which a push moves last. Those of a withdrawn release are
// moved when its withdrawal is announced.
func (r *Reader) lookMoving(ctx context.Context, in *registry.Client, rel *Release, s *Remote) error {
	for _, pattern := range r.AlsoTags {
		if s.State != Published || r.Withdrawal(rel) != nil {
			return nil
		}
		expanded, err := catalog.ExpandMovingTag(pattern, rel.App.Version)
		if err != nil {
			continue // not a tag of this version, as a push says
		}
		ref := catalog.Ref{Repository: rel.Ref().Repository, Tag: expanded}
		tag, err := in.Tag(ref)
		if err != nil {
			return err
		}
		at := []Tagging{{Ref: ref, Digest: tag.Context().Digest(s.Digest.DigestStr())}}
		if err := ReadTags(ctx, in, at); err != nil {
			return err
		}
		if at[0].Done() {
			continue
		}
		digest, newer, err := r.MovingTag(ctx, in, tag, rel.App)
		switch foreign := (*ForeignTagError)(nil); {
		case errors.As(err, &foreign):
			s.setMoved(rel, &MovedError{Reference: tag.String(), Shows: digest, Signed: s.Digest.DigestStr(), By: "this release is"})
		case err != nil:
			return err
		case digest == "":
			s.State, s.Reason = NotTagged, "there is no tag "+tag.String()
		case newer == "":
			s.State, s.Reason = NotTagged, tag.String()+" points to another release"
		}
	}
	return nil
}
