package cli

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/upstream"
)

// upstream is what asks forges, with the logins that the user has for them.
func (p *place) upstream() (*upstream.Client, error) {
	limits := upstream.DefaultArchiveLimits
	limits.Bytes = cmp.Or(p.config.Limits.Archive, limits.Bytes)
	return upstream.New(upstream.Config{
		CacheDir: filepath.Join(p.cacheDir, "upstream"), Getenv: os.Getenv, GoVersion: strings.TrimPrefix(runtime.Version(), "go"),
		Nix:         upstream.NixLogins{AccessTokens: nix.UserSetting("access-tokens"), Netrc: cmp.Or(nix.UserSetting("netrc-file"), filepath.Join(cmp.Or(os.Getenv("NIX_CONF_DIR"), "/etc/nix"), "netrc"))},
		Authorities: p.config.CA, Deadline: p.config.Limits.Answer, Limits: limits,
	})
}

// fetcher is what Nix has fetched for it.
func (p *place) fetcher() (nix.Fetcher, error) {
	client, err := p.upstream()
	if err != nil {
		return nil, err
	}
	return client, nil
}
