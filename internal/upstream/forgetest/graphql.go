package forgetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// graphql answers queries for repositories, their tags and releases. It requires a token.
// https://docs.github.com/en/graphql/guides/forming-calls-with-graphql
func (f *Forge) graphql(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.count(w) {
		return
	}
	mayPush, known := f.tokens[tokenOf(r)]
	if !known {
		f.refuse(w, http.StatusUnauthorized, "This endpoint requires you to be authenticated.")
		return
	}
	var asked struct {
		Query     string
		Variables map[string]string
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		f.refuse(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	answer := map[string]any{}
	var failures []any
	q, err := parseQuery(asked.Query)
	if err == nil {
		for _, name := range q.variables {
			if _, given := asked.Variables[name]; !given {
				err = fmt.Errorf("Variable $%s of type String! was provided invalid value", name)
			}
		}
	}
	if err == nil {
		root := &node{"Query", map[string]func(map[string]any) (any, error){"repository": func(arguments map[string]any) (any, error) {
			name := fmt.Sprintf("%v/%v", arguments["owner"], arguments["name"])
			repo := f.repos[strings.ToLower(name)]
			if renamed := f.renamed[strings.ToLower(name)]; repo == nil && renamed != "" {
				repo = f.repos[renamed]
			}
			if repo == nil {
				failures = append(failures, map[string]any{"type": "NOT_FOUND",
					"message": "Could not resolve to a Repository with the name '" + name + "'."})
				return nil, nil
			}
			return f.repository(visit{repo: repo, mayPush: mayPush}), nil
		}}}
		answer["data"], err = q.evaluate(root, q.selections, asked.Variables)
	}
	if err != nil {
		answer = map[string]any{}
		failures = []any{map[string]any{"message": err.Error()}}
	}
	if failures != nil {
		answer["errors"] = failures
	}
	f.send(w, r, http.StatusOK, answer)
}

func (f *Forge) repository(v visit) *node {
	return &node{"Repository", map[string]func(map[string]any) (any, error){
		"nameWithOwner": always(v.repo.name),
		"url":           always(f.page(v.repo, "")),
		"isPrivate":     always(v.repo.private),
		"refs": func(arguments map[string]any) (any, error) {
			if arguments["refPrefix"] != "refs/tags/" {
				return nil, errors.New("only refs/tags/ is supported")
			}
			refs := v.repo.refs()
			total := len(refs)
			if err := checkOrder(arguments, "TAG_COMMIT_DATE"); err != nil {
				return nil, err
			}
			slices.SortStableFunc(refs, func(a, b ref) int { return b.date.Compare(a.date) })
			refs, err := first(refs, arguments)
			var nodes []*node
			for _, tag := range refs {
				nodes = append(nodes, tag.node())
			}
			return connection("RefConnection", total, nodes), err
		},
		"ref": func(arguments map[string]any) (any, error) {
			for _, tag := range v.repo.refs() {
				if "refs/tags/"+tag.name == arguments["qualifiedName"] {
					return tag.node(), nil
				}
			}
			return nil, nil
		},
		"releases": func(arguments map[string]any) (any, error) {
			if err := checkOrder(arguments, "CREATED_AT"); err != nil {
				return nil, err
			}
			releases, err := first(v.visible(), arguments)
			var nodes []*node
			for _, release := range releases {
				nodes = append(nodes, f.releaseNode(v.repo, release))
			}
			return connection("ReleaseConnection", len(v.visible()), nodes), err
		},
	}}
}

func (r ref) node() *node {
	commit := &node{"Commit", map[string]func(map[string]any) (any, error){"oid": always(r.commit)}}
	target := commit
	if r.object != r.commit {
		target = &node{"Tag", map[string]func(map[string]any) (any, error){"oid": always(r.object), "target": always(commit)}}
	}
	return &node{"Ref", map[string]func(map[string]any) (any, error){"name": always(r.name), "target": always(target)}}
}

func (f *Forge) releaseNode(r *Repo, release Release) *node {
	date := release.Date.Format(time.RFC3339)
	published := any(date)
	if release.Draft {
		published = nil
	}
	return &node{"Release", map[string]func(map[string]any) (any, error){
		"tagName": always(release.Tag), "name": always(release.Name), "description": always(release.Notes),
		"isDraft": always(release.Draft), "isPrerelease": always(release.Prerelease),
		"createdAt": always(date), "publishedAt": always(published),
		"url": always(f.release(r, release)["html_url"]),
	}}
}

func connection(kind string, total int, nodes []*node) *node {
	return &node{kind, map[string]func(map[string]any) (any, error){"totalCount": always(total), "nodes": always(nodes)}}
}

// first returns the first elements of a list: as many as the argument first says, and at
// most 100.
func first[T any](all []T, arguments map[string]any) ([]T, error) {
	n, given := arguments["first"].(int)
	if !given || n < 1 || n > 100 {
		return nil, errors.New("first must be between 1 and 100")
	}
	return all[:min(n, len(all))], nil
}

// checkOrder returns an error for every order except the supported one.
func checkOrder(arguments map[string]any, field string) error {
	order, _ := arguments["orderBy"].(map[string]any)
	if order["field"] != field || order["direction"] != "DESC" {
		return fmt.Errorf("only the order by %s DESC is supported", field)
	}
	return nil
}
