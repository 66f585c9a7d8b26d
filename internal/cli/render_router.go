package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
)

// routerApp is the app of the catalogue whose image is the router.
const routerApp = "caddy"

// routerApplication reads the document of the Caddy that is the router of an app: the
// release that --router names, else the catalogue's Caddy, else the newest one in the
// reference's registry.
func (e *env) routerApplication(ctx context.Context, o appOptions, words []string) (*describe.Application, error) {
	if o.router != "" {
		if !isReference(o.router) {
			return nil, usageError{fmt.Errorf("--router %s, expected REGISTRY[/NAMESPACE]/caddy-default:TAG", o.router)}
		}
		return e.publishedApplication(ctx, registryOptions{key: o.registry.key, insecure: o.registry.insecure, signer: o.registry.signer}, o.router)
	}
	if !isReference(words[0]) {
		return e.catalogueRouter(ctx, o)
	}
	prefix, err := prefixOf(words[0])
	if err != nil {
		return nil, err
	}
	repository := catalog.RecordRef(routerApp, "default", "", 1).Repository
	word := prefix + "/" + repository
	_, client, _, err := e.verifier(ctx, o.registry, word)
	if err != nil {
		return nil, err
	}
	tags, err := client.Tags(ctx, repository)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return nil, err
	}
	releases := state.ReleaseTags(tags)
	if len(releases) == 0 {
		return nil, &fault.Fault{Kind: fault.NotFound, Err: fmt.Errorf("the app's routes need a router, and %s has no release", word), Fix: "give one: --router REGISTRY/" + repository + ":TAG"}
	}
	caddy, err := e.publishedApplication(ctx, o.registry, word+":"+releases[0])
	if newest := state.AsWithdrawn(err); newest != nil && newest.Instead != "" {
		return e.publishedApplication(ctx, o.registry, newest.Instead)
	}
	return caddy, err
}

// catalogueRouter returns the catalogue's own Caddy.
func (e *env) catalogueRouter(ctx context.Context, o appOptions) (*describe.Application, error) {
	caddy, err := e.application(ctx, o, []string{routerApp})
	var unknown *catalog.UnknownError
	if errors.As(err, &unknown) {
		return nil, &fault.Fault{Err: fmt.Errorf("the app's routes need a router, and the catalogue has no app %s", routerApp), Fix: "add it, or give --router REGISTRY/caddy-default:TAG"}
	}
	return caddy, err
}
