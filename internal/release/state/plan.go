package state

import (
	"context"
	"path"
	"slices"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/withdrawn"
)

// Plan is the action of build or push for one image.
type Plan struct {
	ID     catalog.ID
	Ref    catalog.Ref
	Action Action
	Reason string
	Key    string // "" if it is unknown
	Moved  []*MovedError
	Lacks  []Lacking   // missing attachments, in all registries
	Former catalog.Ref // of the newest record that is published; zero if there is none, or for a build
	Err    error       // if the action is unknown, or a tag was moved
}

// PlanBuild returns what build would do and why, without doing it.
func (r *Reader) PlanBuild(ctx context.Context, request nix.Request) ([]Plan, *nix.Evaluation, error) {
	request.KeysOnly = true
	evaluation, err := r.Catalogue.Evaluate(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	local, err := r.Local()
	if err != nil {
		return nil, nil, err
	}
	plans, _ := local.Plans(release.Targets(evaluation.Images), evaluation.PkgsErr)
	return plans, evaluation, nil
}

// PlanPush returns what push would do and why, without doing it. The action is unknown if a
// registry does not answer.
func (r *Reader) PlanPush(ctx context.Context, request nix.Request) ([]Plan, *nix.Evaluation, error) {
	request.KeysOnly = true
	releases, evaluation, err := r.Releases(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	local, err := r.Local()
	if err != nil {
		return nil, nil, err
	}
	planned := make([][]Plan, len(releases))
	InParallel(Readers, releases, func(n int, rel *Release) {
		for _, target := range rel.selected {
			plan, _ := local.plan(target, evaluation.PkgsErr)
			planned[n] = append(planned[n], plan)
		}
		if !slices.ContainsFunc(planned[n], func(p Plan) bool { return p.Key != "" }) {
			return // nothing to compare
		}
		there, err := r.CompareAll(ctx, rel)
		for i := range planned[n] {
			planned[n][i].compare(there, err, rel.App.Name)
			if err == nil && there.Former != "" {
				planned[n][i].Former = catalog.Ref{Repository: rel.Ref().Repository, Tag: there.Former}
			}
			if err == nil {
				planned[n][i].considerWithdrawn(there, r.Refusal(rel))
			}
		}
	})
	plans := slices.Concat(planned...)
	r.planOnBases(ctx, local, releases, plans)
	slices.SortFunc(plans, func(x, y Plan) int { return x.ID.Compare(y.ID) })
	return plans, evaluation, ctx.Err()
}

// planOnBases corrects the plans of images that are not published. An image in the layout
// with another base than the published one must be built again. An image whose base is
// published with other content is refused.
func (r *Reader) planOnBases(ctx context.Context, local Local, releases []*Release, plans []Plan) {
	bases := NewBases(local, BaseOptions{
		Where:   func(context.Context) (*registry.Client, *Signing, error) { return r.Registry, r.Signing, nil },
		ForPush: true, Output: r.Output, Warn: r.Warn,
	})
	byID := map[catalog.ID]*release.Target{}
	for _, rel := range releases {
		for _, target := range rel.Targets {
			byID[target.ID] = target
		}
	}
	for i := range plans {
		plan, target := &plans[i], byID[plans[i].ID]
		if plan.Key == "" || plan.Action != ToPush && plan.Action != ToBuild {
			continue
		}
		if err := bases.Refused(ctx, target); err != nil {
			plan.Action, plan.Reason = ToRefuse, err.Error()
		} else if plan.Action == ToPush && bases.IsOutdated(ctx, target) {
			plan.Action, plan.Reason = ToBuild, "it is built on another base than the published one"
		}
	}
}

// considerWithdrawn refuses an image of a release that is withdrawn and not published. It also
// notes if push would publish the list of withdrawn releases.
func (p *Plan) considerWithdrawn(there Remote, refusal error) {
	switch {
	case refusal != nil && slices.Contains([]Action{ToBuild, ToPush, ToSign, ToTag}, p.Action):
		p.Action, p.Reason = ToRefuse, refusal.Error()
	case there.SaysOtherwise && p.Action == ToNothing:
		p.Action, p.Reason = ToAttach, "the withdrawals in "+withdrawn.File
	}
}

// isOf reports whether missing attachments belong to the image. Those of a record belong to
// all its images.
func (p *Plan) isOf(lacks Lacking) bool {
	return path.Base(lacks.Digest.Context().RepositoryStr()) == p.ID.Name() || lacks.ofRecord
}

// compare turns the plan for a build into one for a push, given the release in the registry
// or the error of reading it.
func (p *Plan) compare(there Remote, unknown error, app string) {
	if p.Key == "" { // it is skipped, or its key is unknown
		return
	}
	if unknown != nil {
		p.Action, p.Reason, p.Err = ToUnknown, unknown.Error(), unknown
		return
	}
	switch there.State {
	case Moved:
		p.Action, p.Reason, p.Err, p.Moved = ToPutBack, there.Reason, there.Err, there.Moved
	case Published:
		p.Action, p.Reason = ToNothing, string(Published)
	case NotSigned:
		if p.Action, p.Reason = ToSign, string(NotSigned); there.IsElsewhere() {
			p.Action, p.Reason = ToRefuse, there.Reason
		}
	case Incomplete:
		p.Action, p.Reason = ToNothing, string(Published)
		for _, lacks := range there.Lacks {
			if p.isOf(lacks) {
				p.Lacks = append(p.Lacks, lacks)
			}
		}
		if len(p.Lacks) > 0 {
			p.Action, p.Reason = ToAttach, lacksText(p.Lacks)
		}
	case NotTagged:
		p.Action, p.Reason = ToTag, there.Reason
	case OtherContent:
		if there.has(p.ID.Component, p.Key) {
			p.Action, p.Reason = ToNothing, string(Published)
			return
		}
		p.Action, p.Reason = ToRefuse, there.Reason+": raise the package version with "+RepackCommand(app)
	case NotPublished:
		if p.Action == ToNothing {
			p.Action, p.Reason = ToPush, "new"
		}
	}
}
