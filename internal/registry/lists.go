package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/text"
)

// mostPages is the largest number of pages of a list. Registries send at least 100 tags
// a page, unless asked for fewer.
const mostPages = 10_000

// pages reads a list page by page. read gets each answer, and reports whether it is a page of
// the list: then the next one follows, if there is one. It returns an *elsewhereError if
// the first page cannot be reached.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
func (c *Client) pages(ctx context.Context, first pullRequest, read func(page *http.Response, isLast bool) (is bool, err error)) error {
	asked := map[string]bool{}
	for request := first; request.below != ""; {
		if asked[request.below] || len(asked) == mostPages {
			return fmt.Errorf("the list does not end: after %d pages the registry names %s as the next one", len(asked), request.below)
		}
		asked[request.below] = true
		var next string
		err := retried(ctx, func() error {
			response, err := c.askForPage(ctx, request)
			if err != nil {
				if errors.As(err, new(*elsewhereError)) && request != first {
					err = fmt.Errorf("a page of the list cannot be reached: %w", errors.Unwrap(err))
				}
				return err
			}
			defer response.Body.Close()
			named, wrong := nextPage(response, request.below)
			is, err := read(response, named == "" && wrong == nil)
			if err != nil || !is {
				return err
			}
			next = named
			return wrong
		})
		if err != nil {
			return err
		}
		request.below = next
	}
	return nil
}

// elsewhereError means that redirects lead to another host, which cannot be reached.
type elsewhereError struct{ error }

func (e *elsewhereError) Unwrap() error { return e.error }

// askForPage sends a request, and returns any answer.
func (c *Client) askForPage(ctx context.Context, r pullRequest) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, r.method, repositoryURL(r.repository, r.below), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", r.accept)
	session, err := c.session(ctx, r.repository, transport.PullScope)
	if err != nil {
		return nil, err
	}
	client, elsewhere := *session, false
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		elsewhere = elsewhere || next.URL.Host != request.URL.Host
		if session.CheckRedirect != nil && session.CheckRedirect(next, via) != nil || len(via) > 10 {
			return http.ErrUseLastResponse
		}
		return nil
	}
	response, err := ask(&client, request)
	if err != nil && elsewhere && ctx.Err() == nil {
		err = &elsewhereError{err}
	}
	return response, err
}

// nextPage returns the path and query of the next page of a list, below the repository; ""
// after the last one. Behind a gateway a registry may name another scheme, host or repository
// than the client uses: it is the same list. So only the query is taken from the URL.
// https://www.rfc-editor.org/rfc/rfc8288
func nextPage(response *http.Response, below string) (string, error) {
	list, _, _ := strings.Cut(below, "?")
	for _, link := range strings.Split(strings.Join(response.Header.Values("Link"), ","), "<") {
		target, parameters, found := strings.Cut(link, ">")
		// go-containerregistry's registry names no relation.
		parameters = strings.ToLower(strings.NewReplacer(`"`, "", " ", "").Replace(strings.TrimRight(parameters, ", ")))
		if !found || strings.Contains(parameters, "rel=") && !slices.Contains(strings.Split(parameters, ";"), "rel=next") {
			continue
		}
		next, err := response.Request.URL.Parse(target)
		if err != nil || !strings.HasSuffix(next.Path, "/"+list) {
			return "", fmt.Errorf("the registry names %s as the next page, which is not of this list", text.Short(target, 200))
		}
		return strings.TrimSuffix(list+"?"+next.RawQuery, "?"), nil
	}
	return "", nil
}

// Tags returns all tags of a repository below the prefix, such as docs-default, in the
// registry's order; none if there is no such repository.
func (c *Client) Tags(ctx context.Context, repository string) ([]string, error) {
	repo, err := name.NewRepository(c.prefix+"/"+repository, c.names...)
	if err != nil {
		return nil, err
	}
	return c.TagsOf(ctx, repo)
}

// TagsOf returns all tags of a repository of any registry, as Tags does, each once.
func (c *Client) TagsOf(ctx context.Context, repo name.Repository) ([]string, error) {
	var all []string
	listed, pages := map[string]bool{}, 0
	err := c.pages(ctx, pullRequest{repo, http.MethodGet, "tags/list?n=1000", "application/json"}, func(response *http.Response, isLast bool) (bool, error) {
		if err := checkStatus(response, http.StatusOK); err != nil {
			return false, err
		}
		var page struct {
			Tags json.RawMessage `json:"tags"` // tags or null; nil if the answer is something else
		}
		var tags []string
		content, err := io.ReadAll(io.LimitReader(response.Body, mostList))
		if err != nil {
			return false, err
		}
		if json.Unmarshal(content, &page) != nil || json.Unmarshal(page.Tags, &tags) != nil {
			return false, fmt.Errorf("the registry answers with %s, which is not a list of tags", bareType(response.Header))
		}
		pages++
		before := len(all)
		for _, tag := range tags {
			if !listed[tag] {
				listed[tag] = true
				all = append(all, tag)
			}
		}
		switch {
		case len(all) > mostTags:
			return false, fmt.Errorf("the list has more than %d tags", mostTags)
		case len(tags) > 0 && len(all) == before && !isLast:
			return false, fmt.Errorf("the list does not end: page %d has only tags of earlier pages, and names a next page", pages)
		}
		return true, nil
	})
	if err != nil {
		if err = explain("listing the tags of "+repo.String(), repo.RegistryStr(), err); errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		return nil, err
	}
	return all, nil
}

