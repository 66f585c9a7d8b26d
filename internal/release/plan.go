package release

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/registry"
)

// Plan is what would be done with one image.
type Plan struct {
	catalog.ID
	Ref    catalog.Ref
	Action Action
	Reason string
	Key    string // "" where it is unknown
	Moved  []*MovedError
	Lacks  []Lacking // what was attached to the image, in all registries
	Err    error     // why the action is unknown, or what was moved
}

// Action is what would be done.
type Action string

const (
	ToBuild   Action = "build"
	ToPush    Action = "push"   // build has been done
	ToSign    Action = "sign"   // built again where it is not in the layout, and compared
	ToAttach  Action = "attach" // again, what is gone
	ToTag     Action = "tag"
	ToRefuse  Action = "refuse"  // push would
	ToPutBack Action = "moved"   // a tag was; push would refuse
	ToUnknown Action = "unknown" // a registry does not say
	ToNothing Action = "nothing"
)

// Plan says what Build would do, and why, without doing it.
func (b *Builder) Plan(ctx context.Context, request nix.Request) ([]Plan, *nix.Evaluation, error) {
	request.KeysOnly = true
	evaluation, err := b.Catalogue.Evaluate(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	have, err := b.built()
	if err != nil {
		return nil, nil, err
	}
	plans, _ := have.plans(targets(evaluation.Images), evaluation.PkgsErr)
	return plans, evaluation, nil
}

// built is what the layout has; nothing where there is none yet.
func (b *Builder) built() (built, error) {
	dist, err := layout.Open(b.Output)
	if errors.Is(err, fs.ErrNotExist) {
		return built{}, nil
	}
	if err != nil {
		return built{}, err
	}
	return readBuilt(dist)
}

// Plan says what Push would do, and why, without doing it. Where a registry does not
// say what it has, that is unknown.
func (p *Publisher) Plan(ctx context.Context, request nix.Request) ([]Plan, *nix.Evaluation, error) {
	request.KeysOnly = true
	releases, evaluation, err := p.releases(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	have, err := p.built()
	if err != nil {
		return nil, nil, err
	}
	planned := make([][]Plan, len(releases))
	inParallel(lookers, releases, func(n int, release *variantRelease) {
		for _, image := range release.images {
			if image.selected {
				plan, _ := have.plan(image.target, evaluation.PkgsErr)
				planned[n] = append(planned[n], plan)
			}
		}
		if !slices.ContainsFunc(planned[n], func(p Plan) bool { return p.Key != "" }) {
			return // nothing to compare
		}
		there, err := p.survey(ctx, release)
		for i := range planned[n] {
			planned[n][i].compare(there, err, release.app.Name)
		}
	})
	var plans []Plan
	for _, some := range planned {
		plans = append(plans, some...)
	}
	p.planAgain(ctx, have, releases, plans)
	slices.SortFunc(plans, func(x, y Plan) int { return x.ID.Compare(y.ID) })
	return plans, evaluation, ctx.Err()
}

// planAgain notes of the images that are not published which are built on others than those
// that are published, and which cannot be: what is published of these has other content.
func (p *Publisher) planAgain(ctx context.Context, have built, releases []*variantRelease, plans []Plan) {
	builder := *p.Builder
	builder.publishing, builder.planning = true, true
	builder.Published = func(context.Context) (*registry.Client, *Signing, error) { return p.Registry, p.Signing, nil }
	r := &run{Builder: &builder, layout: have.layout, taken: newTakenImages(have)} // one, as many stand on the same
	byID := map[catalog.ID]*Target{}
	for _, release := range releases {
		for _, target := range release.targets() {
			byID[target.ID] = target
		}
	}
	for i := range plans {
		plan, target := &plans[i], byID[plans[i].ID]
		if plan.Key == "" || plan.Action != ToPush && plan.Action != ToBuild {
			continue
		}
		if err := r.refusedBase(ctx, target); err != nil {
			plan.Action, plan.Reason = ToRefuse, err.Error()
		} else if plan.Action == ToPush && r.isOutdated(ctx, target) {
			plan.Action, plan.Reason = ToBuild, "it is built on another base than is published"
		}
	}
}

// isOf tells whether what lacks something is the image; what is lacking to a record is
// attached with any.
func (p *Plan) isOf(lacks Lacking) bool {
	return path.Base(lacks.Digest.Context().RepositoryStr()) == p.ID.Name() || lacks.ofRecord
}

// compare adds to what a build would do what the registry has of the release, or why
// that is not known.
func (p *Plan) compare(there standing, unknown error, app string) {
	if p.Key == "" { // it is skipped, or its key is not known
		return
	}
	if unknown != nil {
		p.Action, p.Reason, p.Err = ToUnknown, unknown.Error(), unknown
		return
	}
	switch there.RemoteState {
	case WasMoved:
		p.Action, p.Reason, p.Err, p.Moved = ToPutBack, there.reason, there.err, there.moved
	case AsWanted:
		p.Action, p.Reason = ToNothing, string(AsWanted)
	case NotSigned:
		if p.Action, p.Reason = ToSign, string(NotSigned); there.isElsewhere() {
			p.Action, p.Reason = ToRefuse, there.reason
		}
	case Incomplete:
		p.Action, p.Reason = ToNothing, string(AsWanted)
		for _, lacks := range there.lacks {
			if p.isOf(lacks) {
				p.Lacks = append(p.Lacks, lacks)
			}
		}
		if len(p.Lacks) > 0 {
			p.Action, p.Reason = ToAttach, lacksText(p.Lacks)
		}
	case Untagged:
		p.Action, p.Reason = ToTag, there.reason
	case OtherContent:
		if there.has(p.Component, p.Key) {
			p.Action, p.Reason = ToNothing, string(AsWanted)
			return
		}
		p.Action, p.Reason = ToRefuse, there.reason+": raise the package version with "+repackCommand(app)
	case IsNew:
		if p.Action == ToNothing {
			p.Action, p.Reason = ToPush, string(IsNew)
		}
	}
}
