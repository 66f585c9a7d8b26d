package upstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/web"
)

const (
	reposPerQuery = 50
	fewestPerTry  = 10 // a failed query is not split into smaller ones than this
	tagsPerRepo   = 100
	parallel      = 4
)

// overview is the result of one query for a repository.
type overview struct {
	tags     []Tag // the newest by commit date
	count    int   // of all tags
	current  *Tag  // tag in use; nil if it is gone or unknown
	asked    bool  // the query included the tag in use
	releases []Release
	movedTo  string
}

// whole returns all tags: those of the overview if it has them all, or the kept ones if the
// overview shows nothing new. It misses a tag that was added to an old commit while another was
// deleted, until the next new tag.
func (o *overview) whole(kept []Tag) ([]Tag, bool) {
	if o.count == len(o.tags) {
		return o.tags, true
	}
	commits := make(map[string]string, len(kept))
	for _, tag := range kept {
		commits[tag.Name] = tag.Commit
	}
	if o.count != len(commits) || o.asked && o.current == nil {
		return nil, false
	}
	shown := o.tags
	if o.current != nil {
		shown = append(shown[:len(shown):len(shown)], *o.current)
	}
	for _, tag := range shown {
		if commit, known := commits[tag.Name]; !known || commit != tag.Commit {
			return nil, false
		}
	}
	return kept, true
}

