package newapp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/upstream"
)

// place is where a source is: a repository, a Go module, or a folder of the catalogue.
type place struct {
	source upstream.Source // its kind is path for a folder
	tag    string          // to use; "" for the newest release
	folder string          // of the catalogue, absolute
	inNix  string          // … as the definition writes it: ./src
}

// release matches what addresses of pages have after that of the repository.
var release = lazyregexp.New(`\A(/.+?/[^/]+?)(?:/-)?/(?:tree|releases/tag|releases|src/tag|tags)/(.+)\z`)

// placeOf reads what --from has: the address of a repository or of a page about one of its
// tags, or a folder.
func (m *Maker) placeOf(ctx context.Context, from, name string) (place, error) {
	if info, err := os.Stat(from); err == nil && info.IsDir() {
		return m.placeOfFolder(ctx, from, name)
	}
	address, err := url.Parse(from)
	isWeb := err == nil && (address.Scheme == "https" || address.Scheme == "http") && address.Host != ""
	if strings.HasPrefix(from, ".") || !isWeb && !strings.ContainsAny(from, ":") {
		return place{}, fmt.Errorf("--from %s: no such folder, and no address like https://github.com/OWNER/REPO", from)
	}
	tag := ""
	if _, secret := address.User.Password(); err == nil && secret {
		return place{}, &fault.Fault{Err: fmt.Errorf("--from %s: the address has a password, which would be in the definition", address.Redacted()), Fix: "write it into ~/.netrc"}
	}
	if isWeb {
		if m := release().FindStringSubmatch(strings.TrimRight(address.Path, "/")); m != nil {
			address.Path, address.RawPath, tag = m[1], "", m[2]
		}
		address.RawQuery, address.Fragment = "", ""
		from = strings.TrimRight(address.String(), "/")
	}
	return place{source: m.repository(from), tag: tag}, nil
}

// repository is the kind of a repository, by its address.
func (m *Maker) repository(address string) upstream.Source {
	hosting, err := upstream.HostingOf(address, "", m.Getenv)
	switch {
	case err == nil && hosting.Kind == "github":
		return upstream.Source{Kind: "github", Location: hosting.String()}
	case err == nil:
		return upstream.Source{Kind: "git", Location: strings.TrimSuffix(hosting.Server.String(), "/") + "/" + hosting.String(), Forge: hosting.Kind}
	}
	return upstream.Source{Kind: "git", Location: address}
}

// placeOfFolder is the remote of a checkout, or a folder of the catalogue.
func (m *Maker) placeOfFolder(ctx context.Context, folder, name string) (place, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return place{}, err
	}
	if inside, err := filepath.Rel(m.Dir, folder); err == nil && filepath.IsLocal(inside) && inside != "." {
		return m.placeInCatalogue(ctx, folder, name)
	}
	remote, err := git.Output(ctx, folder, "remote", "get-url", "origin")
	if remote = strings.TrimSpace(remote); err != nil || remote == "" {
		return place{}, &fault.Fault{
			Err: fmt.Errorf("%s has no git remote origin, from which the catalogue could fetch it", folder),
			Fix: "push it somewhere, or copy it into the catalogue, as apps/" + name + "/src, and name that",
		}
	}
	if filepath.IsAbs(remote) {
		remote = "file://" + remote
	}
	return place{source: m.repository(remote)}, nil
}

// inNix matches paths that Nix reads without quotes.
var inNix = lazyregexp.New(`\A\.\.?(?:/[0-9A-Za-z._+-]+)+\z`)

func (m *Maker) placeInCatalogue(ctx context.Context, folder, name string) (place, error) {
	path, err := filepath.Rel(filepath.Join(m.Dir, "apps", name), folder)
	if err != nil {
		return place{}, err
	}
	if !strings.HasPrefix(path, "..") {
		path = "./" + path
	}
	if !inNix().MatchString(path) {
		return place{}, fmt.Errorf("%s: expected a path of letters, digits and . _ + - only", folder)
	}
	tracked, err := git.Output(ctx, folder, "ls-files", "--", ".")
	if err != nil && !errors.Is(err, git.ErrNoRepository) && !errors.Is(err, git.ErrMissing) {
		return place{}, err
	}
	if err == nil && tracked == "" {
		return place{}, &fault.Fault{Err: fmt.Errorf("git does not track %s", folder), Fix: "git add " + folder}
	}
	return place{source: upstream.Source{Kind: "path"}, folder: folder, inNix: path}, nil
}
