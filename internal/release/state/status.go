package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/withdrawn"
)

// Status is the state of one release.
type Status struct {
	Name      string      // app/variant
	Ref       catalog.Ref // the reference that the catalogue has now
	State     State
	Digest    name.Digest // of the signed record, if known
	Moved     []*MovedError
	Lacks     []Lacking
	Fix       string // how to attach missing attachments again
	OldKey    string // the former key that signed the release, "" if the present one did
	Reason    string
	Withdrawn []withdrawn.Said // withdrawn releases of the app, from the catalogue's list
	Err       error            // why the state is unknown, or which tag was moved
}

// Status compares releases with the registries, and names the apps that cannot be evaluated
// first. If deep is true, it also verifies every attachment of every image.
func (r *Reader) Status(ctx context.Context, releases []*Release, evaluation *nix.Evaluation, deep bool) []Status {
	var broken []Status
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		broken = append(broken, Status{Name: app, State: Broken, Reason: evaluation.Failures[app].Error()})
	}
	all, isPublished := make([]Status, len(releases)), make([]bool, len(releases))
	InParallel(Readers, releases, func(n int, rel *Release) {
		there, err := r.CompareAll(ctx, rel)
		all[n], isPublished[n] = r.statusOf(rel, there, err), err == nil && there.State == Published
	})
	for n, rel := range releases { // one after another, because attachments are large
		if deep && isPublished[n] && r.Signing != nil {
			r.verifyStatus(ctx, rel, &all[n])
		}
	}
	return append(broken, all...)
}

// statusOf returns the state of a release that was compared, or could not be.
func (r *Reader) statusOf(rel *Release, there Remote, err error) Status {
	status := Status{Name: rel.Name(), Ref: rel.Ref()}
	switch {
	case err != nil:
		status.set(Unknown, err)
		return status
	case there.State == NotPublished:
		status.State = NotPublished
	default:
		status.State, status.Reason, status.Digest = there.State, there.Reason, there.Digest
		status.Moved, status.Lacks, status.Err = there.Moved, there.Lacks, there.Err
		if len(there.Lacks) > 0 {
			status.Fix = rel.attachAgain()
		}
		status.setOldKey(rel, there.OldKey)
		if status.Reason == "" {
			status.Reason = strings.Join(there.Twice, "; ")
		}
	}
	r.addWithdrawals(rel, there, &status)
	return status
}

// verifyStatus verifies all attachments of a release and adds the errors.
func (r *Reader) verifyStatus(ctx context.Context, rel *Release, status *Status) {
	tag, _ := r.Registry.Tag(rel.Ref()) // Compare used the tag already
	for _, verified := range VerifyReference(ctx, r.Registry, r.Signing, tag, "") {
		var moved *MovedError
		switch err := verified.Err; {
		case err == nil:
		case AsWithdrawn(err) != nil: // it is compared with the catalogue's list
		case errors.As(err, &moved):
			status.set(Moved, err)
			status.Moved = append(status.Moved, moved)
		case IsUnknown(err):
			status.set(Unknown, err)
		default:
			status.set(NotValid, err)
			status.Fix = rel.attachAgain() + " --deep"
			status.Reason = verified.Reference + ": " + status.Reason + ": " + status.Fix
			kind := missing(verified.Checks)
			if unreadable := (*unreadableVEX)(nil); errors.As(err, &unreadable) {
				kind = kindName(unreadable.kind)
			}
			status.Lacks = append(status.Lacks, Lacking{Reference: verified.Reference, Digest: verified.Digest, Kinds: []string{kind}})
		}
	}
}

func (s *Status) set(state State, err error) { s.State, s.Reason, s.Err = state, err.Error(), err }

// setOldKey records that a former key signed a release, and how to sign it again.
func (s *Status) setOldKey(rel *Release, key string) {
	if s.OldKey = key; key != "" && s.Reason == "" {
		s.Reason = fmt.Sprintf("signed with the former key %s: sign it again with: libre push %s/*/%s --resign", key, rel.App.Name, rel.Variant)
	}
}
