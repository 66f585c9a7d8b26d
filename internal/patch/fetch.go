package patch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/upstream"
	"github.com/libresh/libre/internal/web"
)

// Place is the origin of a patch. Exactly one of File, URL and Commit is set.
type Place struct {
	File   string // on this machine
	URL    string // of a patch, or of a commit's page
	Commit string // commit of the source's own repository: at least four digits of its ID

	// AllowUnreachable accepts a commit, or a URL below the repository's address, even if no
	// branch and no tag of the repository leads to it.
	AllowUnreachable bool
}

// ParsePlace reads an argument: a URL, a file, or the first digits of a commit's ID if there is
// no file of that name.
func ParsePlace(argument string) Place {
	if strings.Contains(argument, "://") {
		return Place{URL: argument}
	}
	if _, err := os.Stat(argument); err != nil && commitDigits().MatchString(argument) {
		return Place{Commit: argument}
	}
	return Place{File: argument}
}

var (
	commitDigits = lazyregexp.New(`\A[0-9a-f]{7,40}\z`)
	fewDigits    = lazyregexp.New(`\A[0-9a-f]{1,6}\z`)
)

func (p Place) String() string {
	switch {
	case p.Commit != "":
		return "commit " + text.Name(p.Commit)
	case p.URL != "":
		return text.PublicURL(p.URL)
	}
	return text.Name(p.File)
}

// Fetch reads a patch. repository is the URL of the git repository of the patched source, or ""
// for none. A commit of that repository is fetched with git. Other URLs must be of public
// servers over https, or of the repository's server.
func Fetch(ctx context.Context, client *upstream.Client, from Place, repository string) (*Patch, error) {
	patch, err := fetcher{client, from, repository}.fetch(ctx)
	if err != nil && (from.URL == "" || !strings.Contains(err.Error(), from.String())) { // errors from fetching a URL contain it
		err = fmt.Errorf("%s: %w", from, err)
	}
	return patch, err
}

type fetcher struct {
	client     *upstream.Client
	from       Place
	repository string
}

func (f fetcher) fetch(ctx context.Context) (*Patch, error) {
	switch {
	case f.from.Commit != "":
		return f.commit(ctx, f.from.Commit)
	case f.from.URL != "":
		return f.url(ctx)
	}
	content, err := file.Read(f.from.File)
	var wrong *os.PathError
	switch {
	case errors.Is(err, os.ErrNotExist) && fewDigits().MatchString(f.from.File):
		return nil, &fault.Fault{Err: errors.New("no such file, and too short for the ID of a commit"), Fix: "give at least 7 digits"}
	case errors.As(err, &wrong):
		return nil, wrong.Err
	}
	if err != nil {
		return nil, err
	}
	return Read(content)
}

// url reads the patch at a URL. A URL below the address of the source's repository only counts
// as that repository's if a branch or a tag leads there.
func (f fetcher) url(ctx context.Context) (*Patch, error) {
	digits, inside := upstream.CommitOf(f.repository, f.from.URL)
	switch {
	case digits != "":
		return f.commit(ctx, digits)
	case f.from.AllowUnreachable:
	case inside:
		return nil, f.unreachable("no branch and no tag of the source's repository leads to it: forges also serve the pull requests of anybody under that address")
	case commitAddress().MatchString(f.from.URL) && upstream.PageOf(f.repository) == "":
		return nil, f.unreachable("the definition names no repository on the web, so libre cannot tell whether the commit is upstream's")
	case commitAddress().MatchString(f.from.URL):
		return nil, f.unreachable("it is a commit of another repository than " + upstream.PageOf(f.repository) + ", the source's")
	}
	patch, err := f.download(ctx, f.from.URL)
	if err != nil {
		return nil, err
	}
	patch.Notes = append(patch.Notes, fmt.Sprintf("it comes from %s, and not from a branch or a tag of the source's repository: read it before you publish", f.from))
	return patch, nil
}

// commitAddress matches the address of a commit on GitHub, Forgejo, GitLab or cgit.
var commitAddress = lazyregexp.New(`/(?:commits?|patch)/(?:\?id=)?[0-9a-f]{7,40}(?:\.patch|\.diff)?(?:$|[?#])`)

func (f fetcher) unreachable(why string) error {
	return &fault.Fault{Err: errors.New(why), Fix: "read it, and add --allow-unreachable if you trust it"}
}

// commit reads a commit of the source's repository.
func (f fetcher) commit(ctx context.Context, digits string) (*Patch, error) {
	if f.repository == "" {
		return nil, &fault.Fault{Err: errors.New("the definition names no repository of its source"), Fix: "give a file or a URL"}
	}
	id, content, err := f.client.Commit(ctx, f.repository, digits, Most)
	var unreachable *upstream.UnreachableError
	switch {
	case errors.As(err, &unreachable) && f.from.AllowUnreachable:
		return f.fork(ctx, digits)
	case errors.As(err, &unreachable):
		return nil, f.unreachable(err.Error() + ": forges serve the commits of forks under the same address")
	case err != nil:
		return nil, err
	}
	patch, err := Read(content)
	if err != nil {
		return nil, err
	}
	patch.Commit, patch.Origin = id, commitURL(f.repository, id)
	return patch, nil
}

// fork downloads a commit that no branch or tag leads to.
func (f fetcher) fork(ctx context.Context, digits string) (*Patch, error) {
	address := commitURL(f.repository, digits)
	if address == "" {
		return nil, &fault.Fault{Err: errors.New("the source's repository has no web page with its commits"), Fix: "give a file or a URL"}
	}
	patch, err := f.download(ctx, address+".patch")
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(patch.named, digits) {
		patch.Commit, patch.Origin = patch.named, commitURL(f.repository, patch.named)
	}
	patch.Notes = append(patch.Notes, fmt.Sprintf("no branch and no tag of the source's repository leads to commit %s: anybody may have written it", digits))
	return patch, nil
}

// commitURL returns the address of a commit's page, or "" if the repository has none.
func commitURL(repository, id string) string {
	page := upstream.PageOf(repository)
	if page == "" {
		return ""
	}
	return page + "/commit/" + id
}

// download reads a patch over HTTP.
func (f fetcher) download(ctx context.Context, address string) (*Patch, error) {
	place, err := url.Parse(address)
	if err != nil || place.Host == "" || place.Scheme != "https" && place.Scheme != "http" {
		return nil, errors.New("expected an https URL")
	}
	if place.User != nil {
		return nil, errors.New("it has a user name or a password, which would be published: write the login into ~/.netrc")
	}
	own, err := url.Parse(f.repository)
	if err != nil || own.Host == "" {
		own = nil
	}
	if place.Scheme == "http" && (own == nil || own.Scheme != "http" || own.Host != place.Host) {
		return nil, errors.New("expected an https URL: anybody on the way can change what comes over http")
	}
	body, err := f.client.Get(web.PublicOnly(ctx, own), address)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, Most+1))
	if err != nil {
		return nil, err
	}
	patch, err := Read(content)
	if err != nil {
		return nil, err
	}
	patch.Origin = published(place)
	return patch, nil
}

// published returns an address in a form that may be published. It keeps only the ID of a
// commit in the query, as cgit has it, because other parameters may be tokens.
func published(place *url.URL) string {
	address := text.PublicURL(place.String())
	if id := place.Query().Get("id"); commitDigits().MatchString(id) {
		address += "?id=" + id
	}
	return address
}
