package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/ui"
)

// listPublished lists the releases in a repository. It needs no catalogue.
func (e *env) listPublished(ctx context.Context, o listOptions, word string) error {
	ws, err := e.registryWorkspace()
	if err != nil {
		return err
	}
	word = strings.TrimSuffix(word, "/")
	prefix, err := prefixOf(word)
	if err != nil {
		return err
	}
	repository := strings.TrimPrefix(word, prefix+"/")
	if ws.settings.Registry != prefix {
		o.registry.to = []string{prefix}
	}
	client, err := ws.registry(o.registry)
	if err != nil {
		return err
	}
	signing, err := ws.operatorVerifying(ctx, o.registry, client)
	if errors.Is(err, errNoSigner) {
		e.Warnf("signatures are not verified, because no signer is known: give --key, or --identity and --issuer")
	} else if err != nil {
		return err
	}
	all, err := state.ListPublished(ctx, client, signing, repository)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return &fault.Fault{Kind: fault.NotFound, Err: fmt.Errorf("%s has no release", word), Fix: "give REGISTRY[/NAMESPACE]/APP-VARIANT, such as " + prefix + "/docs-default"}
	}
	if o.json {
		err = e.JSON(all)
	} else {
		err = e.Table(publishedTags(all))
	}
	if err != nil {
		return err
	}
	return tagsError(all)
}

func publishedTags(all []state.PublishedTag) ui.Table {
	table := ui.Table{Header: []string{"TAG", "KIND", "DIGEST", "SIGNED", "WHEN", "REASON"}, Sentences: []int{5}}
	for _, tag := range all {
		when := ""
		if !tag.Time.IsZero() {
			when = tag.Time.UTC().Format(time.RFC3339)
		}
		reason := tag.Error
		if tag.Withdrawn != "" {
			reason = "withdrawn: " + tag.Withdrawn
		}
		table.Rows = append(table.Rows, []string{tag.Tag, tag.Kind, tag.Digest, tag.Signed, when, reason})
	}
	return table
}

// tagsError is an error if a tag cannot be read or does not verify.
func tagsError(all []state.PublishedTag) error {
	var unknown []error
	wrong := 0
	for _, tag := range all {
		switch {
		case tag.Err == nil:
		case state.IsUnknown(tag.Err):
			unknown = append(unknown, tag.Err)
		default:
			wrong++
		}
	}
	if err := stateError("tags", len(all), unknown, nil); err != nil || wrong == 0 {
		return err
	}
	return fmt.Errorf("%d of %d tags do not verify", wrong, len(all))
}
