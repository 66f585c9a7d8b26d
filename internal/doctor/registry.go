package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sign"
)

func (s Subject) registries(ctx context.Context) []Check {
	clients, err := s.Registries()
	if err != nil {
		return []Check{{Name: "registry", State: Wrong, Found: err.Error(), Fix: "registry: REGISTRY[/NAMESPACE] in libre.yaml", Err: err}}
	}
	var checks []Check
	for _, client := range clients {
		checks = append(checks, s.registry(ctx, client)...)
	}
	return checks
}

// registry checks push access to a registry, and which verifiers find the signatures.
func (s Subject) registry(ctx context.Context, client *registry.Client) []Check {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	probe, err := s.push(ctx, client)
	if err != nil {
		return []Check{pushFailure(client, err)}
	}
	classic := s.Settings.Sign.Format == sign.Classic
	checks := []Check{ok("registry", fmt.Sprintf("%s: you may push", client)), referrers(probe), tags(probe, classic)}
	if s.Settings.Layers.Compression == "zstd" {
		checks = append(checks, zstdLayers(ctx, client))
	}
	if s.Settings.Sign.None {
		return checks
	}
	verifiers := "cosign 2 and 3, Kyverno, policy-controller"
	switch {
	case !classic:
		verifiers = "cosign 3, and cosign 2.6 with --new-bundle-format"
		if !probe.Referrers && probe.Attachments {
			verifiers += ", at the fallback tag"
		}
	case s.Settings.Sign.Keyless != nil:
		verifiers = "cosign 2 and 3"
	}
	return append(checks, ok("verifiers", verifiers))
}

// push tests push access to a registry. If the registry does not create repositories on push,
// it uses the first repository of the catalogue that exists.
func (s Subject) push(ctx context.Context, client *registry.Client) (registry.Probe, error) {
	probe, refused := client.Probe(ctx, registry.ProbeRef)
	if s.Dir == "" || !fault.Is(refused, fault.NotFound) {
		return probe, refused
	}
	evaluation, err := s.Metadata(ctx)
	if err != nil {
		return probe, refused
	}
	for _, app := range slices.Sorted(maps.Keys(evaluation.Apps)) {
		for _, variant := range evaluation.Apps[app].Variants {
			probe, err := client.Probe(ctx, catalog.Ref{Repository: app + "-" + variant, Tag: "libre-probe"})
			if !fault.Is(err, fault.NotFound) {
				return probe, err
			}
			refused = err
		}
	}
	return probe, refused
}

func pushFailure(client *registry.Client, err error) Check {
	found, fix := fault.Reason(err), strings.TrimPrefix(fault.Fix(err), "log in with: ")
	_, found, _ = strings.Cut(found, ": ") // without the name of the pushed test image
	var network *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		found = fmt.Sprintf("no answer within %d seconds", requestTimeout/time.Second)
	case errors.As(err, &network):
		found = "cannot be reached: " + network.Error()
	case fault.Is(err, fault.Credentials):
		found = "does not let you push: " + found
	case fault.Is(err, fault.NotFound):
		fix = cmp.Or(fix, "create the repository at the registry, or let the registry create repositories on push")
	}
	return Check{Name: "registry", State: Wrong, Found: fmt.Sprintf("%s: %s", client, found), Fix: cmp.Or(fix, "check the registry's name, and the network"), Err: err}
}

// zstdLayers checks whether a registry accepts images with layers that are compressed by zstd.
// If the registry does not create repositories, this is not known.
func zstdLayers(ctx context.Context, client *registry.Client) Check {
	const name, fix = "zstd layers", "compression: gzip below layers in libre.yaml"
	accepts, err := client.AcceptsZstd(ctx, registry.ProbeRef)
	switch {
	case err != nil:
		return failure(name, Note, err, fix)
	case !accepts:
		return Check{Name: name, State: Wrong, Found: client.String() + " refuses them", Fix: fix}
	}
	return ok(name, client.String()+" takes them")
}

func referrers(probe registry.Probe) Check {
	const name = "referrers API"
	switch {
	case probe.Referrers:
		return ok(name, "lists the attachments of an image")
	case !probe.Attachments:
		return Check{Name: name, State: Missing, Found: "accepts attachments of an image, but does not list them", Fix: "another registry, or format: classic below sign in libre.yaml"}
	}
	return ok(name, "none: the tag sha256-… lists the attachments of an image")
}

func tags(probe registry.Probe, classic bool) Check {
	switch {
	case probe.Overwrites:
		return ok("tags", "can be overwritten by everyone who may push")
	case classic || !probe.Referrers:
		return Check{Name: "tags", State: Note, Found: "cannot be overwritten: an image can have only one attachment", Fix: "allow tags sha256-* to be overwritten, in the registry's settings"}
	}
	return ok("tags", "cannot be overwritten, not even by --force or --also-tag")
}
