package nix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/libresh/libre/internal/git"
)

// Mirror is a repository of this machine that git reads in place of another: Nix fetches
// sources of kind git while it evaluates, and must not see a login.
type Mirror struct{ URL, Dir string }

// mirrorSettings are variables that let git read mirrors. A longer URL counts before a
// shorter one that it begins with: others are to be read where they are.
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

// overHTTP are URLs that a login with a password or a token is for.
var overHTTP = regexp.MustCompile(`^https?://`)

// needsLogin reports whether an evaluation failed as a repository is private, or may be.
func needsLogin(failure error) bool {
	return errors.Is(failure, errHiddenLogin) || git.IsHidden(failure.Error())
}

// mirrored gives the catalogue with mirrors of the git sources of a request that need a
// login, nil where there is nothing to try; why some apps have none; and what removes
// them. failure is why an evaluation without them failed.
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
		if overHTTP.MatchString(source.Git) && (fetcher.Opens(source.Git) || needsLogin(failure)) {
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
