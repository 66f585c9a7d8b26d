package cli

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	inmemory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/ui"
	nixcode "github.com/libresh/libre/nix"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"libre": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			os.Exit(Main(ctx, os.Args[1:], ui.Detect(os.Stdout, os.Stderr, os.Getenv)))
		},
	})
}

// TestScripts runs libre as users call it. Each script begins in a directory
// whose catalogue/ has the template's flake and lock, and git.
func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("nix"); err != nil && os.Getenv("LIBRE_TEST_ALL") == "" {
		t.Skip("nix is not installed")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_GOLDEN") != "",
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"guarded": guarded, "programs": programs, "registry": startRegistry},
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_CACHE_HOME", cache) // where the host package set is remembered
			env.Setenv("ROOT", root)
			env.Setenv("NO_COLOR", "1")
			for _, name := range []string{"GOPROXY", "GOROOT", "SSL_CERT_FILE", "GOFLAGS"} {
				env.Setenv(name, os.Getenv(name))
			}
			for _, name := range []string{"flake.nix", "flake.lock"} {
				content, err := fs.ReadFile(nixcode.Template(), name)
				if err != nil {
					return err
				}
				if err := os.MkdirAll(filepath.Join(env.WorkDir, "catalogue"), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(env.WorkDir, "catalogue", name), content, 0o644); err != nil {
					return err
				}
			}
			return exec.Command("git", "-C", filepath.Join(env.WorkDir, "catalogue"), "init", "--quiet").Run()
		},
	})
}

// programs puts libre's own programs into PATH, as an installed libre has them beside it.
func programs(script *testscript.TestScript, _ bool, _ []string) {
	dir, err := testkit.Programs()
	script.Check(err)
	script.Setenv("PATH", dir+string(os.PathListSeparator)+script.Getenv("PATH"))
}

// startRegistry starts an empty registry on the loopback address, and sets REGISTRY to its
// address.
func startRegistry(script *testscript.TestScript, _ bool, _ []string) {
	server := httptest.NewServer(inmemory.New(inmemory.Logger(log.New(io.Discard, "", 0)), inmemory.WithReferrersSupport(true)))
	script.Defer(func() { server.CloseClientConnections(); server.Close() })
	script.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "http://"))
}
