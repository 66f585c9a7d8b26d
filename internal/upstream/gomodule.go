package upstream

import (
	"context"
	"errors"
	"fmt"
	goversion "go/version"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// goModule is a Go module. Its versions are its tags.
type goModule struct {
	client  *Client
	path    string
	origins []goOrigin
	proxies []goProxy

	mu         sync.Mutex
	versions   []string // of the path's major version; nil: not read yet
	retracted  []*modfile.Retract
	retractsOf string // version whose go.mod has the retractions; "": not read yet
}

func (c *Client) openModule(path string) (*goModule, error) {
	if err := module.CheckPath(path); err != nil {
		return nil, fmt.Errorf("goModule source: %w", err)
	}
	origins, proxies, err := c.origins(path)
	if err != nil {
		return nil, err
	}
	return &goModule{client: c, path: path, origins: origins, proxies: proxies}, nil
}

func (m *goModule) Tags(ctx context.Context) (Tags, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	versions, err := m.list(ctx)
	if err != nil {
		return Tags{}, err
	}
	found := Tags{All: make([]Tag, len(versions))}
	for i, version := range versions {
		found.All[i].Name = version
	}
	return found, nil
}

// list reads the versions once. It drops other major versions, because they are other modules
// with other paths.
func (m *goModule) list(ctx context.Context) ([]string, error) {
	if m.versions != nil {
		return m.versions, nil
	}
	listed, err := ask(m.origins, m.proxies, func(o goOrigin) ([]string, error) { return o.list(ctx) })
	if err != nil {
		return nil, explain("listing the versions of "+m.path, err)
	}
	_, major, _ := module.SplitPathVersion(m.path)
	versions := []string{}
	for _, version := range listed {
		if len(version) <= mostNameBytes && semver.IsValid(version) && module.CheckPathMajor(version, major) == nil {
			versions = append(versions, version)
		}
	}
	semver.Sort(versions)
	m.versions = versions
	return versions, nil
}

func (m *goModule) Release(ctx context.Context, version string) (*Release, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	date, err := ask(m.origins, m.proxies, func(o goOrigin) (time.Time, error) { return o.date(ctx, version) })
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("asking when "+m.path+" "+version+" was released", err)
	}
	reason, err := m.retraction(ctx, version)
	if err != nil {
		return nil, err
	}
	needs, err := m.needs(ctx, version)
	if err != nil {
		return nil, err
	}
	return &Release{
		Tag:        version,
		Date:       date,
		Prerelease: semver.Prerelease(version) != "",
		Page:       m.Links("", version).Release,
		Reason:     reason,
		Needs:      needs,
	}, nil
}

// retraction returns why a version was retracted, or "" if it was not.
func (m *goModule) retraction(ctx context.Context, version string) (string, error) {
	if err := m.readRetractions(ctx); err != nil {
		return "", err
	}
	for _, r := range m.retracted {
		if semver.Compare(r.Low, version) <= 0 && semver.Compare(version, r.High) <= 0 {
			if r.Rationale == "" {
				return "retracted", nil
			}
			return "retracted: " + capped(r.Rationale, 200), nil
		}
	}
	return "", nil
}

// needs returns the toolchain that a version needs, if this machine's is older.
func (m *goModule) needs(ctx context.Context, version string) (string, error) {
	file, err := m.modOf(ctx, version)
	if err != nil {
		return "", err
	}
	if have := m.client.goVersion; have != "" && file.Go != nil && goversion.Compare("go"+file.Go.Version, "go"+have) > 0 {
		return "needs go " + file.Go.Version + ", this machine has " + have, nil
	}
	return "", nil
}

// readRetractions reads the retractions in the module's newest version, which is the highest
// release or, without releases, the highest prerelease, even if it is retracted itself.
// https://go.dev/ref/mod#go-mod-file-retract
func (m *goModule) readRetractions(ctx context.Context) error {
	if m.retractsOf != "" {
		return nil
	}
	versions, err := m.list(ctx)
	if err != nil {
		return err
	}
	newest := ""
	for _, version := range slices.Backward(versions) {
		if semver.Prerelease(version) == "" && !strings.HasSuffix(version, "+incompatible") {
			newest = version
			break
		}
	}
	if newest == "" && len(versions) > 0 {
		newest = versions[len(versions)-1]
	}
	if newest == "" {
		newest, err = ask(m.origins, m.proxies, func(o goOrigin) (string, error) { return o.latest(ctx) })
		if err != nil {
			return explain("asking for the latest version of "+m.path, err)
		}
	}
	file, err := m.modOf(ctx, newest)
	if err != nil {
		return err
	}
	m.retracted, m.retractsOf = file.Retract, newest
	return nil
}

// modOf reads a version's go.mod leniently, as go does for a dependency.
func (m *goModule) modOf(ctx context.Context, version string) (*modfile.File, error) {
	content, err := ask(m.origins, m.proxies, func(o goOrigin) ([]byte, error) { return o.mod(ctx, version) })
	if err != nil {
		return nil, explain("reading go.mod of "+m.path+" "+version, err)
	}
	file, err := modfile.ParseLax(m.path+"@"+version+"/go.mod", content, nil)
	if err != nil {
		return nil, fmt.Errorf("reading go.mod: %w", err)
	}
	return file, nil
}

// Links returns links to the public documentation, if the module is public.
func (m *goModule) Links(_, to string) Links {
	if module.MatchPrefixPatterns(m.client.modules.noProxies, m.path) {
		return Links{}
	}
	return Links{Release: "https://pkg.go.dev/" + m.path + "@" + escaped(to)}
}
