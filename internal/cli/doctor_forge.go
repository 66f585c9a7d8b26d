package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/upstream"
)

// sourcesAtOnce is how many sources are asked for at a time.
const sourcesAtOnce = 8

// sourceChecks ask whether the sources of the catalogue are there, for the logins that
// there are. Modules have a proxy, and are not asked for.
func sourceChecks(ctx context.Context, ws *workspace) []check {
	const name = "sources"
	client, err := ws.upstream()
	if err != nil || ws.dir == "" {
		return nil // the tokens say why
	}
	catalogue, err := ws.open(ctx)
	if err != nil {
		return nil
	}
	evaluation, err := catalogue.Evaluate(ctx, nix.Request{Patterns: catalog.All})
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	var lock sync.Mutex
	var group errgroup.Group
	group.SetLimit(sourcesAtOnce)
	answers := map[string]error{}
	for _, app := range evaluation.Apps {
		if source := app.Source; source != nil && slices.Contains([]string{"github", "git", "url"}, source.Kind) {
			group.Go(func() error {
				err := client.Reach(ctx, source.Kind, cmp.Or(source.GitHub, source.Git, source.Page), source.Archive)
				lock.Lock()
				defer lock.Unlock()
				answers[app.Name] = err
				return nil
			})
		}
	}
	_ = group.Wait()
	var checks []check
	found := 0
	for _, app := range slices.Sorted(maps.Keys(answers)) {
		switch err := answers[app]; {
		case err == nil:
			found++
		case errors.Is(err, upstream.ErrNotFound), fault.Is(err, fault.Credentials):
			checks = append(checks, check{name, "wrong", app + ": " + fault.Reason(err), cmp.Or(fault.Fix(err), "mend source in apps/"+app+"/default.nix, or log in"), err})
		default:
			checks = append(checks, check{name, "note", app + ": whether its source is there is not known: " + fault.Reason(err), "mend the network or the proxy", nil})
		}
	}
	if found > 0 {
		checks = append(checks, check{name, "ok", fmt.Sprintf("%d of %d apps' are there", found, len(answers)), "", nil})
	}
	return checks
}

// forgeChecks ask the forges whether they take the tokens that bump would send. Without
// a token there is nothing to check.
func forgeChecks(ctx context.Context, ws *workspace) []check {
	const name = "forge token"
	client, err := ws.upstream()
	if err != nil {
		return []check{{name, "wrong", fault.Reason(err), cmp.Or(fault.Fix(err), "mend what it names: tokens and forges are found there"), err}}
	}
	ctx, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	var checks []check
	for _, token := range client.CheckTokens(ctx) {
		switch err := token.Err; {
		case err == nil:
			checks = append(checks, check{name, "ok", fmt.Sprintf("%s takes the token of %s", token.Server, token.From), "", nil})
		case fault.Is(err, fault.Credentials):
			checks = append(checks, check{name, "wrong", fault.Reason(err), fault.Fix(err), err})
		default:
			checks = append(checks, check{name, "note", fmt.Sprintf("whether %s takes the token of %s is not known: %s", token.Server, token.From, fault.Reason(err)), "mend the network or the proxy", nil})
		}
	}
	return checks
}
