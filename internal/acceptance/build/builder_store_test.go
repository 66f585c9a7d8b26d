package build

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// builtAt returns a machine that may build nothing itself, and the arguments of a build on a
// builder.
func builtAt(t *testing.T, b remoteBuilder) (here machineOf, arguments []string) {
	t.Helper()
	here = newMachine(t)
	here.env = []string{"NIX_SSHOPTS=-F " + b.config}
	return here, []string{"build", "--all", "--builders", b.spec(machine())}
}

// doctorSays returns what doctor says of a builder.
func doctorSays(t *testing.T, here machineOf, c catalogue, b remoteBuilder) string {
	t.Helper()
	stdout, stderr, _ := here.run(t, c, "", "doctor", "--builders", b.spec(machine()))
	_, line, found := strings.Cut(stdout, "\nbuilder\t")
	if !found {
		t.Errorf("doctor says nothing of the builder:\n%s%s", stdout, stderr)
	}
	line, _, _ = strings.Cut(line, "\n")
	return line
}

const buildsNothing = "substitute = false\nmax-jobs = 0\n"

// withTool is a component whose program needs a tool to be built, and a library to run.
const withTool = `package = let
      tool = pkgs.runCommand "tool" { } "mkdir -p $out; echo a tool > $out/text";
      library = pkgs.runCommand "library" { } "cat ${tool}/text > $out";
    in pkgs.runCommand "web" { } "mkdir -p $out/bin; cat ${tool}/text > $out/bin/web; echo ${library} >> $out/bin/web";`

// What a builder alone can build stays there. The closures of the images come back, and nothing
// that only builds need, such as a compiler. This machine may have another Nix.
func TestBuildersKeepWhatNoImageContains(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, app("one", withTool))
	c.flags = []string{"--package-set", "host"}
	_, want := buildAlone(t, c)
	for _, release := range []string{"", "forky"} {
		if err := os.RemoveAll(c.dist()); err != nil {
			t.Fatal(err)
		}
		b := newRemoteBuilder(t, machine(), "")
		here, arguments := builtAt(t, b)
		if release != "" {
			here.env = append(here.env, "PATH="+testkit.DebianNix(t, release)+":"+os.Getenv("PATH"))
		}
		stdout, stderr, code := here.run(t, c, buildsNothing, arguments...)
		if got := referencesOf(stdout); code != 0 || !slices.Equal(got, want) || strings.Contains(stderr, "warning: ") {
			t.Errorf("nix of %q: exit code %d, %q, want %q\n%s", release, code, got, want, stderr)
		}
		for path, needed := range map[string]bool{"one-web-root": true, "web": true, "library": true, "tool": false} {
			if !slices.Contains(b.paths(t), path) || slices.Contains(here.paths(t), path) != needed {
				t.Errorf("nix of %q: %s: the builder has %q, this machine %q", release, path, b.paths(t), here.paths(t))
			}
		}
		if said, want := doctorSays(t, here, c, b), "ok\tssh://root@builder.example builds for "+machine()+"\t"; said != want {
			t.Errorf("nix of %q: doctor says %q, want %q", release, said, want)
		}
	}
}

// A failed build is reported as if this machine had built, and the others go on there. This machine
// fetches sources, and one that it cannot fetch fails too.
func TestFailuresInTheStoreOfABuilderAreExplained(t *testing.T) {
	t.Parallel()
	nothing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(nothing.Close)
	c := newCatalogue(t, apps(app("one", withTool),
		app("fetches", `package = pkgs.runCommand "fetches" { src = derivation { name = "source"; system = "builtin"; builder = "builtin:fetchurl"; url = "`+nothing.URL+`/"; outputHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; }; } "cat $src > $out";`),
		app("broken", `package = pkgs.runCommand "broken" { } "echo this went wrong >&2; exit 1";`),
		app("wrong", `package = pkgs.runCommand "wrong" { outputHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; outputHashMode = "recursive"; } "mkdir $out; echo x > $out/x";`),
		app("needs", `package = let part = pkgs.runCommand "part" { } "echo no part >&2; exit 1"; in pkgs.runCommand "needs" { } "cat ${part} > $out";`)))
	c.flags = []string{"--package-set", "host"}
	explained := func(m machineOf, config string, arguments ...string) (built []string, failed string) {
		t.Helper()
		if err := os.RemoveAll(c.dist()); err != nil {
			t.Fatal(err)
		}
		stdout, stderr, code := m.run(t, c, config, arguments...)
		_, failed, found := strings.Cut(stderr, "\nfailed: ")
		if code != 3 || !found {
			t.Fatalf("exit code %d\n%s", code, stderr)
		}
		return referencesOf(stdout), regexp.MustCompile(`, [0-9.]+m?s\n|`+m.cache).ReplaceAllString(failed, "")
	}
	alone := newMachine(t)
	built, failed := explained(alone, "substitute = false", "build", "--all")
	b := newRemoteBuilder(t, machine(), "")
	here, arguments := builtAt(t, b)
	builtThere, failedThere := explained(here, buildsNothing, arguments...)
	if len(built) == 0 || !slices.Equal(builtThere, built) || failedThere != failed || !strings.Contains(failed, "this went wrong") {
		t.Errorf("%q, and\n%s\nwant %q, and\n%s", builtThere, failedThere, built, failed)
	}
	if slices.Contains(here.paths(t), "tool") {
		t.Errorf("the tool came back: %q", here.paths(t))
	}
}

// What this machine has and the builder has not is sent, not built again.
func TestBuildersGetWhatTheyWouldBuild(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, app("one", withTool))
	c.flags = []string{"--package-set", "host"}
	b := newRemoteBuilder(t, machine(), "")
	here, arguments := builtAt(t, b)
	if _, stderr, code := here.run(t, c, "substitute = false", "build", "--all"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	here.tool(t, "sh", "-euc", `nix-store --option build-users-group "" --delete --ignore-liveness /nix/store/*-one-web-root /nix/store/*-web`)
	if err := os.RemoveAll(c.dist()); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := here.run(t, c, buildsNothing, arguments...); code != 0 || strings.Contains(stderr, "warning: ") {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	for output, builtThere := range map[string]bool{"tool": false, "library": false, "web": true, "one-web-root": true} {
		info := b.tool(t, "sh", "-c", `nix --extra-experimental-features nix-command path-info --json /nix/store/*-"$1"`, "sh", output)
		if strings.Contains(info, `"ultimate":true`) != builtThere {
			t.Errorf("%s was built there: %t, want %t: %s", output, !builtThere, builtThere, info)
		}
	}
}

// An account that only serves Nix's older protocol builds as Nix does it: all comes back.
func TestBuildersThatOnlyServeBuildAsNixDoes(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, app("one", withTool))
	c.flags = []string{"--package-set", "host"}
	b := newRemoteBuilder(t, machine(), "", "ForceCommand nix-store --serve --write")
	here, arguments := builtAt(t, b)
	_, stderr, code := here.run(t, c, buildsNothing, arguments...)
	if code != 0 || strings.Contains(stderr, "warning: ") || !slices.Contains(here.paths(t), "tool") {
		t.Errorf("exit code %d, %q\n%s", code, here.paths(t), stderr)
	}
	if said, want := doctorSays(t, here, c, b), "note\tssh://root@builder.example builds for "+machine()+
		", and Nix copies each output back, since nix-daemon does not answer: "; !strings.HasPrefix(said, want) || !strings.HasSuffix(said, "\tlet its account run nix-daemon --stdio") {
		t.Errorf("doctor says %q, want %q", said, want)
	}
}
