package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// Hosting is the forge that has a repository, and its name there.
type Hosting struct {
	Kind        string   // github or forgejo
	Server      *url.URL // of the forge
	Owner, Name string
}

// String is OWNER/NAME.
func (h Hosting) String() string { return h.Owner + "/" + h.Name }

// HostingOf reads the address of a git remote. kind is github or forgejo; if it is "", the
// variables of CI jobs and the list of well-known forges decide, not the shape of the
// address. Errors begin with "is at".
func HostingOf(remote, kind string, getenv func(string) string) (Hosting, error) {
	place, err := url.Parse(remote)
	if err != nil || place.Host == "" {
		_, host, folder, ok := scpAddress(remote)
		if !ok {
			return Hosting{}, errors.New("is at no forge: pull requests need an https or ssh address on GitHub or Forgejo")
		}
		place = &url.URL{Scheme: "ssh", Host: host, Path: "/" + strings.TrimPrefix(folder, "/")}
	}
	folder := strings.TrimSuffix(strings.Trim(place.Path, "/"), ".git")
	h := Hosting{Kind: kind, Name: path.Base(folder), Owner: path.Base(path.Dir(folder))}
	if !forgeName.MatchString(h.Name) || !forgeName.MatchString(h.Owner) || h.Owner == "." || h.Name == ".." {
		return Hosting{}, fmt.Errorf("is at %s, expected an address that ends in OWNER/REPOSITORY", place.Redacted())
	}
	isHTTP := place.Scheme == "https" || place.Scheme == "http"
	if h.Server = (&url.URL{Scheme: "https", Host: strings.ToLower(place.Hostname())}); isHTTP {
		above := strings.TrimSuffix(path.Dir(path.Dir("/"+folder)), "/")
		h.Server = &url.URL{Scheme: place.Scheme, Host: strings.ToLower(place.Host), Path: above}
	}
	for _, known := range knownForges(getenv) {
		if !strings.EqualFold(known.Server.Hostname(), h.Server.Hostname()) {
			continue
		}
		if !isHTTP { // an ssh address has neither the port nor the folder
			h.Server = known.Server
		}
		h.Kind = cmp.Or(h.Kind, known.Kind)
	}
	if h.Kind == "" && isGitHubCloud(h.Server.Host) {
		h.Kind = "github"
	}
	if h.Kind == "" {
		return Hosting{}, fmt.Errorf(`is at %s: set "forge: github" or "forge: forgejo" in libre.yaml`, h.Server.Host)
	}
	return h, nil
}

// knownForges are the servers whose kind the environment gives, and the well-known ones.
// Earlier ones take precedence.
func knownForges(getenv func(string) string) []Hosting {
	runner := "github"
	if isForgejoRunner(getenv) {
		runner = "forgejo"
	}
	var all []Hosting
	for _, server := range []struct{ url, kind string }{
		{getenv("FORGEJO_SERVER_URL"), "forgejo"}, {getenv("GITEA_SERVER_URL"), "forgejo"},
		{getenv("GITHUB_SERVER_URL"), runner}, {"https://codeberg.org", "forgejo"},
	} {
		if place, err := parseServerURL(server.url); err == nil {
			all = append(all, Hosting{Kind: server.kind, Server: place})
		}
	}
	return all
}

// forgeName is a valid name of an owner or a repository.
var forgeName = regexp.MustCompile(`^[0-9A-Za-z._-]+$`)

// scpLike is git's short form of an address for ssh: [USER@]HOST:PATH.
// https://git-scm.com/docs/git-clone#_git_urls
var scpLike = regexp.MustCompile(`^(?:([0-9A-Za-z._~-]+)@)?([0-9A-Za-z][0-9A-Za-z.-]*):([^:].*)$`)

// scpAddress reads an address in git's short form. user may be "".
func scpAddress(location string) (user, host, folder string, ok bool) {
	parts := scpLike.FindStringSubmatch(location)
	if parts == nil || strings.Contains(location, "://") {
		return "", "", "", false
	}
	return parts[1], parts[2], parts[3], true
}
