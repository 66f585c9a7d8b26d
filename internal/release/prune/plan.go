// Package prune finds the releases that can be deleted from a registry, and deletes the
// releases of a plan that a person has read.
package prune

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
)

const (
	schema = 1

	// minAge is the least age of a release that is deleted, by the newest attachment of its
	// record. Somebody may be about to use a newer one.
	minAge = 7 * 24 * time.Hour

	// maxPlanAge is how long a plan is valid.
	maxPlanAge = 24 * time.Hour
)

// Rule says which releases of each app and variant stay: those that either of its parts
// chooses.
type Rule struct {
	Keep      int           `json:"keep"`      // number of the newest versions that stay, at least 1
	NewerThan time.Duration `json:"newerThan"` // releases signed within this time stay, in nanoseconds; 0 for none
}

// Plan lists what can be deleted from a registry. Each digest is checked again before it is
// deleted.
type Plan struct {
	Schema   int       `json:"schema"`   // 1
	Registry string    `json:"registry"` // REGISTRY[/NAMESPACE]
	Made     time.Time `json:"made"`     // it is valid for one day
	Rule     Rule      `json:"rule"`     // the rule that chose the releases
	Releases []Release `json:"releases"` // releases to delete
	Kept     []Kept    `json:"kept"`     // releases that stay, although the rule does not keep them
}

// Release is a release to delete, as a whole or not at all.
type Release struct {
	Record  catalog.Ref `json:"record"`  // APP-VARIANT:TAG
	Signed  time.Time   `json:"signed"`  // the newest signature of its record
	Reason  string      `json:"reason"`  // why it can be deleted
	Digests []Digest    `json:"digests"` // in the order in which they are deleted
}

// Digest is a manifest to delete.
type Digest struct {
	Repository string   `json:"repository"` // below the registry
	Digest     string   `json:"digest"`
	Kind       string   `json:"kind"`           // record, image, platform or attachment
	Tags       []string `json:"tags,omitempty"` // tags that point to it
	Size       int64    `json:"size"`           // bytes of the manifest and of the blobs that it names; other images may share some of these
}

// Kept is a release that stays, although the rule does not keep it.
type Kept struct {
	Record catalog.Ref `json:"record"` // APP-VARIANT:TAG
	Reason string      `json:"reason"` // why it stays
}

// Pruner finds and deletes old releases in a registry.
type Pruner struct {
	Registry  *registry.Client
	Apps      map[string]catalog.App     // all apps of the catalogue
	Patterns  []catalog.Pattern          // select apps and variants
	Withdrawn func(app, tag string) bool // reports whether the catalogue's list names a release
	Signing   *state.Signing             // verifies statements of withdrawn releases; nil if nothing is signed
	Now       time.Time
}

// Plan returns the releases that can be deleted by a rule. It deletes nothing. If it cannot
// read something that may name a digest, it returns an error.
func (p *Pruner) Plan(ctx context.Context, rule Rule) (*Plan, error) {
	w, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	plan := &Plan{Schema: schema, Registry: p.Registry.String(), Made: p.Now.UTC().Truncate(time.Second), Rule: rule, Releases: []Release{}, Kept: []Kept{}}
	going, stays, err := p.candidates(ctx, w, rule)
	if err != nil {
		return nil, err
	}
	for ref, why := range w.protect(going) {
		stays[ref] = why
	}
	for _, ref := range sorted(going) {
		plan.Releases = append(plan.Releases, *going[ref])
	}
	for _, ref := range sorted(stays) {
		plan.Kept = append(plan.Kept, Kept{ref, stays[ref]})
	}
	return plan, nil
}

// candidates returns the selected releases that the rule does not keep, with their digests.
// stays has the reasons why others of these must stay.
func (p *Pruner) candidates(ctx context.Context, w *world, rule Rule) (going map[catalog.Ref]*Release, stays map[catalog.Ref]string, err error) {
	going, stays = map[catalog.Ref]*Release{}, map[catalog.Ref]string{}
	tags := map[string][]string{} // of the records, by repository
	for ref := range w.records {
		tags[ref.Repository] = append(tags[ref.Repository], ref.Tag)
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(state.Readers)
	for _, of := range p.variants() {
		if !of.selected(p.Patterns) {
			continue
		}
		releases := state.ReleaseTags(tags[of.repository()])
		for _, tag := range releases[min(rule.Keep, len(releases)):] {
			group.Go(func() error {
				ref := catalog.Ref{Repository: of.repository(), Tag: tag}
				release, why, err := p.candidate(ctx, w, of, ref, rule)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					return err
				case why != "":
					stays[ref] = why
				case release != nil:
					release.Reason = fmt.Sprintf("%d days old, not among the %d newest", int(p.Now.Sub(release.Signed).Hours()/24), rule.Keep)
					going[ref] = release
				}
				return nil
			})
		}
	}
	return going, stays, group.Wait()
}

