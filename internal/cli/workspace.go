package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/settings"
	"github.com/libresh/libre/internal/upstream"
	"github.com/libresh/libre/internal/web"
)

// workspace is a catalogue on disk with its settings. Slow work, such as opening the
// catalogue or reading logins, is done when a command first needs it.
type workspace struct {
	dir        string // of the catalogue; empty if there is none
	settings   *settings.Settings
	packageSet string
	cacheDir   string
	nix        *nix.Nix
	warn       func(string)
	traffic    web.Traffic // with registries, and of nix

	opening sync.Once
	opened  *nix.Catalogue
	openErr error
}

var errNoCatalogue = errors.New("no catalogue: no flake.nix found; make one with libre init, or name its directory with -C")

// findWorkspace finds the catalogue and reads its settings.
func (e *env) findWorkspace() (*workspace, error) {
	dir, err := findCatalogue(e.directory)
	if err != nil {
		return nil, err
	}
	ws, err := e.newWorkspace(dir)
	if err != nil {
		return nil, err
	}
	if ws.packageSet, err = packageSet(e.packageSet, ws.settings.PackageSet); err != nil {
		return nil, err
	}
	ws.nix = &nix.Nix{
		CacheDir: ws.cacheDir, OutcomeDir: filepath.Join(ws.cacheDir, "evaluations"), LogDir: ws.logDir(),
		AllowLocalInputs: e.localInputs, Compression: ws.settings.Layers.Compression, Fetcher: sync.OnceValues(ws.fetcher),
		Warn: func(warning string) { e.Warnf("nix: %s", warning) },
	}
	if ws.packageSet == nix.HostPackageName {
		// No cache has what this machine's own Go builds: do not wait for one.
		ws.nix.Options = append(ws.nix.Options, "--option", "download-attempts", "1")
	}
	if e.builders != "" {
		// What a builder can fetch itself, this machine does not send.
		ws.nix.Options = append(ws.nix.Options, "--builders", e.builders, "--option", "builders-use-substitutes", "true")
	}
	return ws, nil
}

// registryWorkspace is for commands that need a registry only. Without a catalogue, the
// settings are those of the nearest libre.yaml, and of the environment.
func (e *env) registryWorkspace() (*workspace, error) {
	ws, err := e.workspace()
	if !errors.Is(err, errNoCatalogue) {
		return ws, err
	}
	start, err := filepath.Abs(e.directory)
	if err != nil {
		return nil, err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, settings.File)); err == nil {
			return e.newWorkspace(dir)
		}
		if dir == filepath.Dir(dir) {
			return e.newWorkspace("")
		}
	}
}

// newWorkspace reads the settings of a folder, and makes git and nix trust the authorities
// that they name.
func (e *env) newWorkspace(dir string) (*workspace, error) {
	ws := &workspace{dir: dir, warn: e.warn}
	var err error
	if ws.settings, err = settings.Read(dir, os.Getenv); err != nil {
		return nil, err
	}
	if ws.cacheDir, err = cacheDir(); err != nil {
		return nil, err
	}
	return ws, ws.trustAuthorities()
}

// findCatalogue returns the absolute path of the nearest folder with a flake.nix, from the
// present folder upwards. If start is not empty, it looks only there.
func findCatalogue(start string) (string, error) {
	dir, err := filepath.Abs(start)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "flake.nix")); err == nil {
			return dir, nil
		}
		if start != "" {
			return "", fmt.Errorf("%s: %w", start, errNoCatalogue)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errNoCatalogue
		}
		dir = parent
	}
}

// packageSet is the name of the package set: the flag, else the setting, else nixpkgs.
func packageSet(flag, setting string) (string, error) {
	switch flag {
	case "":
		return cmp.Or(setting, nix.Nixpkgs), nil
	case nix.Nixpkgs, nix.HostPackageName:
		return flag, nil
	}
	return "", usageError{fmt.Errorf("package set %q, expected nixpkgs or host", flag)}
}

// cacheDir returns the folder for files that libre can make again.
func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	dir := filepath.Join(cache, "libre")
	if _, err := os.Lstat(dir); err == nil {
		_ = private.Folder(dir) // keep a link that this user made
	}
	if err := private.CheckTrusted(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", &fault.Fault{Doing: "opening the cache", Err: err, Fix: "remove it, or set XDG_CACHE_HOME to a folder of your own"}
	}
	return dir, nil
}

func (ws *workspace) logDir() string { return filepath.Join(ws.cacheDir, "logs") }

// output returns the folder of the OCI layout: the flag, else dist in the catalogue.
func (ws *workspace) output(flag string) string {
	return cmp.Or(flag, filepath.Join(ws.dir, "dist"))
}

// catalogue opens the catalogue for evaluation, once.
func (ws *workspace) catalogue(ctx context.Context) (*nix.Catalogue, error) {
	ws.opening.Do(func() {
		if ws.openErr = ws.refuseTrackedSecrets(ctx); ws.openErr == nil {
			ws.opened, ws.openErr = ws.nix.OpenCatalogue(ctx, ws.dir, ws.packageSet)
		}
	})
	return ws.opened, ws.openErr
}

func (ws *workspace) evaluate(ctx context.Context, request nix.Request) (*nix.Evaluation, error) {
	catalogue, err := ws.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	return catalogue.Evaluate(ctx, request)
}

// trustAuthorities makes git and nix trust the authorities that ca in libre.yaml names.
// They read a single file, so it has the system's authorities too, unless the environment
// names one.
func (ws *workspace) trustAuthorities() error {
	if ws.settings.CA == nil {
		return nil
	}
	bundle := ws.settings.CA.Bundle()
	file := filepath.Join(ws.cacheDir, fmt.Sprintf("authorities-%x.pem", sha256.Sum256(bundle)))
	if existing, err := private.Read(file); err != nil || !bytes.Equal(existing, bundle) {
		if err := private.Replace(file, bundle); err != nil {
			return err
		}
	}
	process.Trust(file)
	return nil
}

// upstream returns the client for forges, with the user's logins.
func (ws *workspace) upstream() (*upstream.Client, error) {
	limits := upstream.DefaultArchiveLimits
	limits.Bytes = cmp.Or(ws.settings.Limits.Archive, limits.Bytes)
	return upstream.New(upstream.Config{
		CacheDir: filepath.Join(ws.cacheDir, "upstream"), Getenv: os.Getenv, GoVersion: strings.TrimPrefix(runtime.Version(), "go"),
		Nix:         upstream.NixLogins{AccessTokens: nix.UserSetting("access-tokens"), Netrc: cmp.Or(nix.UserSetting("netrc-file"), filepath.Join(cmp.Or(os.Getenv("NIX_CONF_DIR"), "/etc/nix"), "netrc"))},
		Authorities: ws.settings.CA, Deadline: ws.settings.Limits.Answer, Limits: limits,
	})
}

// fetcher fetches for nix what needs a login.
func (ws *workspace) fetcher() (nix.Fetcher, error) {
	client, err := ws.upstream()
	if err != nil {
		return nil, err
	}
	return client, nil
}