// Prefetch reads many GitHub repositories in few queries. It needs a token; without one it does
// nothing. Afterwards the finders of these sources send requests only if something is new.
// After an error they send their own requests.
func (c *Client) Prefetch(ctx context.Context, sources []Source) error {
	if _, signed := c.tokens.forURL(c.endpoints.graphql); !signed {
		return nil
	}
	wanted := make([]Source, 0, len(sources))
	known := map[string]bool{}
	for _, source := range sources {
		if source.Kind == "github" && githubName().MatchString(source.Location) && !known[source.Location] {
			wanted, known[source.Location] = append(wanted, source), true
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for len(wanted) > 0 {
		n := min(reposPerQuery, len(wanted))
		batch := wanted[:n]
		wanted = wanted[n:]
		group.Go(func() error { return c.prefetch(ctx, batch) })
	}
	if err := group.Wait(); err != nil {
		return explain("asking "+c.endpoints.graphql.Host+" for many repositories at once", err)
	}
	return nil
}

// prefetch reads one batch. GitHub stops a query after ten seconds. prefetch then reads each
// half separately.
func (c *Client) prefetch(ctx context.Context, batch []Source) error {
	err := c.query(ctx, batch)
	var limit *web.LimitError
	if err == nil || ctx.Err() != nil || errors.As(err, &limit) || fault.Is(err, fault.Credentials) || len(batch)/2 < fewestPerTry {
		return err
	}
	if err := c.prefetch(ctx, batch[:len(batch)/2]); err != nil {
		return err
	}
	return c.prefetch(ctx, batch[len(batch)/2:])
}

// The parts of the query. Names and tags are passed as variables.
// https://docs.github.com/en/graphql/reference/objects#repository
const (
	queryFragments = `
fragment object on GitObject { oid ... on Tag { target { oid ... on Tag { target { oid } } } } }
fragment known on Repository {
  url
  refs(refPrefix: "refs/tags/", first: 100, orderBy: {field: TAG_COMMIT_DATE, direction: DESC}) {
    totalCount nodes { name target { ...object } }
  }
  releases(first: 5, orderBy: {field: CREATED_AT, direction: DESC}) {
    nodes { tagName isDraft isPrerelease createdAt publishedAt description url }
  }
}`
	queryRepository = " r%[1]d: repository(owner: $o%[1]d, name: $n%[1]d) { ...known %[2]s }"
	queryCurrent    = "ref(qualifiedName: $t%d) { name target { ...object } }"
)

// gitObject is a commit, or an annotated tag that leads to one.
type gitObject struct {
	OID    string     `json:"oid"`
	Target *gitObject `json:"target"`
}

func (o *gitObject) commit() string {
	for o.Target != nil {
		o = o.Target
	}
	return o.OID
}

type gitRef struct {
	Name   string    `json:"name"`
	Target gitObject `json:"target"`
}

func (r *gitRef) tag() Tag { return Tag{r.Name, r.Target.commit()} }

// queriedRepository is a repository in the query's response.
type queriedRepository struct {
	URL  string `json:"url"`
	Refs struct {
		TotalCount int      `json:"totalCount"`
		Nodes      []gitRef `json:"nodes"`
	} `json:"refs"`
	Ref      *gitRef `json:"ref"`
	Releases struct {
		Nodes []struct {
			TagName      string     `json:"tagName"`
			IsDraft      bool       `json:"isDraft"`
			IsPrerelease bool       `json:"isPrerelease"`
			CreatedAt    time.Time  `json:"createdAt"`
			PublishedAt  *time.Time `json:"publishedAt"`
			Description  string     `json:"description"`
			URL          string     `json:"url"`
		} `json:"nodes"`
	} `json:"releases"`
}

func (c *Client) query(ctx context.Context, batch []Source) error {
	variables := map[string]string{}
	var declared, asked strings.Builder
	for i, source := range batch {
		owner, name, _ := strings.Cut(source.Location, "/")
		variables[fmt.Sprintf("o%d", i)], variables[fmt.Sprintf("n%d", i)] = owner, name
		fmt.Fprintf(&declared, "$o%d: String!, $n%[1]d: String!, ", i)
		current := ""
		if source.Tag != "" {
			variables[fmt.Sprintf("t%d", i)] = tagPrefix + source.Tag
			fmt.Fprintf(&declared, "$t%d: String!, ", i)
			current = fmt.Sprintf(queryCurrent, i)
		}
		fmt.Fprintf(&asked, queryRepository, i, current)
	}
	text := "query(" + strings.TrimSuffix(declared.String(), ", ") + ") {" + asked.String() + " }" + queryFragments
	var data map[string]*queriedRepository
	if err := c.postQuery(ctx, text, variables, &data); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, source := range batch {
		if found := data[fmt.Sprintf("r%d", i)]; found != nil { // otherwise git will return the reason
			c.overviews[source.Location] = c.overviewOf(source, found)
		}
	}
	return nil
}

func (c *Client) overviewOf(source Source, found *queriedRepository) *overview {
	o := &overview{count: found.Refs.TotalCount, asked: source.Tag != ""}
	for _, ref := range found.Refs.Nodes {
		o.tags = append(o.tags, ref.tag())
	}
	if found.Ref != nil {
		current := found.Ref.tag()
		o.current = &current
	}
	for _, r := range found.Releases.Nodes {
		date := r.CreatedAt
		if r.PublishedAt != nil {
			date = *r.PublishedAt
		}
		o.releases = append(o.releases, Release{Tag: r.TagName, Date: date, Draft: r.IsDraft,
			Prerelease: r.IsPrerelease, Notes: r.Description, Page: r.URL})
	}
	if declared := c.endpoints.server.String() + "/" + source.Location; found.URL != "" && !strings.EqualFold(found.URL, declared) {
		o.movedTo = found.URL
	}
	return o
}

// postQuery sends a query. Repositories that the token cannot see are null in the data.
// postQuery returns no error for them.
func (c *Client) postQuery(ctx context.Context, text string, variables map[string]string, data any) error {
	body, err := json.Marshal(map[string]any{"query": text, "variables": variables})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoints.graphql.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", userAgent)
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, mostRefBytes))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return c.refusal(c.endpoints.graphql, response.StatusCode, string(content))
	}
	var answered struct {
		Data   json.RawMessage `json:"data"`
		Errors []struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(content, &answered); err != nil {
		return err
	}
	for _, failure := range answered.Errors {
		if reset, err := strconv.ParseInt(response.Header.Get("X-RateLimit-Reset"), 10, 64); failure.Type == "RATE_LIMITED" && err == nil {
			return &web.LimitError{Host: c.endpoints.graphql.Host, Until: time.Unix(reset, 0)}
		}
		if failure.Type != "NOT_FOUND" && failure.Type != "FORBIDDEN" {
			return errors.New(capped(failure.Message, 200))
		}
	}
	return json.Unmarshal(answered.Data, data)
}

func (c *Client) overview(location string) *overview {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.overviews[location]
}

// keepTags stores a long list of tags, because a query returns only a part of it.
func (c *Client) keepTags(location string, tags []Tag) {
	if c.cacheDir != "" && len(tags) > tagsPerRepo {
		writeJSON(c.tagsFile(location), tags)
	}
}

func (c *Client) keptTags(location string) []Tag {
	var tags []Tag
	if c.cacheDir == "" || !readJSON(c.tagsFile(location), &tags) {
		return nil
	}
	return tags
}

func (c *Client) tagsFile(location string) string {
	return filepath.Join(c.cacheDir, fmt.Sprintf("tags-%x.json", sha256.Sum256([]byte(c.endpoints.server.String()+"/"+location))))
}
