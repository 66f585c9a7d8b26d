package publish

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/withdrawn"
)

// An announcement publishes the catalogue's list of an app's withdrawn releases to a registry.
// One statement lists all of them. It is attached to each withdrawn release, to each release
// that is not withdrawn any more, and last to the record of the present release. Each push
// compares that record's statement, so the next run completes an interrupted one.
type announcement struct {
	publisher *Publisher
	in        *registry.Client
	rel       *releasePush
	present   name.Digest // record of the present release
	former    state.Withdrawals
	statement *withdrawn.Statement
	releases  []*opened // releases that are withdrawn now or were before, without the present one
	isRenewed bool      // there are former statements to detach
}

// announce publishes the list of withdrawn releases to a registry. present has the images of
// the present release there, and its record last. It returns the releases whose withdrawal
// changed.
func (p *Publisher) announce(ctx context.Context, in *registry.Client, r *releasePush, present []Result) []Result {
	_, wasCopied := r.copied[in] // if so, the record may have been copied with its statement
	thoroughly := p.Reader.Deep || wasCopied
	a := &announcement{publisher: p, in: in, rel: r, present: present[len(present)-1].Digest}
	var changed []Result
	_, err := p.run(ctx, step{
		"withdraw",
		func(ctx context.Context) (reason skip, err error) {
			if err = a.compare(ctx, thoroughly); err == nil && a.statement == nil {
				return "the registry says it", nil
			}
			changed = a.changes(present)
			return "", err
		},
		a.publish,
	})
	if err != nil {
		return []Result{{Name: r.rel.Name(), State: state.Failed, Err: &release.Failure{Step: "withdraw", Err: state.Explained(err)}}}
	}
	return append(changed, a.moveTags(ctx, changed)...)
}

// compare sets statement if the registry's statement differs from the catalogue's list. If
// thoroughly is true, it also compares the statements at each withdrawn release.
func (a *announcement) compare(ctx context.Context, thoroughly bool) (err error) {
	p, rel := a.publisher, a.rel.rel
	want := p.Reader.Statement(rel, 1)
	if len(want.Withdrawn) > withdrawn.MostListed {
		return fmt.Errorf("%s has %d releases of %s, at most %d can be withdrawn", withdrawn.File, len(want.Withdrawn), rel.App.Name, withdrawn.MostListed)
	}
	signing := p.signing()
	if a.former, err = state.ReadWithdrawals(ctx, signing, signing.Client.Attachments(a.present), a.present); err != nil {
		return err
	}
	isSame, isNothing := a.former.Digest() == want.Digest(), a.former.Version == 0 && len(want.Withdrawn) == 0
	if isSame && (isNothing || !thoroughly) {
		return nil
	}
	attached := []state.Withdrawals{a.former}
	for tag := range a.tags(want) {
		found, err := p.open(ctx, a.in, a.rel, tag)
		if err != nil {
			return err
		}
		if found != nil && found.result.Digest != a.present {
			a.releases = append(a.releases, found)
			attached = append(attached, found.record.Withdrawals)
		}
	}
	newest := slices.MaxFunc(attached, func(x, y state.Withdrawals) int { return x.Version - y.Version })
	a.isRenewed = newest.Version > 0
	want.Version = max(newest.Version, 1)
	if a.isRenewed && newest.Digest() != want.Digest() {
		want.Version++
	}
	a.statement = want
	return nil
}

// isAnnounced reports whether the registry's statement is known to be the same as the
// catalogue's list. It sends no request.
func (p *Publisher) isAnnounced(in *registry.Client, r *releasePush, record name.Digest) bool {
	wasThere := r.there.State == state.Published || r.there.State == state.Incomplete
	copied, wasCopied := r.copied[in]
	switch {
	case p.signing() == nil || record == (name.Digest{}):
		return true
	case p.Reader.Deep:
		return false
	case in == p.registry() && wasThere:
		return !r.there.SaysOtherwise
	case wasCopied:
		return !copied.SaysOtherwise
	}
	return r.former.Version == 0 && len(p.Reader.Statement(r.rel, 0).Withdrawn) == 0
}

