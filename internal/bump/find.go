package bump

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/upstream"
)

// Candidates is what upstream offers for an app, and the decision.
type Candidates struct {
	App      catalog.App
	Decision *Decision       // nil if there is an error
	Finder   upstream.Finder // nil if there is nothing to find
	MovedTo  string          // the URL that upstream's repository moved to; "" if it did not
	Follow   string          // the app whose version this one follows; "" for none
	Err      error
}

// finders is how many upstreams are asked at the same time.
const finders = 16

// Find decides for each app. An app that follows another one is decided after it; a followed
// app that is only among all stays as it is. An app's error does not affect other apps.
func Find(ctx context.Context, client *upstream.Client, apps, all map[string]catalog.App, now time.Time) map[string]*Candidates {
	outlooks := map[string]*Candidates{}
	rules := map[string]*Rule{}
	var sources []upstream.Source
	for name, app := range apps {
		outlook := &Candidates{App: app}
		outlooks[name] = outlook
		if rules[name], outlook.Err = ParseRule(app.Update); outlook.Err != nil {
			continue
		}
		outlook.Follow = rules[name].Follow
		if app.Source != nil {
			sources = append(sources, sourceOf(app.Source))
		}
	}
	// If this fails, each source is asked separately and gives the reason.
	_ = client.Prefetch(ctx, sources)

	var mu sync.Mutex
	decided := map[string]string{} // versions
	for name, app := range all {
		decided[name] = app.Version
	}
	find := func(names []string) {
		var group errgroup.Group
		group.SetLimit(finders)
		for _, name := range names {
			group.Go(func() error {
				outlook, rule := outlooks[name], rules[name]
				mu.Lock()
				followed := decided[rule.Follow]
				mu.Unlock()
				outlook.Err = outlook.find(ctx, client, rule, followed, now)
				mu.Lock()
				defer mu.Unlock()
				decided[name] = outlook.App.Version
				if outlook.Decision != nil {
					decided[name] = outlook.Decision.Version
				}
				return nil
			})
		}
		_ = group.Wait() // errors belong to the apps
	}
	waiting := slices.DeleteFunc(slices.Sorted(maps.Keys(apps)), func(name string) bool { return outlooks[name].Err != nil })
	for len(waiting) > 0 {
		var ready, later []string
		for _, name := range waiting {
			if follow := rules[name].Follow; follow != "" && slices.Contains(waiting, follow) {
				later = append(later, name)
			} else {
				ready = append(ready, name)
			}
		}
		if len(ready) == 0 {
			for _, name := range later {
				outlooks[name].Err = fmt.Errorf("update.follow: %s follows %s, which in turn follows %[1]s", name, rules[name].Follow)
			}
			break
		}
		find(ready)
		waiting = later
	}
	return outlooks
}

// find asks upstream, and decides.
func (o *Candidates) find(ctx context.Context, client *upstream.Client, rule *Rule, followed string, now time.Time) error {
	source := o.App.Source
	if source == nil {
		return &upstream.NothingToFindError{}
	}
	finder, err := client.Open(sourceOf(source))
	if err != nil {
		return err
	}
	o.Finder = finder
	in := Input{
		Rule: rule, Version: o.App.Version, PackageVersion: o.App.PackageVersion,
		Tag: source.Revision, Commit: source.Commit, Followed: followed, Now: now,
		Release: releases(ctx, finder),
	}
	if source.Rev != "" && source.Tag == "" {
		in.Tag = "" // pinned to a commit
	}
	if source.Kind == "git" {
		in.Commit = source.Rev
	}
	tags, err := finder.Tags(ctx)
	if err != nil {
		return err
	}
	o.MovedTo = tags.MovedTo
	for _, tag := range tags.All {
		in.Tags = append(in.Tags, Tag{Name: tag.Name, Commit: tag.Commit})
	}
	o.Decision, err = Decide(in)
	return err
}

// sourceOf returns the source to search for an app's versions.
func sourceOf(source *catalog.Source) upstream.Source {
	location := map[string]string{"github": source.GitHub, "git": source.Git, "goModule": source.GoModule}[source.Kind]
	return upstream.Source{Kind: source.Kind, Location: location, Forge: source.Forge, Tag: source.Revision}
}
