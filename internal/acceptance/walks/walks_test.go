// Package walks follows libre's documentation as users do, each walk from an empty folder: the
// built program, real Nix, git and registries, with a test forge over HTTP and the real Go
// module proxy.
package walks

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/libresh/libre/internal/testkit"
	"github.com/libresh/libre/internal/upstream/forgetest"
)

var libre testkit.Libre

func TestMain(m *testing.M) { os.Exit(libre.Run(m)) }

func TestWalks(t *testing.T) {
	testkit.Require(t, "nix", "git", "patch", "go", "skopeo")
	forge := forgetest.GitHub(t)
	upstream := &upstreams{forge: forge, made: map[string]*forgetest.Repo{}}
	registry := testkit.DockerRegistry(t, t.TempDir())
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       os.Getenv("UPDATE_GOLDEN") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"commit": upstream.commit, "release": upstream.release,
			"front": func(script *testscript.TestScript, _ bool, _ []string) { startFront(script, registry) },
			"fault": setFault, "held": waitHeld, "disk": disk,
		},
		Setup: func(env *testscript.Env) error {
			for _, kv := range libre.Command("").Env {
				if name, value, _ := strings.Cut(kv, "="); name != "HOME" && name != "PWD" && name != "TMPDIR" {
					env.Setenv(name, value)
				}
			}
			for name, value := range forge.Environment() {
				env.Setenv(name, value)
			}
			home := filepath.Join(env.WorkDir, "home")
			for name, value := range map[string]string{
				"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, "config"), "DOCKER_CONFIG": filepath.Join(home, "docker"),
				"PATH":  filepath.Dir(libre.Program()) + string(os.PathListSeparator) + os.Getenv("PATH"),
				"FORGE": forge.URL, "REGISTRY": registry, "NO_COLOR": "1", "COSIGN_PASSWORD": "walk",
				"SYSTEM": map[string]string{"amd64": "x86_64-linux", "arm64": "aarch64-linux"}[runtime.GOARCH],
			} {
				env.Setenv(name, value)
			}
			return os.MkdirAll(home, 0o755)
		},
	})
}

// upstreams are the repositories of a forge to which walks commit.
type upstreams struct {
	forge *forgetest.Forge

	mu   sync.Mutex
	made map[string]*forgetest.Repo
}

// repository returns the repository with a name. It makes it at the first use.
func (u *upstreams) repository(name string) *forgetest.Repo {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.made[name] == nil {
		u.made[name] = u.forge.AddRepo(name)
	}
	return u.made[name]
}

// commit: "commit OWNER/REPO FOLDER" commits the files of a folder to a repository of the
// forge, and sets COMMIT.
func (u *upstreams) commit(script *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		script.Fatalf("usage: commit OWNER/REPO FOLDER")
	}
	script.Setenv("COMMIT", u.repository(args[0]).Commit(readFolder(script, args[1])))
}

// release: "release OWNER/REPO FOLDER VERSION" also adds a tag and a release.
func (u *upstreams) release(script *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		script.Fatalf("usage: release OWNER/REPO FOLDER VERSION")
	}
	u.commit(script, false, args[:2])
	repo := u.repository(args[0])
	repo.Tag("v"+args[2], script.Getenv("COMMIT"))
	repo.AddRelease(forgetest.Release{Tag: "v" + args[2], Name: args[2], Notes: "Version " + args[2] + ".", Date: time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)})
}

func readFolder(script *testscript.TestScript, folder string) map[string]string {
	root, files := script.MkAbs(folder), map[string]string{}
	script.Check(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		files[name] = string(content)
		return err
	}))
	return files
}