// Limits of a list of tags.
const (
	mostTags = 1_000_000
	mostList = 64 << 20 // bytes of a page
)

// Anyone with push access may fill a subject's list of referrers. So libre reads it as a stream
// and limits what it keeps. A list seldom has more than some dozens.
const (
	mostReferrers  = 10_000
	mostParts      = 1_000
	mostListed     = 256 << 20 // bytes of a page of the list
	mostDescriptor = 64 << 10  // bytes of one referrer in the list; larger ones are not from libre
)

// Referrers lists the manifests of a repository, in any registry, that name a subject, each
// once. They come from the referrers API if it answers with an index: then byAPI is true.
// Otherwise they come from the list at the subject's tag. Once it is proved that a namespace has
// no API, Referrers does not ask for it again. keep reports whether to keep a descriptor, and may
// clear fields of it; nil keeps all. It is an error if the registry wants a login, is too busy or
// broken, or lists too many.
func (c *Client) Referrers(ctx context.Context, subject name.Digest, keep func(*v1.Descriptor) bool) (all []v1.Descriptor, byAPI bool, err error) {
	api := c.referrersAPI(subject.Context())
	if err := api.wait(ctx); err != nil {
		return nil, false, err
	}
	defer api.answer()
	if api.presence.Load() != absent {
		all, byAPI, err = c.listedReferrers(ctx, subject, keep)
		if err != nil || byAPI {
			return all, byAPI, err
		}
	}
	all, err = c.TaggedReferrers(ctx, subject, keep)
	if len(all) > 0 { // it may well have no API
		c.conclude(ctx, api, subject)
	}
	return all, false, err
}

// listedReferrers lists referrers with the referrers API. is reports whether there is one.
func (c *Client) listedReferrers(ctx context.Context, subject name.Digest, keep func(*v1.Descriptor) bool) (all []v1.Descriptor, is bool, err error) {
	request := pullRequest{subject.Context(), http.MethodGet, "referrers/" + subject.DigestStr(), string(types.OCIImageIndex)}
	kept, parts := map[v1.Hash]bool{}, 0
	err = c.pages(ctx, request, func(response *http.Response, _ bool) (bool, error) {
		if !settles(response) {
			return false, checkStatus(response, http.StatusOK)
		}
		if parts++; parts > mostParts {
			return false, fmt.Errorf("the list has more than %d pages", mostParts)
		}
		list, ok, err := readList(response.Body, keep)
		if err != nil {
			return false, err
		}
		ok = ok && response.StatusCode < http.StatusMultipleChoices
		if is && !ok {
			return false, errors.New("a page of the list is not an index")
		}
		if is = ok; is {
			c.referrersAPI(subject.Context()).isPresent()
		}
		for _, referrer := range list.Manifests {
			if !kept[referrer.Digest] {
				kept[referrer.Digest] = true
				all = append(all, referrer)
			}
		}
		if len(all) > mostReferrers {
			return false, errTooManyReferrers
		}
		return ok, nil
	})
	if errors.As(err, new(*elsewhereError)) {
		return nil, false, nil // some registries redirect requests for what they do not support to a web page
	}
	return all, is, err
}

// settles reports whether an answer shows whether the registry has a list of referrers. Some
// registries without one give unusual answers: Harbor before 2.8 answers 401 without asking for
// a login (https://github.com/goharbor/harbor/issues/18305), Artifactory answers 406
// (https://github.com/google/go-containerregistry/pull/2026), and GitLab redirects to a page.
func settles(response *http.Response) bool {
	status := response.StatusCode
	return status < http.StatusBadRequest || slices.Contains(anyRefusal, status) ||
		status == http.StatusUnauthorized && response.Header.Get("WWW-Authenticate") == "" ||
		!strings.HasPrefix(response.Request.URL.Path, "/v2/")
}

// TaggedReferrers lists the referrers at the subject's tag, where clients write them if
// there is no referrers API.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
func (c *Client) TaggedReferrers(ctx context.Context, subject name.Digest, keep func(*v1.Descriptor) bool) ([]v1.Descriptor, error) {
	list, err := c.taggedList(ctx, subject, keep)
	return list.Manifests, err
}

func listTag(subject name.Digest) name.Tag {
	return subject.Context().Tag(strings.Replace(subject.DigestStr(), ":", "-", 1))
}

// taggedList reads the list at the subject's tag. The list is empty if there is no such tag, or
// if the tag has something other than an index. It is also empty if the tag has the subject
// itself: GitLab takes the name of the tag for the digest.
func (c *Client) taggedList(ctx context.Context, subject name.Digest, keep func(*v1.Descriptor) bool) (v1.IndexManifest, error) {
	content, _, err := c.document(ctx, pullRequest{subject.Context(), http.MethodGet, "manifests/" + listTag(subject).TagStr(), acceptManifests})
	if hasStatus(err, http.StatusNotFound) {
		return v1.IndexManifest{}, nil
	}
	if err != nil {
		return v1.IndexManifest{}, err
	}
	wanted, err := v1.NewHash(subject.DigestStr())
	if err != nil {
		return v1.IndexManifest{}, err
	}
	got, err := sum(wanted.Algorithm, content)
	if err != nil || got == wanted {
		return v1.IndexManifest{}, err
	}
	list, is, err := readList(bytes.NewReader(content), keep)
	if !is {
		list = v1.IndexManifest{}
	}
	return list, err
}
