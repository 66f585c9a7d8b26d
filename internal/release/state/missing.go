package state

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/text"
)

// Missing returns an error for a tag that does not exist: it lists the releases that exist,
// and is registry.ErrNotFound too. It returns err as it is if that is about something else.
func Missing(ctx context.Context, client *registry.Client, reference name.Reference, err error) error {
	tag, byTag := reference.(name.Tag)
	if !byTag || !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	repository := tag.Context().RepositoryStr()
	tags, listing := client.Tags(ctx, repository[strings.LastIndex(repository, "/")+1:])
	if listing != nil || slices.Contains(tags, tag.TagStr()) {
		return err
	}
	releases := ReleaseTags(tags)
	fix := "the repository has no release: check its name, which is APP-VARIANT"
	if len(releases) > 0 {
		fix = "give one of: " + text.Enumerate(releases, ", ", mostListed)
	}
	return &fault.Fault{Kind: fault.NotFound, Err: missingError{tag}, Fix: fix}
}

type missingError struct{ tag name.Tag }

func (e missingError) Error() string { return e.tag.String() + " is not in the registry" }

func (e missingError) Unwrap() error { return registry.ErrNotFound }

// mostListed is how many releases an error lists.
const mostListed = 12
