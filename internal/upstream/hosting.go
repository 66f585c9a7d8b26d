package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Hosting is the forge of a repository, and the repository's name there.
type Hosting struct {
	Kind        string   // github, forgejo or gitlab
	Server      *url.URL // of the forge
	Owner, Name string   // a GitLab project's owner may be a subgroup: GROUP/SUBGROUP
}

// String returns OWNER/NAME.
func (h Hosting) String() string { return h.Owner + "/" + h.Name }

// HostingOf reads the address of a git remote. kind is github, forgejo or gitlab. If it is "",
// the variables of CI jobs and a list of well-known forges decide, not the form of the address.
// Errors begin with "is at".
func HostingOf(remote, kind string, getenv func(string) string) (Hosting, error) {
	place, err := parseRemote(remote)
	if err != nil {
		return Hosting{}, err
	}
	known := knownForge(place.Hostname(), getenv)
	folder := strings.TrimSuffix(strings.Trim(place.Path, "/"), ".git")
	h := Hosting{Kind: cmp.Or(kind, known.Kind), Server: known.Server, Owner: path.Dir(folder), Name: path.Base(folder)}
	above := "" // the folder of the server
	if h.Kind != "gitlab" {
		above, h.Owner = strings.TrimSuffix(path.Dir("/"+h.Owner), "/"), path.Base(h.Owner)
	} else if owner, below := strings.CutPrefix("/"+h.Owner, known.folder()+"/"); below {
		above, h.Owner = known.folder(), owner
	}
	switch {
	case place.Scheme == "https" || place.Scheme == "http":
		h.Server = &url.URL{Scheme: place.Scheme, Host: strings.ToLower(place.Host), Path: above}
	case h.Server == nil: // an ssh address has neither the port nor the folder
		h.Server = &url.URL{Scheme: "https", Host: strings.ToLower(place.Hostname())}
	}
	switch {
	case !isForgePath(h.String()):
		return Hosting{}, fmt.Errorf("is at %s, expected an address that ends in OWNER/REPOSITORY", place.Redacted())
	case h.Kind == "":
		return Hosting{}, fmt.Errorf(`is at %s: set "forge: github", "forge: forgejo" or "forge: gitlab" in libre.yaml`, h.Server.Host)
	}
	return h, nil
}

// parseRemote reads the address of a git remote as a URL. It has a host.
func parseRemote(remote string) (*url.URL, error) {
	if place, err := url.Parse(remote); err == nil && place.Host != "" {
		return place, nil
	}
	_, host, folder, ok := scpAddress(remote)
	if !ok {
		return nil, errors.New("is at no forge: pull requests need an https or ssh address on GitHub, Forgejo or GitLab")
	}
	return &url.URL{Scheme: "ssh", Host: host, Path: "/" + strings.TrimPrefix(folder, "/")}, nil
}

// folder returns the server's folder on its host, or "" for the host itself.
func (h Hosting) folder() string {
	if h.Server == nil {
		return ""
	}
	return h.Server.Path
}

// knownForge returns the kind and the server of a host, from the environment or from a list of
// well-known forges. Both are empty for any other host.
func knownForge(host string, getenv func(string) string) Hosting {
	runner := "github"
	if isForgejoRunner(getenv) {
		runner = "forgejo"
	}
	for _, server := range []struct{ url, kind string }{
		{getenv("FORGEJO_SERVER_URL"), "forgejo"}, {getenv("GITEA_SERVER_URL"), "forgejo"},
		{getenv("GITHUB_SERVER_URL"), runner}, {gitlabServer(getenv), "gitlab"},
		{"https://codeberg.org", "forgejo"}, {"https://gitlab.com", "gitlab"},
	} {
		if place, err := parseServerURL(server.url); err == nil && strings.EqualFold(place.Hostname(), host) {
			return Hosting{Kind: server.kind, Server: place}
		}
	}
	if isGitHubCloud(strings.ToLower(host)) {
		return Hosting{Kind: "github"}
	}
	return Hosting{}
}

// isForgePath reports whether all parts of a path are valid names of owners and repositories.
func isForgePath(folder string) bool {
	for name := range strings.SplitSeq(folder, "/") {
		if !forgeName().MatchString(name) || name == "." || name == ".." {
			return false
		}
	}
	return true
}

// forgeName matches a valid name of an owner or a repository.
var forgeName = lazyregexp.New(`^[0-9A-Za-z._-]+$`)

// scpLike matches git's short form of an address for ssh: [USER@]HOST:PATH.
// https://git-scm.com/docs/git-clone#_git_urls
var scpLike = lazyregexp.New(`^(?:([0-9A-Za-z._~-]+)@)?([0-9A-Za-z][0-9A-Za-z.-]*):([^:].*)$`)

// scpAddress reads an address in git's short form. user may be "".
func scpAddress(location string) (user, host, folder string, ok bool) {
	parts := scpLike().FindStringSubmatch(location)
	if parts == nil || strings.Contains(location, "://") {
		return "", "", "", false
	}
	return parts[1], parts[2], parts[3], true
}