// candidate returns a release with its digests, or nil if it stays. why is the reason if it
// stays although the rule does not keep it.
func (p *Pruner) candidate(ctx context.Context, w *world, of variant, ref catalog.Ref, rule Rule) (release *Release, why string, err error) {
	switch {
	case of.app.RecordRef(of.name) == ref:
		return nil, "the catalogue defines it", nil
	case p.Withdrawn(of.app.Name, ref.Tag):
		return nil, "withdrawn, says withdrawn.yaml", nil
	}
	if tag := w.moved(ref); tag != "" {
		return nil, "the tag " + tag + " does not point to what the record names", nil
	}
	release, err = w.release(ctx, ref)
	if err != nil {
		return nil, "", err
	}
	age := p.Now.Sub(release.Signed)
	if rule.NewerThan > 0 && age < rule.NewerThan {
		return nil, "", nil
	}
	switch why, err = w.withdrawal(ctx, release); {
	case err != nil || why != "":
		return nil, why, err
	case release.Signed.IsZero():
		return nil, "its age is unknown: nothing that is attached to its record has a date", nil
	case age < minAge:
		return nil, "it is younger than 7 days", nil
	}
	return release, "", nil
}

// variant is an app's variant, which has a repository of records.
type variant struct {
	app  catalog.App
	name string
}

func (v variant) repository() string { return v.app.RecordRef(v.name).Repository }

func (v variant) selected(patterns []catalog.Pattern) bool {
	return slices.ContainsFunc(patterns, func(pattern catalog.Pattern) bool {
		for component := range v.app.Components {
			if pattern.Match(catalog.ID{App: v.app.Name, Component: component, Variant: v.name}) {
				return true
			}
		}
		return false
	})
}

// owns reports whether a repository may have records or images of the variant.
func (v variant) owns(repository string) bool {
	return repository == v.repository() || strings.HasPrefix(repository, v.app.Name+"-") && strings.HasSuffix(repository, "-"+v.name)
}

// variants returns all variants of all apps, in order.
func (p *Pruner) variants() (all []variant) {
	seen := map[string]bool{}
	for _, id := range catalog.IDs(p.Apps) {
		v := variant{p.Apps[id.App], id.Variant}
		if !seen[v.repository()] {
			seen[v.repository()] = true
			all = append(all, v)
		}
	}
	return all
}

// Read reads a plan. It refuses a plan that is too old, or for another registry.
func (p *Pruner) Read(content []byte) (*Plan, error) {
	var plan Plan
	if err := json.Unmarshal(content, &plan); err != nil {
		return nil, fmt.Errorf("it is not a plan of libre prune: %w", err)
	}
	refuse := func(format string, args ...any) (*Plan, error) {
		return nil, &fault.Fault{Err: fmt.Errorf(format, args...), Fix: "make a new plan with libre prune"}
	}
	switch age := p.Now.Sub(plan.Made); {
	case plan.Schema != schema:
		return refuse("it has schema %d, this libre reads %d", plan.Schema, schema)
	case plan.Registry != p.Registry.String():
		return refuse("it is for %s, not for %s", plan.Registry, p.Registry)
	case age > maxPlanAge || age < -time.Minute:
		return refuse("it was made on %s and is valid for one day", plan.Made.Format(time.RFC3339))
	case plan.Rule.Keep < 1 || plan.Rule.NewerThan < 0:
		return refuse("its rule keeps nothing")
	}
	return &plan, nil
}

// Size returns the sum of the sizes of all digests, in bytes. Other images may share some of
// these.
func (r *Release) Size() (bytes int64) {
	for _, d := range r.Digests {
		bytes += d.Size
	}
	return bytes
}
