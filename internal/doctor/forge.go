package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/upstream"
)

// forges checks the tokens that bump would send to forges, and whether the sources of the
// apps can be read with them.
func (s Subject) forges(ctx context.Context) []Check {
	client, err := s.Upstream()
	if err != nil {
		return []Check{failure("forge token", Wrong, err, "correct the setting it names")}
	}
	checks := tokens(ctx, client)
	if s.Dir == "" {
		return checks
	}
	return append(checks, s.sources(ctx, client)...)
}

func tokens(ctx context.Context, client *upstream.Client) []Check {
	const name = "forge token"
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var checks []Check
	for _, token := range client.CheckTokens(ctx) {
		switch err := token.Err; {
		case err == nil:
			checks = append(checks, ok(name, fmt.Sprintf("%s accepts the token from %s", token.Server, token.From)))
		case fault.Is(err, fault.Credentials):
			checks = append(checks, failure(name, Wrong, err, ""))
		default:
			checks = append(checks, Check{Name: name, State: Note, Found: fmt.Sprintf("cannot check the token from %s at %s: %s", token.From, token.Server, fault.Reason(err)), Fix: fixNetwork})
		}
	}
	return checks
}

// sourcesAtOnce is how many sources are requested at a time.
const sourcesAtOnce = 8

// sources checks access to each app's source, with the logins that are set. It skips Go
// modules, which a proxy serves.
func (s Subject) sources(ctx context.Context, client *upstream.Client) []Check {
	const name = "sources"
	evaluation, err := s.Metadata(ctx)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var lock sync.Mutex
	var group errgroup.Group
	group.SetLimit(sourcesAtOnce)
	answers := map[string]error{}
	for _, app := range evaluation.Apps {
		if source := app.Source; source != nil && slices.Contains([]string{"github", "git", "url"}, source.Kind) {
			group.Go(func() error {
				err := client.CheckSource(ctx, source.Kind, cmp.Or(source.GitHub, source.Git, source.Page), source.Archive)
				lock.Lock()
				defer lock.Unlock()
				answers[app.Name] = err
				return nil
			})
		}
	}
	_ = group.Wait()
	var checks []Check
	found := 0
	for _, app := range slices.Sorted(maps.Keys(answers)) {
		switch err := answers[app]; {
		case err == nil:
			found++
		case errors.Is(err, upstream.ErrNotFound), fault.Is(err, fault.Credentials):
			check := failure(name, Wrong, err, "correct source in apps/"+app+"/default.nix, or log in")
			check.Found = app + ": " + check.Found
			checks = append(checks, check)
		default:
			checks = append(checks, Check{Name: name, State: Note, Found: app + ": cannot check the source: " + fault.Reason(err), Fix: fixNetwork})
		}
	}
	if found > 0 {
		checks = append(checks, ok(name, fmt.Sprintf("%d of %d sources of apps can be read", found, len(answers))))
	}
	return checks
}
