package nix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/lazyregexp"
)

// Mirror is a local repository that git reads instead of a remote one: Nix fetches sources
// of kind git during the evaluation, and must not see the login.
type Mirror struct{ URL, Dir string }

// mirrorSettings returns variables that make git use mirrors. Git prefers the longest
// matching URL, so a mirror that maps a URL to itself excludes it from a shorter one.
func mirrorSettings(mirrors ...Mirror) []string {
	if len(mirrors) == 0 {
		return nil
	}
	var settings []git.Setting
	for _, mirror := range mirrors {
		settings = append(settings, git.Setting{Key: "url." + mirror.Dir + ".insteadOf", Value: mirror.URL})
	}
	return git.Settings(settings...)
}

// overHTTP matches URLs for a login with a password or token.
var overHTTP = lazyregexp.New(`^https?://`)

// needsLogin reports whether an evaluation failed because a repository is private, or may be.
func needsLogin(failure error) bool {
	return errors.Is(failure, errHiddenLogin) || git.IsHidden(failure.Error())
}

// mirrored returns the catalogue with mirrors of the requested git sources that need a
// login, nil if there are none; by app, why a mirror failed; and a function that removes
// them. failure is the error of an evaluation without mirrors.
func (c *Catalogue) mirrored(ctx context.Context, request Request, failure error) (with *Catalogue, failed map[string]error, done func(), err error) {
	done = func() {}
	fetcher, err := c.nix.fetcher()
	if fetcher == nil || request.metadata() || c.flake.Mirrors != nil {
		return nil, nil, done, err
	}
	named, err := c.evaluate(ctx, Request{Patterns: request.Patterns})
	if err != nil {
		return nil, nil, done, ctx.Err() // the failure says more
	}
	commits, others := map[string][]string{}, map[string]bool{}
	for _, app := range named.Apps {
		source := app.Source
		if source == nil || source.Git == "" {
			continue
		}
		if overHTTP().MatchString(source.Git) && (fetcher.HasLogin(source.Git) || needsLogin(failure)) {
			commits[source.Git] = append(commits[source.Git], source.Rev)
		} else {
			others[source.Git] = true
		}
	}
	if len(commits) == 0 {
		return nil, nil, done, nil
	}
	dir, err := os.MkdirTemp("", "libre-mirror-")
	if err != nil {
		return nil, nil, done, err
	}
	done = func() { os.RemoveAll(dir) }
	copied := *c
	copied.flake.Mirrors = []Mirror{}
	why := map[string]error{}
	for url, wanted := range commits {
		mirror := Mirror{URL: url, Dir: filepath.Join(dir, strconv.Itoa(len(copied.flake.Mirrors)))}
		if err := errors.Join(os.Mkdir(mirror.Dir, 0o700), fetcher.Mirror(ctx, url, wanted, mirror.Dir)); err != nil {
			why[url] = err
			mirror.Dir = url
		}
		copied.flake.Mirrors = append(copied.flake.Mirrors, mirror)
	}
	for url := range others {
		copied.flake.Mirrors = append(copied.flake.Mirrors, Mirror{URL: url, Dir: url})
	}
	failed = map[string]error{}
	for name, app := range named.Apps {
		if source := app.Source; source != nil && why[source.Git] != nil {
			failed[name] = fmt.Errorf("apps/%s: %w", name, why[source.Git])
		}
	}
	return &copied, failed, done, ctx.Err()
}
