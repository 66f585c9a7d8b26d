package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
)

// NotPublishedYet is the state of a release that has no record.
const NotPublishedYet = "not published"

// Status is what is published of one release.
type Status struct {
	Name   string      // app/variant
	Ref    catalog.Ref // that the catalogue has now
	State  string      // a Standing, NotPublishedYet, or: not valid, broken, unknown
	Digest name.Digest // of the record that was signed, as far as it is known
	Moved  []*MovedError
	Lacks  []Lacking
	Mend   string // what attaches that again
	OldKey string // the former key that signed the release, "" where the present one did
	Reason string
	Err    error // why it is unknown, or what was moved
}

// Status looks at the record of each selected release. deep verifies every
// attachment of every image too.
func (p *Publisher) Status(ctx context.Context, request nix.Request, deep bool) ([]Status, error) {
	releases, evaluation, err := p.releases(ctx, request)
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		all = append(all, Status{Name: app, State: "broken", Reason: evaluation.Failures[app].Error()})
	}
	for _, release := range releases {
		status := Status{Name: release.name(), Ref: release.ref()}
		there, err := p.survey(ctx, release)
		switch {
		case err != nil:
			status.set("unknown", err)
		case there.RemoteState == IsNew:
			status.State = NotPublishedYet
		default:
			status.State, status.Reason, status.Digest = string(there.RemoteState), there.reason, there.digest
			status.Moved, status.Lacks, status.Err = there.moved, there.lacks, there.err
			if len(there.lacks) > 0 {
				status.Mend = release.attachAgain()
			}
			status.setOldKey(release, there.oldKey)
		}
		if deep && err == nil && there.RemoteState == AsWanted && p.Signing != nil {
			p.verifyStatus(ctx, release, &status)
		}
		all = append(all, status)
	}
	return all, nil
}

// verifyStatus adds what is wrong with any attachment of a release.
func (p *Publisher) verifyStatus(ctx context.Context, release *variantRelease, status *Status) {
	tag, _ := p.Registry.Tag(release.ref()) // looked at before
	for _, verified := range VerifyReference(ctx, p.Registry, p.Signing, tag, "") {
		var moved *MovedError
		switch err := verified.Err; {
		case err == nil:
		case errors.As(err, &moved):
			status.set(string(WasMoved), err)
			status.Moved = append(status.Moved, moved)
		case IsUnknown(err):
			status.set("unknown", err)
		default:
			status.set("not valid", err)
			status.Mend = release.attachAgain() + " --deep"
			status.Reason = verified.Reference + ": " + status.Reason + ": " + status.Mend
			status.Lacks = append(status.Lacks, Lacking{Reference: verified.Reference, Digest: verified.Digest, Kinds: []string{missing(verified.Checks)}})
		}
	}
}

func (s *Status) set(state string, err error) { s.State, s.Reason, s.Err = state, err.Error(), err }

// setOldKey notes that a former key signed a release, and how the present one does.
func (s *Status) setOldKey(release *variantRelease, key string) {
	if s.OldKey = key; key != "" && s.Reason == "" {
		s.Reason = fmt.Sprintf("signed with %s, a former key: sign anew with: libre push %s/*/%s --resign", key, release.app.Name, release.variant)
	}
}
