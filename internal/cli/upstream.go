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
func (ws *workspace) upstream() (*upstream.Client, error) {
	limits := upstream.DefaultArchiveLimits
	limits.Bytes = cmp.Or(ws.config.Limits.Archive, limits.Bytes)
	return upstream.New(upstream.Config{
		CacheDir: filepath.Join(ws.cacheDir, "upstream"), Getenv: os.Getenv, GoVersion: strings.TrimPrefix(runtime.Version(), "go"),
		Nix:         upstream.NixLogins{AccessTokens: nix.UserSetting("access-tokens"), Netrc: cmp.Or(nix.UserSetting("netrc-file"), filepath.Join(cmp.Or(os.Getenv("NIX_CONF_DIR"), "/etc/nix"), "netrc"))},
		Authorities: ws.config.CA, Deadline: ws.config.Limits.Answer, Limits: limits,
	})
}

// fetcher is what Nix has fetched for it.
func (ws *workspace) fetcher() (nix.Fetcher, error) {
	client, err := ws.upstream()
	if err != nil {
		return nil, err
	}
	return client, nil
}