// carryOver attaches the statement of the former record to the new one, so that no withdrawal
// is lost.
func (p *Publisher) carryOver(ctx context.Context, r *releasePush, record name.Digest) error {
	predicate, err := r.former.Encode()
	if err != nil {
		return err
	}
	return attest(ctx, p.signing(), state.Label(r.former.Version, r.former.Digest()), predicate, []name.Digest{record})
}

// tags returns the tags of the releases that are withdrawn in the registry or in the list, in
// order.
func (a *announcement) tags(want *withdrawn.Statement) func(func(string) bool) {
	all := slices.Concat(a.former.Tags(), want.Tags())
	return slices.Values(slices.Compact(slices.Sorted(slices.Values(all))))
}

// changes returns the releases whose withdrawal changes in the registry.
func (a *announcement) changes(present []Result) []Result {
	if a.statement == nil {
		return nil
	}
	var changed []Result
	there := []Result{present[len(present)-1]}
	for _, found := range a.releases {
		there = append(there, found.result)
	}
	for _, one := range there {
		before, now := a.former.Find(one.Ref.Tag), a.statement.Find(one.Ref.Tag)
		result := Result{Name: one.Name, Ref: one.Ref, Digest: one.Digest, Tag: one.Tag}
		switch {
		case now != nil && (before == nil || *before != *now):
			result.State, result.Reason = a.publisher.made(state.Withdrawn), now.Reason
		case now == nil && before != nil:
			result.State, result.Reason = a.publisher.made(state.Reinstated), "it was withdrawn: "+before.Reason
		default:
			continue
		}
		if a.publisher.DryRun {
			result.Reason = map[bool]string{true: "would be withdrawn: ", false: "would be reinstated: "}[now != nil] + result.Reason
		}
		changed = append(changed, result)
	}
	return changed
}

// publish attaches the statement.
func (a *announcement) publish(ctx context.Context) error {
	predicate, err := a.statement.Encode()
	if err != nil {
		return err
	}
	for _, found := range a.releases {
		if err := a.attach(ctx, predicate, found.subjects); err != nil {
			return err
		}
	}
	tag := a.rel.rel.Ref().Tag
	if a.former.Find(tag) != nil || a.statement.Find(tag) != nil {
		found, err := a.publisher.open(ctx, a.in, a.rel, tag)
		if err != nil {
			return err
		}
		if found != nil {
			if err := a.attach(ctx, predicate, found.subjects[1:]); err != nil {
				return err
			}
		}
	}
	return a.attach(ctx, predicate, []name.Digest{a.present})
}

// attach attaches the statement to subjects, reads it back, and detaches the former ones.
func (a *announcement) attach(ctx context.Context, predicate []byte, subjects []name.Digest) error {
	signing := a.publisher.signing()
	label := state.Label(a.statement.Version, a.statement.Digest())
	if err := attest(ctx, signing, label, predicate, subjects); err != nil || !a.isRenewed {
		return err
	}
	isNewest := func(statement *sign.Statement) bool { return sameJSON(statement.Predicate, predicate) }
	return signing.Client.Detach(ctx, signing.Policy, withdrawn.PredicateType, isNewest, subjects...)
}

func attest(ctx context.Context, signing *state.Signing, label string, predicate []byte, subjects []name.Digest) error {
	signer, err := signing.Signer()
	if err != nil {
		return err
	}
	attacher := signing.Client.Attacher(signer)
	if _, err := attacher.AttestLabelled(ctx, withdrawn.PredicateType, label, predicate, subjects...); err != nil {
		return err
	}
	return attacher.Confirm(ctx)
}

// moveTags moves the moving tags that the present release does not have, such as 5.3, away from
// withdrawn releases, or back to reinstated ones.
func (a *announcement) moveTags(ctx context.Context, changed []Result) []Result {
	p := a.publisher
	var moved []Result
	for _, pattern := range p.Reader.AlsoTags {
		present, _ := catalog.ExpandMovingTag(pattern, a.rel.rel.App.Version)
		done := []string{present}
		for _, change := range changed {
			version, _, _ := catalog.ParseTag(change.Ref.Tag)
			tag, err := catalog.ExpandMovingTag(pattern, version)
			if err != nil || slices.Contains(done, tag) {
				continue
			}
			done = append(done, tag)
			for _, result := range p.moveAway(ctx, a.in, a.rel, pattern, tag) {
				if result.State != state.Unchanged {
					moved = append(moved, result)
				}
			}
		}
	}
	return moved
}
