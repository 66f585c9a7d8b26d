package build

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// remoteBuilder is a second machine: its own /nix, behind an sshd on the loopback interface.
type remoteBuilder struct {
	machineOf
	user   string // user that this machine logs in as
	port   string
	config string // of ssh on this machine
}

// newRemoteBuilder starts a machine that builds for a system. sshd has more settings of sshd.
func newRemoteBuilder(t testing.TB, system, settings string, sshd ...string) remoteBuilder {
	t.Helper()
	testkit.Require(t, "sshd", "ssh", "ssh-keygen")
	b := remoteBuilder{machineOf: newMachine(t), user: "root", config: filepath.Join(libre.TempDir(t), "ssh_config")}
	dir := filepath.Dir(b.config)
	for _, key := range []string{"host", "user"} {
		libre.Tool(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key))
	}
	_, b.port, _ = net.SplitHostPort(testkit.FreeAddress(t))
	if err := os.Mkdir(filepath.Join(dir, "nix"), 0o755); err != nil {
		t.Fatal(err)
	}
	sandbox := "build-users-group =\nsubstitute = false\n"
	writeFile(t, filepath.Join(dir, "nix", "nix.conf"), sandbox+"system = "+system+"\n"+settings)
	writeFile(t, filepath.Join(dir, "sshd_config"), strings.NewReplacer("DIR", dir, "PORT", b.port).Replace(`Port PORT
ListenAddress 127.0.0.1
HostKey DIR/host
AuthorizedKeysFile DIR/user.pub
PidFile none
AllowUsers root
KbdInteractiveAuthentication no
PasswordAuthentication no
UsePAM no
StrictModes no
SetEnv NIX_USER_CONF_FILES=DIR/nix/nix.conf
`)+strings.Join(sshd, "\n"))
	writeFile(t, filepath.Join(dir, "known"), b.known(t))
	writeFile(t, b.config, strings.NewReplacer("DIR", dir, "PORT", b.port).Replace(`Host builder.example
HostName 127.0.0.1
Port PORT
IdentityFile DIR/user
IdentitiesOnly yes
UserKnownHostsFile DIR/known
GlobalKnownHostsFile none
StrictHostKeyChecking yes
`))
	server, err := exec.LookPath("sshd")
	if err != nil {
		t.Fatal(err)
	}
	// sshd needs /run/sshd, and the programs that it starts use the builder's /nix.
	process, err := testkit.Start(exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-euc",
		`mount --bind "$1" /nix; mount -t tmpfs tmpfs /run; mkdir /run/sshd; shift; exec "$@"`, "sh", b.store, server, "-D", "-e", "-f", filepath.Join(dir, "sshd_config")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { process.Cmd.Process.Kill(); <-process.Exited })
	err = testkit.Eventually(func() error {
		connection, err := net.Dial("tcp", "127.0.0.1:"+b.port)
		if err != nil {
			if ended := process.Running(); ended != nil {
				return ended
			}
			return err
		}
		return connection.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// known returns the line of known_hosts with the builder's key.
func (b remoteBuilder) known(t testing.TB) string {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(filepath.Dir(b.config), "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("[127.0.0.1]:%s %s", b.port, key)
}

// spec returns the builder's line for --builders.
func (b remoteBuilder) spec(system string) string {
	return "ssh://root@builder.example " + system
}

// buildAlone builds a catalogue on a machine without builders, and returns the machine and the
// images.
func buildAlone(t *testing.T, c catalogue) (machineOf, []string) {
	t.Helper()
	m := newMachine(t)
	stdout, stderr, code := m.run(t, c, "substitute = false", "build", "--all")
	if code != 0 {
		t.Fatalf("alone: exit code %d\n%s", code, stderr)
	}
	return m, referencesOf(stdout)
}

const builtElsewhere = `package = pkgs.runCommand "web" { } "mkdir -p $out/bin; echo ${pkgs.writeText "text" "needed"} > $out/bin/web";`

// Another machine builds what this machine may not build, and the images are the same as if
// this one had built them. A builder in --builders fetches paths from its binary cache, so
// nobody sends them. An image that is built already needs nothing from it.
func TestRemoteBuildersMakeTheSameImages(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, app("one", builtElsewhere))
	c.flags = []string{"--package-set", "host"}
	alone, want := buildAlone(t, c)
	cache := libre.TempDir(t)
	libre.Tool(t, "nix-store", "--generate-binary-cache-key", "cache.example-1", filepath.Join(cache, "secret"), filepath.Join(cache, "public"))
	source := strings.TrimSpace(alone.tool(t, "sh", "-c", "nix-store --query --references /nix/store/*-busybox-*.drv"))
	alone.tool(t, "nix", "--extra-experimental-features", "nix-command", "copy", "--to", "file://"+cache+"?secret-key="+filepath.Join(cache, "secret"), source)

	for _, given := range []string{"--builders", "nix.conf"} {
		if err := os.RemoveAll(c.dist()); err != nil {
			t.Fatal(err)
		}
		b := newRemoteBuilder(t, machine(), "substitute = true\nsubstituters = file://"+cache+"\nrequire-sigs = false\n")
		here := newMachine(t)
		here.env = []string{"NIX_SSHOPTS=-F " + b.config}
		config, arguments := "substitute = false\nmax-jobs = 0\n", []string{"build", "--all"}
		if given == "--builders" {
			arguments = append(arguments, "--builders", b.spec(machine()))
		} else {
			config += "builders = " + b.spec(machine())
		}
		stdout, stderr, code := here.run(t, c, config, arguments...)
		if got := referencesOf(stdout); code != 0 || !slices.Equal(got, want) || strings.Contains(stderr, "warning: ") {
			t.Errorf("%s: exit code %d, %q, want %q\n%s", given, code, got, want, stderr)
		}
		for _, output := range []string{"one-web-root", "web", "text"} {
			if !slices.Contains(b.paths(t), output) {
				t.Errorf("%s: the builder has no %s: %q", given, output, b.paths(t))
			}
		}
		// A path that was fetched has the signature of the cache.
		signed := strings.Contains(b.tool(t, "nix", "--extra-experimental-features", "nix-command", "path-info", "--sigs", source), "cache.example-1:")
		if signed != (given == "--builders") {
			t.Errorf("%s: the builder fetched %s: %t", given, source, signed)
		}
		// The layout has the images now: another machine needs no output.
		later := newMachine(t)
		later.env = here.env
		stdout, stderr, code = later.run(t, c, config, arguments...)
		if got := referencesOf(stdout); code != 0 || !slices.Equal(got, want) || slices.Contains(later.paths(t), "one-web-root") {
			t.Errorf("%s, later: exit code %d, %q, and the store has %q\n%s", given, code, got, later.paths(t), stderr)
		}
	}
}

// paths returns the names of a machine's store paths, without hashes.
func (m machineOf) paths(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(m.store, "store"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		_, name, _ := strings.Cut(entry.Name(), "-")
		names = append(names, name)
	}
	return names
}

// This is the recipe of docs/recipes.md with another machine name. The binary cache has the
// package set, like that of nixpkgs. The other machine builds the app for its system.
func TestRecipeOfRemoteBuildersBuildsForTwoSystems(t *testing.T) {
	t.Parallel()
	c := shaped(t, app("one", `package = pkgs.runCommand "web" { } "cat ${pkgs.hello}/bin/hello > $out";`))
	cache := libre.TempDir(t)
	for _, system := range []string{"x86_64-linux", "aarch64-linux"} {
		m := newMachine(t)
		if _, stderr, code := m.run(t, c, "substitute = false\nsystem = "+system, "build", "--all", "--system", system); code != 0 {
			t.Fatalf("%s: exit code %d\n%s", system, code, stderr)
		}
		m.tool(t, "sh", "-c", `nix --extra-experimental-features nix-command copy --to "file://$1" $(ls -d /nix/store/*-* | grep -v -e '\.drv$' -e '-source$' -e '\.lock$')`, "sh", cache)
		if err := os.RemoveAll(c.dist()); err != nil {
			t.Fatal(err)
		}
	}
	forget(t, cache, "-web", "-web-root")

	page, err := os.ReadFile("../../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, recipe, _ := strings.Cut(string(page), "```sh needs builder\n")
	recipe, _, found := strings.Cut(recipe, "```\n")
	if !found || !strings.Contains(recipe, "ssh://nix@arm.example aarch64-linux") {
		t.Fatalf("docs/recipes.md has no such recipe: %s", recipe)
	}
	b := newRemoteBuilder(t, "aarch64-linux", "")
	here := newMachine(t)
	here.env = []string{"NIX_SSHOPTS=-F " + b.config}
	recipe = strings.NewReplacer("libre ", libre.Program()+" --allow-local-inputs ", "nix@arm.example", "root@builder.example").Replace(recipe)
	stdout, stderr, err := testkit.Output(here.command(c.dir, substituters(cache)+"\nsandbox = relaxed", "sh", "-euc", recipe))
	if err != nil || strings.Count(stderr, "warning: nix: sandbox = relaxed") != 1 {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	const image = "one-web-default:1-1"
	if got := platforms(t, c.dist(), image); !slices.Equal(got, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("platforms %q", got)
	}
	for platform, want := range map[string]string{"linux/amd64": "x86_64-linux\n", "linux/arm64": "aarch64-linux\n"} {
		if got := readTree(t, openImage(t, c.dist(), image, platform)).text(t, "/app"); got != want {
			t.Errorf("%s has %q", platform, got)
		}
	}
	if !slices.Contains(b.paths(t), "one-web-root") {
		t.Errorf("the builder built %q", b.paths(t))
	}
}

// Any error of a builder for another system is one line in the block of failures, with what to
// do.
func TestRemoteBuildersThatDoNotBuildAreNamed(t *testing.T) {
	t.Parallel()
	b := newRemoteBuilder(t, "x86_64-linux", "")
	c := shaped(t, app("one", `package = pkgs.hello;`))
	here := newMachine(t)
	const other = "aarch64-linux"
	for _, test := range []struct{ name, options, builders, want string }{
		{"nobody listens", "-p 1", b.spec(other), "it must be built on aarch64-linux, and Nix cannot build on ssh://root@builder.example: " +
			"connect to host 127.0.0.1 port 1: Connection refused: try ssh root@builder.example, as the user that runs Nix's builds"},
		{"nobody listens, ssh-ng", "-p 1", "ssh-ng://root@builder.example " + other, "it must be built on aarch64-linux, and Nix cannot build on ssh-ng://root@builder.example: " +
			"connect to host 127.0.0.1 port 1: Connection refused: try ssh root@builder.example, as the user that runs Nix's builds"},
		{"an unknown key", "-o UserKnownHostsFile=/dev/null", b.spec(other), "it must be built on aarch64-linux, and Nix cannot build on ssh://root@builder.example: " +
			"No ED25519 host key is known for [127.0.0.1]:" + b.port + " and you have requested strict checking: accept its key with ssh root@builder.example, as the user that runs Nix's builds"},
		{"an unknown user", "", "ssh://nobody@builder.example " + other, "it must be built on aarch64-linux, and Nix cannot build on ssh://nobody@builder.example: " +
			"Permission denied (publickey): try ssh nobody@builder.example, as the user that runs Nix's builds"},
		{"no name", "-o Hostname=nowhere.invalid", b.spec(other), "it must be built on aarch64-linux, and Nix cannot build on ssh://root@builder.example: " +
			"Could not resolve hostname nowhere.invalid: "},
		{"not this system", "", b.spec(other), "the builder ssh://root@builder.example is x86_64-linux, and does not build for aarch64-linux: " +
			"correct what --builders, or builders in nix.conf, says of it"},
		{"for another one", "", b.spec("riscv64-linux"), "it must be built on aarch64-linux, but this machine is x86_64-linux, and no builder is for it: correct --builders, or set crossFrom"},
		{"no number", "", b.spec(other) + " - many", "nix cannot read the list of builders: failed to convert column #3 in a row: 'ssh://root@builder.example aarch64-linux - many' to 'unsigned int'; " +
			"write each as URL SYSTEM [KEY [JOBS]], such as --builders 'ssh://nix@arm.example aarch64-linux'"},
	} {
		here.env = []string{"NIX_SSHOPTS=-F " + b.config + " " + test.options}
		_, stderr, code := here.run(t, c, "substitute = false", "build", "one/web/default", "--system", other, "--builders", test.builders)
		_, block, _ := strings.Cut(stderr, "\nnix: done")
		if code == 0 || strings.Count(block, test.want) != 2 && strings.Count(stderr, "error: building: "+test.want) != 1 || strings.Contains(stderr, "nix: Failed to find") {
			t.Errorf("%s: exit code %d, want a line with %q:\n%s", test.name, code, test.want, stderr)
		}
	}
}

// If this machine can build too, it does, and reports why the other machine does not.
func TestThisMachineBuildsWithoutItsBuilder(t *testing.T) {
	t.Parallel()
	b := newRemoteBuilder(t, machine(), "")
	c := newCatalogue(t, app("one", builtElsewhere))
	c.flags = []string{"--package-set", "host"}
	here := newMachine(t)
	here.env = []string{"NIX_SSHOPTS=-F " + b.config + " -p 1"}
	_, stderr, code := here.run(t, c, "substitute = false", "build", "--all", "--builders", b.spec(machine()))
	if code != 0 || strings.Count(stderr, "warning: nix: cannot build on ssh://root@builder.example: connect to host 127.0.0.1 port 1: Connection refused: try ssh ") != 1 {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if said, want := doctorSays(t, here, c, b), "note\tthis user cannot connect to ssh://root@builder.example: connect to host 127.0.0.1 port 1: Connection refused\ttry ssh root@builder.example, also as the user that runs Nix's builds"; said != want {
		t.Errorf("doctor says %q, want %q", said, want)
	}
}
